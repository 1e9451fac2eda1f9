//! Strict reading and RFC 8785 (JCS) bytes: what is signed has one spelling, and anything else is refused.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::{Code, R, Refusal};

/// No document is larger than this, in bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;
/// No document nests deeper than this.
pub const MAX_DEPTH: usize = 24;
/// 2^53 − 1, the largest integer that every JSON reader keeps.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Reads JSON strictly: no duplicate members, no floats, integers within ±(2^53 − 1), depth ≤ [`MAX_DEPTH`].
pub fn parse_value(bytes: &[u8]) -> R<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, reals: false }.deserialize(&mut reader).map_err(read_error)?;
    reader.end().map_err(read_error)?;
    Ok(value)
}

/// [`parse_value`], but numbers may have a fraction: for files of others that are kept as they came and never signed here.
pub fn parse_loose(bytes: &[u8]) -> R<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, reals: true }.deserialize(&mut reader).map_err(read_error)?;
    reader.end().map_err(read_error)?;
    Ok(value)
}

/// Reads a document strictly into its type; unknown members are refused by the type itself.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> R<T> {
    let value = parse_value(bytes)?;
    serde_json::from_value(value).map_err(|e| Refusal::new(Code::SchemaMismatch, e.to_string()))
}

/// Reads a signed payload that need not be canonical (COSE): strict, within [`MAX_DOCUMENT`].
pub fn parse_document<T: DeserializeOwned>(bytes: &[u8]) -> R<T> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(Refusal::new(Code::BodyTooLarge, "a document has at most 256 KiB"));
    }
    parse(bytes)
}

/// Reads a signed payload: strict, within [`MAX_DOCUMENT`], and already in canonical form.
pub fn parse_canonical<T: DeserializeOwned>(bytes: &[u8]) -> R<T> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(Refusal::new(Code::BodyTooLarge, "a document has at most 256 KiB"));
    }
    let value = parse_value(bytes)?;
    if to_bytes(&value)? != bytes {
        return Err(Refusal::new(Code::NotCanonical, "the signed bytes must be RFC 8785 (JCS) canonical JSON"));
    }
    serde_json::from_value(value).map_err(|e| Refusal::new(Code::SchemaMismatch, e.to_string()))
}

/// The RFC 8785 bytes of a document. Fails only for values that no document type holds (floats, huge integers).
pub fn to_bytes<T: Serialize>(value: &T) -> R<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|e| Refusal::new(Code::SchemaMismatch, format!("cannot be written canonically: {e}")))
}

fn read_error(e: serde_json::Error) -> Refusal {
    let text = e.to_string();
    if text.starts_with("duplicate member") {
        Refusal::new(Code::DuplicateMember, text)
    } else if text.starts_with("number") {
        Refusal::new(Code::MalformedNumber, text)
    } else {
        Refusal::new(Code::MalformedJson, text)
    }
}

struct Strict {
    depth: usize,
    reals: bool,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

fn integer<E: serde::de::Error>(ok: bool, number: Number) -> Result<Value, E> {
    if ok { Ok(Value::Number(number)) } else { Err(E::custom("number beyond 2^53 - 1")) }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value without floats")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Value, E> {
        integer(v.unsigned_abs() <= MAX_INTEGER as u64, v.into())
    }
    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Value, E> {
        integer(v <= MAX_INTEGER as u64, v.into())
    }
    fn visit_f64<E: serde::de::Error>(self, real: f64) -> Result<Value, E> {
        if let Some(real) = Number::from_f64(real).filter(|_| self.reals) {
            return Ok(Value::Number(real));
        }
        Err(E::custom("number with a fraction, an exponent or beyond 2^53 - 1: reals are decimal strings"))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { depth: inner, reals: self.reals })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { depth: inner, reals: self.reals })?;
            if members.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("duplicate member {key:?}")));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

impl Strict {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(self.depth + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_reading_refuses_what_readers_disagree_about() {
        let cases: [(&str, Code); 10] = [
            (r#"{"a":1,"a":2}"#, Code::DuplicateMember),
            (r#"{"a":1.5}"#, Code::MalformedNumber),
            (r#"{"a":1e3}"#, Code::MalformedNumber),
            (r#"{"a":9007199254740992}"#, Code::MalformedNumber),
            (r#"{"a":-9007199254740992}"#, Code::MalformedNumber),
            (r#"{"a":123456789012345678901234567890}"#, Code::MalformedNumber),
            (r#"{"a":1} x"#, Code::MalformedJson),
            (r#"{"a":"\ud800"}"#, Code::MalformedJson),
            ("\u{feff}{}", Code::MalformedJson),
            ("{", Code::MalformedJson),
        ];
        for (text, code) in cases {
            assert_eq!(parse_value(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
        assert_eq!(parse_value("[".repeat(64).as_bytes()).unwrap_err().code, Code::MalformedJson);
    }

    #[test]
    fn only_canonical_bytes_pass() {
        assert!(parse_canonical::<Value>(br#"{"a":1,"b":"x"}"#).is_ok());
        for text in [r#"{"b":"x","a":1}"#, r#"{"a": 1,"b":"x"}"#, r#"{"a":-0,"b":"x"}"#] {
            let code = parse_canonical::<Value>(text.as_bytes()).unwrap_err().code;
            assert!(matches!(code, Code::NotCanonical | Code::MalformedNumber), "{text}: {code}");
        }
    }
}
