//! What a span may say: closed by type.

use opentelemetry::KeyValue;
use schemas::Code;
use schemas::id::RunId;

/// One attribute of a span. There is none for text that came from outside.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// The status of the answer (`http.response.status_code`).
    Status(u16),
    /// Why it was refused (`depa.code`).
    Code(Code),
    /// The run that it is about (`depa.run_id`), read as an id before.
    Run(&'a RunId),
    /// What kind of thing stands at the other end (`depa.peer`), in a word of this program: a key backend, a payment system.
    Peer(&'static str),
}

impl Attribute<'_> {
    pub(crate) fn pair(self) -> KeyValue {
        match self {
            Attribute::Status(status) => KeyValue::new("http.response.status_code", i64::from(status)),
            Attribute::Code(code) => KeyValue::new("depa.code", code.as_str()),
            Attribute::Run(run) => KeyValue::new("depa.run_id", run.as_str().to_owned()),
            Attribute::Peer(word) => KeyValue::new("depa.peer", word),
        }
    }
}
