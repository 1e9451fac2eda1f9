//! Webhook endpoints and deliveries of the caller.

use registry::Endpoint;
use schemas::desk::{DeliveryList, DeliveryView, EndpointCreated, EndpointList, EndpointRequest, EndpointView};
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Signer as _};
use signing::{FileKey, webhook};

use crate::address::Reach;
use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size};
use crate::ids;

/// Event types that may be asked for.
pub use registry::TOPICS as EVENTS;

/// Makes an endpoint with its own secret and key. The secret is shown this once.
pub fn create(app: &App, call: &Call) -> R<Answer> {
    let owner = caller(app, call, &app.registry.state())?.subscriber()?.clone();
    let EndpointRequest { url, events } = call.read()?;
    Reach { loopback: app.config.demo() }.check(&url)?;
    if events.is_empty() || events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        let sentence = format!("events are some of {}", EVENTS.join(", "));
        return Err(Refusal::new(Code::SchemaMismatch, sentence).at("events"));
    }
    let now = app.now();
    let (secret, seed) = (signing::signer::random::<32>()?, signing::signer::random::<32>()?);
    let endpoint_id = EndpointId::new(ids::uuid(now)?);
    let public_key = webhook::public_text(FileKey::from_seed(endpoint_id.as_str(), &seed).jwk())?;
    let created =
        EndpointCreated { endpoint_id: endpoint_id.clone(), secret: webhook::secret_text(&secret), public_key };
    let secret = secret.to_vec();
    let endpoint = Endpoint { endpoint_id, owner, url, events, secret, seed, created_at: now, disabled_at: None };
    app.registry.add_endpoint(&endpoint)?;
    Answer::created(&created)
}

/// The caller's endpoints, without secrets.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    let endpoints = app.registry.endpoints(caller.did())?.into_iter().map(view);
    Answer::ok(&EndpointList { endpoints: endpoints.collect() })
}

/// One of the caller's endpoints.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    Answer::ok(&view(own(app, call)?))
}

/// Switches one of the caller's endpoints off; messages that wait for it are not sent any more.
pub fn disable(app: &App, call: &Call) -> R<Answer> {
    let endpoint = own(app, call)?;
    if endpoint.disabled_at.is_none() {
        app.registry.disable_endpoint(&endpoint.endpoint_id, app.now())?;
    }
    Answer::ok(&view(own(app, call)?))
}

fn own(app: &App, call: &Call) -> R<Endpoint> {
    let caller = caller(app, call, &app.registry.state())?;
    let id: EndpointId = call.param("id")?;
    let endpoints = app.registry.endpoints(caller.did())?;
    let unknown = || Refusal::new(Code::NotFound, "you have no such endpoint");
    endpoints.into_iter().find(|endpoint| endpoint.endpoint_id == id).ok_or_else(unknown)
}

fn view(endpoint: Endpoint) -> EndpointView {
    EndpointView {
        endpoint_id: endpoint.endpoint_id,
        url: endpoint.url,
        events: endpoint.events,
        state: if endpoint.disabled_at.is_some() { "disabled".into() } else { "active".into() },
    }
}

/// The caller's deliveries, newest first.
pub fn deliveries(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    let limit = u32::try_from(page_size(call)?).unwrap_or(u32::MAX);
    let deliveries = app.registry.deliveries(caller.did(), limit)?.into_iter().map(|row| DeliveryView {
        message_id: row.message_id,
        endpoint_id: row.endpoint_id,
        event: row.topic,
        state: row.state.to_owned(),
        attempts: row.attempts,
        at: row.not_before,
    });
    Answer::ok(&DeliveryList { deliveries: deliveries.collect() })
}
