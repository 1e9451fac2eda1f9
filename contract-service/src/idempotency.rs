//! `Idempotency-Key`: a POST under `/v1` takes effect once; the same request again gets the stored answer.
//!
//! A key is in use while its request is being answered, in the memory of the writer's process: nothing is written for
//! a call before it has taken effect, so strangers' garbage leaves no row. Then the answer is kept in the database
//! for a day, in the scope of client and route. Routes whose entries dedupe themselves keep it in memory alone: after a
//! restart such a retry is refused by the entry's own rule. Refusals are not kept: they changed nothing, so the same
//! key may be tried again when their cause is gone. Of an answer with a secret all but the secret is kept: it is shown
//! once, lies in no second table and in no backup of one, and who repeats the request learns that it took effect.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use registry::Begun;
use schemas::{Code, Digest, R, Refusal};
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::roles;
use crate::call::{Answer, Call, JSON};
use crate::route::{LaterHandler, Route};
use crate::serve::{Reply, Work};

/// Answers that are remembered beside the database.
const REMEMBERED: usize = 8192;

/// Whose key of which route.
type Scope = (String, &'static str, String);

/// Keys in use, and the last answers of routes that dedupe themselves.
#[derive(Default)]
pub struct Keys(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    running: HashMap<Scope, Digest>,
    answers: HashMap<Scope, (Digest, u16, Vec<u8>)>,
    order: VecDeque<Scope>,
}

enum Taken {
    /// The key is in use from now on.
    Held(Scope, Digest),
    Answered(Answer),
}

/// Frees a key when dropped.
struct Freeing<'a>(&'a Keys, &'a Scope);

impl Drop for Freeing<'_> {
    fn drop(&mut self) {
        self.0.inside().running.remove(self.1);
    }
}

impl Keys {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Answers a call once per key.
pub fn once(app: &App, route: &Route, call: &Call, act: &dyn Fn() -> R<Answer>) -> R<Answer> {
    let (scope, request) = match take(app, route, call)? {
        Taken::Held(scope, request) => (scope, request),
        Taken::Answered(answer) => return Ok(answer),
    };
    let _freeing = Freeing(&app.keys, &scope);
    let (client, path, key) = &scope;
    if !route.deduped {
        match app.registry.answered(client, path, key, &request, app.now())? {
            Begun::Answered { answer, .. } if route.secret => return Err(shown(call, &answer)),
            Begun::Answered { status, answer } => return Ok(replayed(status, answer)),
            Begun::Running => return Err(running()),
            Begun::Fresh => {}
        }
    }
    let answer = act()?;
    // Nothing to do is no effect: the next call with this key looks again.
    if answer.status != 204 {
        if route.deduped {
            remember(app, &scope, request, &answer);
        } else {
            let body = if route.secret { without_secret(&answer.body) } else { answer.body.clone() };
            let kept = (answer.status, body.as_slice());
            let kept = app.registry.keep_answer(client, path, key, &request, kept, app.now());
            if let Err(refusal) = kept {
                // It has taken effect, and that is what the caller must learn.
                tracing::warn!(cause = %refusal, route = route.path, "the answer to a request could not be kept");
            }
        }
    }
    Ok(answer)
}

/// Begins a call that is answered later, once per key. Only routes that dedupe themselves run so.
pub fn later(app: &Arc<App>, route: &Route, call: &Arc<Call>, handler: LaterHandler) -> Work {
    let (reply, receive) = Reply::pair();
    if !route.keyed() {
        handler(app, call, reply);
        return Work::Later(receive);
    }
    let (scope, request) = match take(app, route, call) {
        Ok(Taken::Held(scope, request)) => (scope, request),
        Ok(Taken::Answered(answer)) => return Work::Done(Ok(answer)),
        Err(refusal) => return Work::Done(Err(refusal)),
    };
    let keeper = Keeper { app: app.clone(), scope, request };
    if let Err(refusal) = crate::admit::matched(app, route, call) {
        return Work::Done(Err(refusal));
    }
    handler(app, call, reply.watched(Box::new(move |answer| keeper.done(answer))));
    Work::Later(receive)
}

/// Keeps the answer, and frees the key when there is one or none will come.
struct Keeper {
    app: Arc<App>,
    scope: Scope,
    request: Digest,
}

impl Keeper {
    fn done(&self, answer: &R<Answer>) {
        if let Ok(answer) = answer {
            remember(&self.app, &self.scope, self.request, answer);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.app.keys.inside().running.remove(&self.scope);
    }
}

fn take(app: &App, route: &Route, call: &Call) -> R<Taken> {
    let scope: Scope = (client(app, call), route.path, key(call)?.to_owned());
    let request = Digest::of_parts(&[call.path.as_bytes(), b"\n", &call.body]);
    let mut inside = app.keys.inside();
    if let Some((known, status, body)) = inside.answers.get(&scope) {
        return if *known == request { Ok(Taken::Answered(replayed(*status, body.clone()))) } else { Err(reused()) };
    }
    match inside.running.get(&scope) {
        Some(known) if *known == request => Err(running()),
        Some(_) => Err(reused()),
        None => {
            inside.running.insert(scope.clone(), request);
            Ok(Taken::Held(scope, request))
        }
    }
}

fn remember(app: &App, scope: &Scope, request: Digest, answer: &Answer) {
    let mut inside = app.keys.inside();
    if inside.answers.insert(scope.clone(), (request, answer.status, answer.body.clone())).is_none() {
        inside.order.push_back(scope.clone());
    }
    while inside.order.len() > REMEMBERED {
        if let Some(old) = inside.order.pop_front() {
            inside.answers.remove(&old);
        }
    }
}

fn replayed(status: u16, body: Vec<u8>) -> Answer {
    Answer::of(status, JSON, "no-store", body)
}

/// An answer without its secret; nothing of one that is no object.
fn without_secret(body: &[u8]) -> Vec<u8> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    members.remove("secret");
    serde_json::to_vec(&members).unwrap_or_default()
}

/// What is said to who repeats a request whose answer held a secret.
fn shown(call: &Call, kept: &[u8]) -> Refusal {
    let members: Map<String, Value> = serde_json::from_slice(kept).unwrap_or_default();
    let made = members.get("endpoint_id").and_then(Value::as_str).or(call.params.get("id").map(String::as_str));
    let made = made.unwrap_or("{id}");
    let sentence = format!(
        "this request took effect, and its secret was shown once; if it is lost, let \
         POST /v1/webhooks/endpoints/{made}/rotate make another, with overlap_seconds 0"
    );
    Refusal::new(Code::SecretShown, sentence)
}

fn running() -> Refusal {
    Refusal::new(Code::RequestReplayed, "the same request is being answered; ask again in a moment")
}

fn reused() -> Refusal {
    Refusal::new(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request")
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
    roles::remembered(app, call).map_or_else(|| "-".to_owned(), |did| did.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_with_a_secret_the_rest_is_kept() {
        let kept = without_secret(br#"{"endpoint_id":"whe_1","secret":"whsec_AAAA","public_key":"whpk_B"}"#);
        assert_eq!(String::from_utf8(kept.clone()).unwrap(), r#"{"endpoint_id":"whe_1","public_key":"whpk_B"}"#);
        assert_eq!(without_secret(b"whsec_AAAA"), b"{}");
        let refusal = shown(&Call::default(), &kept);
        assert_eq!(refusal.code, Code::SecretShown);
        assert!(refusal.sentence.contains("/endpoints/whe_1/rotate"), "{}", refusal.sentence);
    }
}
