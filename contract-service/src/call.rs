//! A call as a handler sees it, and the answer it gives: no HTTP library, so handlers are plain functions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Instant;

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
    /// The access token, of the scheme `Bearer` or `DPoP`.
    pub bearer: Option<String>,
    /// Whether the token came under the scheme `DPoP`.
    pub dpop: bool,
    /// Whether only the head of the answer is asked for (`HEAD` in place of `GET`).
    pub head: bool,
    /// Whether a session may stand for a token: on reads alone.
    pub session_reads: bool,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The headers of [`HEADERS`] that came; several of one name are joined by commas.
    pub headers: BTreeMap<&'static str, String>,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// When its handling began, by the machine's own count.
    pub began: Option<Instant>,
    /// Its number, in the log and in problem documents.
    pub request_id: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// Headers that handlers may read, in lower case.
pub const HEADERS: [&str; 14] = [
    "accept",
    "accept-encoding",
    "content-type",
    "cookie",
    "dpop",
    "host",
    "if-match",
    "if-none-match",
    "last-event-id",
    "origin",
    "prefer",
    "traceparent",
    "x-csrf-token",
    "x-forwarded-for",
];

impl Call {
    /// The body, read strictly into its type.
    pub fn read<T: DeserializeOwned>(&self) -> R<T> {
        canonical::parse(&self.body)
    }

    /// A header of [`HEADERS`].
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Seconds that the caller wants to wait (`Prefer: wait=20`, RFC 7240), at most `longest`.
    pub fn wait_seconds(&self, longest: u32) -> Option<u32> {
        let wishes = self.header("prefer")?.split([',', ';']);
        let seconds = wishes.filter_map(|wish| wish.trim().strip_prefix("wait="));
        seconds.filter_map(|text| text.trim_matches('"').parse::<u32>().ok()).next().map(|wait| wait.min(longest))
    }

    /// Whether the caller says that no person asked for this (`Prefer: quiet`): a page that reads anew by itself.
    pub fn is_quiet(&self) -> bool {
        self.header("prefer").is_some_and(|wishes| wishes.split([',', ';']).any(|wish| wish.trim() == "quiet"))
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

/// Rows of the largest page.
const LARGEST_PAGE: u64 = 200;

/// The page size that a caller asked for, at most 200; 50 where it asked for none.
pub fn page_size(call: &Call) -> R<usize> {
    page_size_or(call, 50)
}

/// The page size that a caller asked for; the largest where it asked for none: of lists that had no pages once.
pub fn page_size_or_largest(call: &Call) -> R<usize> {
    page_size_or(call, LARGEST_PAGE)
}

fn page_size_or(call: &Call, default: u64) -> R<usize> {
    let limit = call.number("limit", default)?;
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refusal::new(Code::LimitExceeded, format!("limit is 1 to {LARGEST_PAGE}")).at("limit"));
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
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

/// Media type of ordinary answers.
pub const JSON: &str = "application/json";

impl Answer {
    /// JSON with a status.
    pub fn json<T: Serialize>(status: u16, value: &T) -> R<Answer> {
        let body = serde_json::to_vec(value).map_err(fault)?;
        Ok(Answer::of(status, JSON, "no-store", body))
    }

    /// An answer of any media type.
    pub fn of(status: u16, media: &'static str, cache: &'static str, body: Vec<u8>) -> Answer {
        Answer { status, media, cache, body, headers: Vec::new() }
    }

    /// The same answer with a further header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
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
        Answer::of(204, JSON, "no-store", Vec::new())
    }

    /// 200 with text.
    pub fn text(text: String) -> Answer {
        Answer::of(200, "text/plain; charset=utf-8", "no-cache", text.into_bytes())
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
    fn a_wish_to_wait_is_read_and_bounded() {
        let wish =
            |text: &str| Call { headers: [("prefer", text.to_owned())].into(), ..Call::default() }.wait_seconds(20);
        assert_eq!(wish("wait=5"), Some(5));
        assert_eq!(wish("respond-async, wait=\"600\""), Some(20));
        assert_eq!((wish("wait=soon"), wish("return=minimal"), Call::default().wait_seconds(20)), (None, None, None));
    }

    #[test]
    fn a_page_says_that_nobody_asked() {
        let quiet = |text: &str| Call { headers: [("prefer", text.to_owned())].into(), ..Call::default() }.is_quiet();
        assert!(quiet("quiet") && quiet("wait=5, quiet"));
        assert!(!quiet("quieter") && !quiet("wait=\"quiet\"") && !Call::default().is_quiet());
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescape("did:web:localhost%253A80"), "did:web:localhost%3A80");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%zz%e"), "%zz%e");
        assert_eq!(read_query("a=1&b=%20&c").get("b").map(String::as_str), Some(" "));
    }
}
