//! What the service says about itself: alive, ready, its trust, its DID document, its interface.

use schemas::{Code, R, Refusal, Signer as _};
use serde_json::json;

use crate::app::App;
use crate::call::{Answer, Call, JSON};

/// Alive: no I/O.
pub fn livez(_: &App, _: &Call) -> R<Answer> {
    Ok(Answer::text("alive\n".into()))
}

/// Ready: the log can be read and was a moment ago, its head is signed, the writer answers within a second (or is another process), and neither
/// a witness nor the scrub has found a difference.
pub fn readyz(app: &App, _: &Call) -> R<Answer> {
    if app.stopping() || app.registry.checkpoint().is_err() {
        return Err(Refusal::new(Code::Unavailable, "the service is not ready"));
    }
    app.registry.fresh()?;
    let scrub = app.registry.scrub_status();
    let compared = format!("scrub {} of {}, {} passes", scrub.checked, scrub.size, scrub.passes);
    Ok(Answer::text(match app.pulse.lag()? {
        Some(lag) => format!("ready\nwriter lag {lag} us\n{compared}\n"),
        None => format!("ready\nreader\n{compared}\n"),
    }))
}

/// What relying parties pin; to be compared with what the SRO published elsewhere.
pub fn trust(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&app.trust())
}

/// How the log's key in use follows from earlier ones: whoever pins one of them checks the others by it.
pub fn log_keys(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&app.registry.lineage()?)
}

/// The registry's did:web document.
pub fn did_document(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&signing::did::web_document(app.did(), app.signer()?.jwk()))
}

/// Where everything is, and the log's key.
pub fn configuration(app: &App, _: &Call) -> R<Answer> {
    let url = app.url();
    let at = |path: &str| format!("{url}{path}");
    Answer::ok(&json!({
        "registry": app.did(),
        "profile": app.config.profile,
        "registry_jwk": app.signer()?.jwk(),
        "log_origin": app.origin(),
        "trust": at("/v1/trust"),
        "log_keys": at("/v1/log/keys"),
        "did_document": at("/.well-known/did.json"),
        "checkpoint": at("/log/checkpoint"),
        "tiles": at("/log/tile"),
        "status_list": at("/v1/status-list"),
        "token_endpoint": at("/oauth/token"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "grant_types_supported": ["client_credentials"],
        "dpop_signing_alg_values_supported": ["EdDSA", "ES256"],
        "bound_tokens_only": app.config.bound_tokens_only(),
        "people_sign_in_by": app.people.ways(),
        "purposes_supported": schemas::rules::PURPOSES,
        "events": at("/v1/events"),
        "openapi": at("/openapi.json"),
        "docs": at("/docs"),
    }))
}

/// The OpenAPI 3.1 document.
pub fn openapi(_: &App, _: &Call) -> R<Answer> {
    let body = crate::openapi::text()?.into_bytes();
    Ok(Answer::of(200, JSON, "no-cache", body))
}
