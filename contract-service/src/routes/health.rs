//! What the service says about itself: alive, ready, its trust, its DID document, its interface.

use schemas::{Code, R, Refusal, Signer as _};

use crate::app::App;
use crate::call::{Answer, Call, JSON};

/// Alive: no I/O.
pub fn livez(_: &App, _: &Call) -> R<Answer> {
    Ok(Answer::text("alive\n".into()))
}

/// Ready: the log can be read and its head is signed.
pub fn readyz(app: &App, _: &Call) -> R<Answer> {
    if app.stopping() || app.registry.checkpoint().is_err() {
        return Err(Refusal::new(Code::Unavailable, "the service is not ready"));
    }
    app.alarm.silent()?;
    Ok(Answer::text("ready\n".into()))
}

/// What relying parties pin; to be compared with what the SRO published elsewhere.
pub fn trust(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&app.trust)
}

/// The registry's did:web document.
pub fn did_document(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&signing::did::web_document(app.did(), app.signer.jwk()))
}

/// The OpenAPI 3.1 document.
pub fn openapi(_: &App, _: &Call) -> R<Answer> {
    let body = crate::openapi::text()?.into_bytes();
    Ok(Answer::of(200, JSON, "no-cache", body))
}
