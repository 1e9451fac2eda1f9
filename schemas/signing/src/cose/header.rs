//! COSE headers: every label is on the list of its place or the message is refused, so nothing is carried unread.

use ciborium::Value;
use schemas::{Code, R, Refusal};

use crate::cbor;

pub(crate) const ALG: i64 = 1;
pub(crate) const CRIT: i64 = 2;
pub(crate) const CONTENT_TYPE: i64 = 3;
pub(crate) const KID: i64 = 4;
pub(crate) const CWT_CLAIMS: i64 = 15;
pub(crate) const HASH_ALG: i64 = 258;
pub(crate) const PREIMAGE_TYPE: i64 = 259;
pub(crate) const PREIMAGE_LOCATION: i64 = 260;
pub(crate) const LEGACY_ISSUER: i64 = 391;
pub(crate) const LEGACY_FEED: i64 = 392;
pub(crate) const LEGACY_REGISTRATION_INFO: i64 = 393;
pub(crate) const RECEIPTS: i64 = 394;
pub(crate) const VDS: i64 = 395;
pub(crate) const VDP: i64 = 396;
pub(crate) const PARTICIPANTS: i64 = 491;
pub(crate) const FEED: i64 = 492;
/// In the body's unprotected header: receipts inside a contract. In a signature's protected header, as text: the DID.
pub(crate) const CONTRACT_RECEIPTS: i64 = 493;
pub(crate) const LEGACY_DID: i64 = 493;
pub(crate) const DID: i64 = 494;

/// The longest text in a header.
const MAX_TEXT: usize = 1024;

pub(crate) fn bad(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::CoseForm, format!("COSE: {why}"))
}

/// A header map with integer labels.
pub(crate) struct Header(Vec<(i64, Value)>);

impl Header {
    /// Reads the bytes of a protected header; no bytes are an empty header.
    pub(crate) fn protected(bytes: &[u8], allowed: &[i64]) -> R<Header> {
        if bytes.is_empty() {
            return Ok(Header(Vec::new()));
        }
        Header::of(cbor::read(bytes, super::MAX_HEADER)?, allowed)
    }

    /// Takes a header map apart. `crit` may name labels that stand here, all of which are understood; it must not be
    /// empty (RFC 9052 3.1).
    pub(crate) fn of(map: Value, allowed: &[i64]) -> R<Header> {
        let Value::Map(entries) = map else {
            return Err(bad("a header is a map"));
        };
        let mut labels = Vec::new();
        for (label, value) in entries {
            let label = label.as_integer().and_then(|n| i64::try_from(n).ok());
            let label = label.ok_or_else(|| bad("a text label is not taken here"))?;
            if !allowed.contains(&label) {
                return Err(bad(format!("label {label} is not taken in this place")));
            }
            labels.push((label, value));
        }
        let header = Header(labels);
        if let Some(crit) = header.get(CRIT) {
            let named = crit.as_array().filter(|a| !a.is_empty()).ok_or_else(|| bad("crit is a list of labels"))?;
            for label in named {
                let label = label.as_integer().and_then(|n| i64::try_from(n).ok());
                if !label.is_some_and(|l| l != CRIT && header.get(l).is_some()) {
                    return Err(bad("crit names a label that is not understood or not there"));
                }
            }
        }
        Ok(header)
    }

    pub(crate) fn get(&self, label: i64) -> Option<&Value> {
        self.0.iter().find(|(l, _)| *l == label).map(|(_, v)| v)
    }

    /// The value under one of two labels; both at once are ambiguous.
    pub(crate) fn either(&self, label: i64, legacy: i64) -> R<Option<&Value>> {
        match (self.get(label), self.get(legacy)) {
            (Some(_), Some(_)) => Err(bad(format!("labels {label} and {legacy} both stand: ambiguous"))),
            (one, other) => Ok(one.or(other)),
        }
    }

    pub(crate) fn int(&self, label: i64) -> R<Option<i64>> {
        let number = |v: &Value| v.as_integer().and_then(|n| i64::try_from(n).ok());
        self.get(label).map(|v| number(v).ok_or_else(|| bad(format!("label {label} holds no integer")))).transpose()
    }

    pub(crate) fn text(&self, label: i64) -> R<Option<String>> {
        self.get(label).map(text).transpose()
    }

    pub(crate) fn bytes(&self, label: i64) -> R<Option<&[u8]>> {
        let bytes = |v: &'_ Value| matches!(v, Value::Bytes(_));
        match self.get(label) {
            None => Ok(None),
            Some(v) if bytes(v) => Ok(v.as_bytes().map(Vec::as_slice)),
            Some(_) => Err(bad(format!("label {label} holds no byte string"))),
        }
    }
}

/// A text of bounded length.
pub(crate) fn text(value: &Value) -> R<String> {
    let text = value.as_text().filter(|t| !t.is_empty() && t.len() <= MAX_TEXT);
    text.map(str::to_owned).ok_or_else(|| bad("a text of 1 to 1024 bytes is expected in a header"))
}

/// A list of at most `most` items.
pub(crate) fn list(value: &Value, most: usize) -> R<&[Value]> {
    let items = value.as_array().filter(|a| !a.is_empty() && a.len() <= most);
    items.map(Vec::as_slice).ok_or_else(|| bad(format!("a list of 1 to {most} items is expected in a header")))
}

/// Receipts as they stand under a label of an unprotected header, each as its own bytes.
pub(crate) fn receipts(value: Option<&Value>) -> R<Vec<Vec<u8>>> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let one = |receipt: &Value| match receipt {
        Value::Bytes(bytes) => Ok(bytes.clone()),
        Value::Array(_) => cbor::write(receipt),
        _ => Err(bad("a receipt is a byte string or an array")),
    };
    list(value, super::MAX_RECEIPTS)?.iter().map(one).collect()
}
