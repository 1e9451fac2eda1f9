//! Webhook endpoints and deliveries of the caller.

use registry::{Asked, DeliveryRow, Endpoint, TOPICS};
use schemas::desk::{
    AttemptView, DeliveryList, DeliveryView, EndpointCreated, EndpointList, EndpointRequest, EndpointRotated,
    EndpointView, RecoverRequest, ReplayRequest, Replayed, RotateRequest,
};
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Signer as _};
use signing::{FileKey, webhook};

use crate::address::Reach;
use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size};
use crate::ids;

/// Characters of an endpoint's address.
const LONGEST_URL: usize = 2_048;
/// The longest that a former secret may go on signing: seven days.
const LONGEST_OVERLAP: u32 = 7 * 86_400;

/// Makes an endpoint with its own secret and key. The secret is shown this once.
pub fn create(app: &App, call: &Call) -> R<Answer> {
    let owner = caller(app, call, &app.registry.state())?.subscriber()?.clone();
    let EndpointRequest { url, events, ordered } = call.read()?;
    judged(app, &url, &events)?;
    let now = app.now();
    let (secret, seed) = (signing::signer::random::<32>()?, signing::signer::random::<32>()?);
    let endpoint_id = EndpointId::new(ids::uuid(now)?);
    let created = EndpointCreated {
        endpoint_id: endpoint_id.clone(),
        secret: webhook::secret_text(&secret),
        public_key: public_key(&endpoint_id, &seed)?,
    };
    app.registry.add_endpoint(&Endpoint {
        endpoint_id,
        owner,
        url,
        events,
        secret: secret.to_vec(),
        seed,
        created_at: now,
        disabled_at: None,
        ordered,
        paused_at: None,
        disabled_why: None,
        failing_since: None,
        former: None,
    })?;
    Answer::created(&created)
}

/// Refuses an address that may not be called, and types of events that there are not.
fn judged(app: &App, url: &str, events: &[String]) -> R<()> {
    if url.len() > LONGEST_URL {
        let sentence = format!("the address of an endpoint has at most {LONGEST_URL} characters");
        return Err(Refusal::new(Code::LimitExceeded, sentence).at("url"));
    }
    Reach { loopback: app.config.demo() }.check_hook(url, &app.config.webhooks.ports)?;
    let known = |event: &String| {
        let family = event.strip_suffix(".*").map(|family| format!("{family}."));
        let of_family = |start: &String| TOPICS.iter().any(|topic| topic.name.starts_with(start.as_str()));
        event == "*"
            || TOPICS.iter().any(|topic| topic.name == event.as_str())
            || family.as_ref().is_some_and(of_family)
    };
    if events.is_empty() || events.len() > TOPICS.len() || !events.iter().all(known) {
        let names = TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>().join(", ");
        let sentence = format!("events are some of {names}; or a family like contract.*, or * for all");
        return Err(Refusal::new(Code::SchemaMismatch, sentence).at("events"));
    }
    Ok(())
}

fn public_key(id: &EndpointId, seed: &[u8; 32]) -> R<String> {
    webhook::public_text(FileKey::from_seed(id.as_str(), seed).jwk())
}

/// The caller's endpoints, without secrets.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    let endpoints = app.registry.endpoints(caller.did())?.into_iter().map(|endpoint| view(app, endpoint));
    Answer::ok(&EndpointList { endpoints: endpoints.collect::<R<_>>()? })
}

/// One of the caller's endpoints.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    Answer::ok(&view(app, own(app, call)?)?)
}

/// Gives one of the caller's endpoints another address, other events, another order.
pub fn change(app: &App, call: &Call) -> R<Answer> {
    let endpoint = own(app, call)?;
    let EndpointRequest { url, events, ordered } = call.read()?;
    judged(app, &url, &events)?;
    app.registry.change_endpoint(&endpoint.endpoint_id, &url, &events, ordered)?;
    read(app, call)
}

/// Lets messages to one of the caller's endpoints wait.
pub fn pause(app: &App, call: &Call) -> R<Answer> {
    let endpoint = switched_on(own(app, call)?)?;
    if endpoint.paused_at.is_none() {
        app.registry.pause_endpoint(&endpoint.endpoint_id, app.now())?;
    }
    read(app, call)
}

/// Switches one of the caller's endpoints on again, paused or disabled.
pub fn resume(app: &App, call: &Call) -> R<Answer> {
    let endpoint = own(app, call)?;
    if endpoint.paused_at.is_some() || endpoint.disabled_at.is_some() {
        app.registry.resume_endpoint(&endpoint)?;
    }
    read(app, call)
}

/// Switches one of the caller's endpoints off; messages that wait for it are not sent any more.
pub fn disable(app: &App, call: &Call) -> R<Answer> {
    let endpoint = own(app, call)?;
    if endpoint.disabled_at.is_none() {
        app.registry.disable_endpoint(&endpoint.endpoint_id, "its owner switched it off", app.now())?;
    }
    read(app, call)
}

/// Forgets one of the caller's endpoints with its deliveries.
pub fn delete(app: &App, call: &Call) -> R<Answer> {
    app.registry.delete_endpoint(&own(app, call)?.endpoint_id, app.now())?;
    Ok(Answer::empty())
}

/// Gives one of the caller's endpoints a new secret and key; the former ones sign beside them for a time.
pub fn rotate(app: &App, call: &Call) -> R<Answer> {
    let (endpoint, RotateRequest { overlap_seconds }) = (own(app, call)?, call.read()?);
    if overlap_seconds > LONGEST_OVERLAP {
        let sentence = format!("overlap_seconds is at most {LONGEST_OVERLAP}, seven days");
        return Err(Refusal::new(Code::LimitExceeded, sentence).at("overlap_seconds"));
    }
    let (secret, seed) = (signing::signer::random::<32>()?, signing::signer::random::<32>()?);
    let now = app.now();
    let former_until = now.plus_seconds(i64::from(overlap_seconds));
    let endpoint_id = endpoint.endpoint_id.clone();
    app.registry.rotate_endpoint(&endpoint, &secret, &seed, former_until, now)?;
    let (secret, public_key) = (webhook::secret_text(&secret), public_key(&endpoint_id, &seed)?);
    Answer::ok(&EndpointRotated { endpoint_id, secret, public_key, former_until })
}

/// Sends one of the caller's endpoints a test, whatever it listens to; one in some seconds, since each is sent at once.
pub fn ping(app: &App, call: &Call) -> R<Answer> {
    let endpoint = switched_on(own(app, call)?)?;
    let now = app.now();
    let message = format!("msg_{}", ids::uuid(now)?.simple());
    app.hooks.ping(&endpoint.endpoint_id, app.config.webhooks.ping_seconds, now)?;
    let delivery = app.registry.ping_endpoint(&endpoint, &message, now);
    let delivery = delivery.inspect_err(|_| app.hooks.unsent(&endpoint.endpoint_id))?;
    Answer::created(&delivery_view(app.registry.delivery(&endpoint.owner, &delivery)?))
}

/// Sends one of the caller's endpoints everything since a time once more; one such act on an endpoint at a time.
pub fn replay_since(app: &App, call: &Call) -> R<Answer> {
    let (endpoint, ReplayRequest { since }) = (switched_on(own(app, call)?)?, call.read()?);
    let _alone = app.hooks.replay(&endpoint.endpoint_id)?;
    Answer::ok(&replayed(app.registry.replay_since(&endpoint, since, app.now())?))
}

/// Sends one of the caller's endpoints what was given up once more; one such act on an endpoint at a time.
pub fn recover(app: &App, call: &Call) -> R<Answer> {
    let (endpoint, RecoverRequest { since }) = (switched_on(own(app, call)?)?, call.read()?);
    let _alone = app.hooks.replay(&endpoint.endpoint_id)?;
    Answer::ok(&replayed(app.registry.recover_dead(&endpoint.endpoint_id, since, app.now())?))
}

/// Sends one delivery once more.
pub fn replay(app: &App, call: &Call) -> R<Answer> {
    let row = own_delivery(app, call)?;
    let endpoints = app.registry.endpoints(caller(app, call, &app.registry.state())?.did())?;
    let endpoint = endpoints.into_iter().find(|endpoint| endpoint.endpoint_id == row.endpoint_id);
    switched_on(endpoint.ok_or_else(unknown)?)?;
    app.hooks.again(&row.delivery_id, app.config.webhooks.ping_seconds, app.now())?;
    app.registry.replay_delivery(&row.delivery_id, app.now())?;
    Answer::ok(&delivery_view(own_delivery(app, call)?))
}

fn replayed(replayed: registry::Replayed) -> Replayed {
    Replayed { deliveries: replayed.deliveries, more: replayed.more, until: replayed.until }
}

fn unknown() -> Refusal {
    Refusal::new(Code::NotFound, "you have no such endpoint")
}

fn own(app: &App, call: &Call) -> R<Endpoint> {
    let caller = caller(app, call, &app.registry.state())?;
    let id: EndpointId = call.param("id")?;
    let endpoints = app.registry.endpoints(caller.did())?;
    endpoints.into_iter().find(|endpoint| endpoint.endpoint_id == id).ok_or_else(unknown)
}

/// What is disabled gets nothing.
fn switched_on(endpoint: Endpoint) -> R<Endpoint> {
    match endpoint.disabled_at {
        None => Ok(endpoint),
        Some(_) => Err(Refusal::new(Code::StateTransition, "the endpoint is disabled; resume it first")),
    }
}

fn view(app: &App, endpoint: Endpoint) -> R<EndpointView> {
    let state = match (endpoint.disabled_at, endpoint.paused_at) {
        (Some(_), _) => "disabled",
        (None, Some(_)) => "paused",
        (None, None) => "active",
    };
    Ok(EndpointView {
        public_key: public_key(&endpoint.endpoint_id, &endpoint.seed)?,
        endpoint_id: endpoint.endpoint_id,
        url: endpoint.url,
        events: endpoint.events,
        state: state.into(),
        ordered: endpoint.ordered,
        former_until: endpoint.former.map(|former| former.until).filter(|until| app.now() < *until),
        failing_since: endpoint.failing_since,
        disabled_why: endpoint.disabled_why,
    })
}

/// A page of the caller's deliveries, newest first.
pub fn deliveries(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    let limit = u32::try_from(page_size(call)?).unwrap_or(u32::MAX);
    let endpoint = call.query.get("endpoint").map(|text| EndpointId::parse(text)).transpose()?;
    let state = call.query.get("state").cloned();
    if state.as_ref().is_some_and(|state| !["pending", "delivered", "dead"].contains(&state.as_str())) {
        return Err(Refusal::new(Code::SchemaMismatch, "state is pending, delivered or dead").at("state"));
    }
    let asked = Asked { endpoint, state, before: call.query.get("cursor").cloned() };
    let rows = app.registry.deliveries(caller.did(), &asked, limit)?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.cursor.clone());
    Answer::ok(&DeliveryList { deliveries: rows.into_iter().map(delivery_view).collect(), next })
}

/// One of the caller's deliveries.
pub fn delivery(app: &App, call: &Call) -> R<Answer> {
    Answer::ok(&delivery_view(own_delivery(app, call)?))
}

fn own_delivery(app: &App, call: &Call) -> R<DeliveryRow> {
    let caller = caller(app, call, &app.registry.state())?;
    app.registry.delivery(caller.did(), call.params.get("id").map(String::as_str).unwrap_or_default())
}

fn delivery_view(row: DeliveryRow) -> DeliveryView {
    let attempt = |one: registry::AttemptRow| AttemptView { at: one.at, status: one.status, millis: one.millis };
    DeliveryView {
        message_id: row.message_id,
        endpoint_id: row.endpoint_id,
        event: row.topic,
        state: row.state.to_owned(),
        attempts: row.attempts,
        at: row.not_before,
        delivery_id: row.delivery_id,
        subject: row.subject,
        status: row.last_status,
        millis: row.last_millis,
        answer: row.last_answer,
        history: row.history.into_iter().map(attempt).collect(),
    }
}
