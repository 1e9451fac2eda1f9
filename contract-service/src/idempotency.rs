//! `Idempotency-Key`: a POST under `/v1` takes effect once; the same request again gets the stored answer.
//!
//! Kept in the database for a day, in the scope of client and route. Refusals are not kept: they changed nothing, so
//! the same key may be tried again when their cause is gone.

use registry::Begun;
use schemas::{Code, Digest, R, Refusal};

use crate::app::App;
use crate::call::{Answer, Call, JSON};
use crate::openapi::Route;

/// Answers a call once per key.
pub fn once(app: &App, route: &Route, call: &Call) -> R<Answer> {
    let key = key(call)?;
    let client = client(app, call);
    let request = Digest::of_parts(&[call.path.as_bytes(), b"\n", &call.body]);
    match app.registry.begin_request(&client, route.path, key, &request, app.now())? {
        Begun::Answered { status, answer } => Ok(Answer { status, media: JSON, cache: "no-store", body: answer }),
        Begun::Running => {
            Err(Refusal::new(Code::RequestReplayed, "the same request is being answered; ask again in a moment"))
        }
        Begun::Fresh => {
            let answer = (route.handler)(app, call);
            match &answer {
                // Nothing to do is no effect: the next call with this key looks again.
                Ok(done) if done.status != 204 => {
                    app.registry.finish_request(&client, route.path, key, done.status, &done.body)?;
                }
                Ok(_) | Err(_) => app.registry.forget_request(&client, route.path, key)?,
            }
            answer
        }
    }
}

fn key(call: &Call) -> R<&str> {
    let missing = |why: &str| Refusal::new(Code::IdempotencyKeyMissing, why.to_owned());
    let key = call
        .idempotency_key
        .as_deref()
        .ok_or_else(|| missing("the header Idempotency-Key is required on this route"))?;
    let form = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if key.is_empty() || key.len() > 64 || !key.bytes().all(form) {
        return Err(missing("an Idempotency-Key is 1 to 64 letters, digits, - or _"));
    }
    Ok(key)
}

/// Whose key it is: the holder of the token; for signed documents, which say themselves who acts, one scope for all.
fn client(app: &App, call: &Call) -> String {
    let own = schemas::Signer::kid(&*app.signer);
    let jwk = schemas::Signer::jwk(&*app.signer);
    let token = call.bearer.as_deref();
    let claims = token.and_then(|token| signing::token::check_access(token, app.url(), own, jwk, app.now()).ok());
    claims.map_or_else(|| "-".to_owned(), |claims| claims.sub.to_string())
}
