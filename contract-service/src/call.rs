//! A call as a handler sees it, and the answer it gives: no HTTP library, so handlers are plain functions.

use std::collections::BTreeMap;
use std::str::FromStr;

use schemas::{Code, R, Refusal, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::fault;

/// A call that came in, with everything the handlers read of it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The path as called.
    pub path: String,
    /// Parameters of the route's path.
    pub params: BTreeMap<String, String>,
    /// Parameters of the query.
    pub query: BTreeMap<String, String>,
    /// The bearer token.
    pub bearer: Option<String>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Call {
    /// The body, read strictly into its type.
    pub fn read<T: DeserializeOwned>(&self) -> R<T> {
        canonical::parse(&self.body)
    }

    /// A parameter of the path.
    pub fn param<T: FromStr<Err = Refusal>>(&self, name: &str) -> R<T> {
        self.params.get(name).map(String::as_str).unwrap_or_default().parse()
    }

    /// A number in the query.
    pub fn number(&self, name: &str, default: u64) -> R<u64> {
        let bad = || Refusal::new(Code::MalformedNumber, format!("{name} is a whole number")).at(name);
        self.query.get(name).map_or(Ok(default), |text| text.parse().map_err(|_| bad()))
    }
}

/// The page size that a caller asked for, at most 200.
pub fn page_size(call: &Call) -> R<usize> {
    let limit = call.number("limit", 50)?;
    if !(1..=200).contains(&limit) {
        return Err(Refusal::new(Code::LimitExceeded, "limit is 1 to 200").at("limit"));
    }
    usize::try_from(limit).map_err(fault)
}

/// An answer that is no refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub media: &'static str,
    /// Value of `cache-control`.
    pub cache: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

/// Media type of ordinary answers.
pub const JSON: &str = "application/json";

impl Answer {
    /// JSON with a status.
    pub fn json<T: Serialize>(status: u16, value: &T) -> R<Answer> {
        let body = serde_json::to_vec(value).map_err(fault)?;
        Ok(Answer { status, media: JSON, cache: "no-store", body })
    }

    /// 200 with JSON.
    pub fn ok<T: Serialize>(value: &T) -> R<Answer> {
        Answer::json(200, value)
    }

    /// 201 with JSON.
    pub fn created<T: Serialize>(value: &T) -> R<Answer> {
        Answer::json(201, value)
    }

    /// 204.
    pub fn empty() -> Answer {
        Answer { status: 204, media: JSON, cache: "no-store", body: Vec::new() }
    }

    /// 200 with text.
    pub fn text(text: String) -> Answer {
        Answer { status: 200, media: "text/plain; charset=utf-8", cache: "no-cache", body: text.into_bytes() }
    }
}

/// Reads `a=b&c=d` with percent-escapes; the last of two equal names counts.
pub fn read_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|p| !p.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (unescape(k), unescape(v))).collect()
}

/// Undoes percent-escapes; what is no escape stays.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescape("did:web:localhost%253A80"), "did:web:localhost%3A80");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%zz%e"), "%zz%e");
        assert_eq!(read_query("a=1&b=%20&c").get("b").map(String::as_str), Some(" "));
    }
}
