//! The event envelope: read, its signature verified, and answered in kind.

use policies::lifecycle::State;
use schemas::id::Did;
use schemas::text::Bytes;
use schemas::{Code, R, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::call::{Answer, Call};
use crate::error::fault;
use crate::ids;

/// An event as it comes: every member but `registry` is needed.
#[derive(Serialize, Deserialize)]
pub struct Event {
    /// The idempotency key.
    id: String,
    /// RFC 3339.
    time: String,
    /// Version of the envelope.
    version: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `data`.
    #[serde(rename = "contentType")]
    content_type: String,
    /// Base64.
    data: String,
    /// The registry that it is meant for, or comes from: a member of our own beside DEPA's. It is signed with the rest;
    /// an event for another registry is not taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    registry: Option<Did>,
    /// JWS over everything else.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    signature: String,
}

/// Why an event is not taken: DEPA's codes 501 to 506.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    /// 501 unsupported, 502 missing fields, 503 unparsable, 504 bad signature, 505 unknown producer, 506 retry.
    pub code: u16,
    /// One plain sentence.
    pub message: String,
}

impl Bad {
    /// A code with its sentence.
    pub fn new(code: u16, message: impl Into<String>) -> Bad {
        Bad { code, message: message.into() }
    }
}

impl Event {
    /// What it carries, as JSON.
    pub fn json(&self) -> Result<Value, Bad> {
        let bytes = decoded(&self.data).ok_or_else(|| Bad::new(503, "data is not base64"))?;
        canonical::parse_loose(&bytes).map_err(|e| Bad::new(503, format!("data: {}", e.sentence)))
    }

    /// When it was made.
    pub fn at(&self) -> Result<Timestamp, Bad> {
        schemas::depa::time(&self.time).ok_or_else(|| Bad::new(503, "time is no RFC 3339 time in UTC"))
    }
}

/// Reads an event and verifies who sent it.
pub fn opened(state: &State, body: &[u8]) -> Result<(Event, Did), Bad> {
    let value = canonical::parse_value(body).map_err(|e| Bad::new(503, e.sentence))?;
    for member in ["id", "time", "version", "type", "contentType", "data", "signature"] {
        if value.get(member).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Bad::new(502, format!("{member} is missing")));
        }
    }
    let event: Event = serde_json::from_value(value).map_err(|e| Bad::new(503, e.to_string()))?;
    let signed = Event { signature: String::new(), ..copy(&event) };
    let payload = canonical::to_bytes(&signed).map_err(|e| Bad::new(503, e.sentence))?;
    let kid = signing::event::verify(&event.signature, &payload, state).map_err(|refusal| match refusal.code {
        Code::SignerUnknown => Bad::new(505, refusal.sentence),
        _ => Bad::new(504, refusal.sentence),
    })?;
    let here = state.genesis().map(|genesis| &genesis.registry);
    if event.registry.as_ref().is_some_and(|meant| Some(meant) != here) {
        return Err(Bad::new(504, "the event is signed for another registry"));
    }
    let sender = Did::parse(&kid.holder).map_err(|e| Bad::new(505, e.sentence))?;
    Ok((event, sender))
}

/// Answers with an event of ours, signed by the registry's key.
pub fn reply(app: &App, _: &Call, kind: &str, data: Value) -> R<Answer> {
    let now = app.now();
    let mut event = Event {
        id: ids::uuid(now)?.to_string(),
        time: now.to_string(),
        version: "1.0".into(),
        kind: kind.into(),
        content_type: "application/json".into(),
        data: Bytes(canonical::to_bytes(&data)?).text(),
        registry: Some(app.did().clone()),
        signature: String::new(),
    };
    event.signature = signing::event::sign(&canonical::to_bytes(&event)?, &*app.signer()?)?;
    let bad = kind == "ccr.event.bad";
    Answer::json(if bad { 400 } else { 200 }, &event).map_err(fault)
}

fn copy(event: &Event) -> Event {
    Event {
        id: event.id.clone(),
        time: event.time.clone(),
        version: event.version.clone(),
        kind: event.kind.clone(),
        content_type: event.content_type.clone(),
        data: event.data.clone(),
        registry: event.registry.clone(),
        signature: event.signature.clone(),
    }
}

/// Base64 in either alphabet, with or without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let url: String = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    Bytes::parse(&url).ok().map(|bytes| bytes.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_cannot_be_taken_has_its_code() {
        let state = State::new();
        let code = |text: &str| opened(&state, text.as_bytes()).err().map(|bad| bad.code);
        assert_eq!(code("{"), Some(503));
        assert_eq!(code("{}"), Some(502));
        let whole = |signature: &str| {
            format!(
                r#"{{"id":"1","time":"2026-12-01T00:00:00Z","version":"1","type":"t","contentType":"c","data":"e30=","signature":"{signature}"}}"#
            )
        };
        assert_eq!(code(&whole("")), Some(502));
        assert_eq!(code(&whole("a.b.c")), Some(504));
        let key = signing::FileKey::from_seed("did:web:stranger.example", &[1; 32]);
        let stranger = signing::event::sign(b"x", &key).unwrap();
        assert_eq!(code(&whole(&stranger)), Some(505));
        assert_eq!(decoded("e30="), Some(b"{}".to_vec()));
    }
}
