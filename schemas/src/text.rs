//! Small textual forms shared by all documents: base64url bytes and decimal reals.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::problem::{Code, R, Refusal};

/// Bytes that stand in JSON as base64url without padding (RFC 4648 §5). Non-canonical tails and padding are refused.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Reads the base64url form; refuses padding, white space and non-canonical tails.
    pub fn parse(text: &str) -> R<Bytes> {
        URL_SAFE_NO_PAD
            .decode(text)
            .map(Bytes)
            .map_err(|_| Refusal::new(Code::MalformedBase64, "not canonical base64url without padding"))
    }

    /// The base64url form.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        Bytes::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]*$"})
    }
}

/// A non-negative real as a decimal string, `^(0|[1-9][0-9]*)(\.[0-9]+)?$`, at most 40 characters.
///
/// Documents hold ε, δ, noise multipliers and rates in this form, so that the signed bytes never hold a float.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Real(String);

impl Real {
    /// Reads a decimal string; refuses signs, exponents, leading zeros and anything beyond 40 characters.
    pub fn parse(text: &str) -> R<Real> {
        let bad = || Refusal::new(Code::MalformedNumber, "a decimal string like 0.5 is expected");
        if text.is_empty() || text.len() > 40 {
            return Err(bad());
        }
        let (whole, part) = match text.split_once('.') {
            Some((w, p)) => (w, Some(p)),
            None => (text, None),
        };
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let whole_ok = digits(whole) && (whole == "0" || !whole.starts_with('0'));
        if !whole_ok || part.is_some_and(|p| !digits(p)) {
            return Err(bad());
        }
        Ok(Real(text.to_owned()))
    }

    /// The nearest double. Finite, since a `Real` has at most 40 digits.
    pub fn value(&self) -> f64 {
        self.0.parse().unwrap_or(f64::INFINITY)
    }

    /// The decimal string as it stands in the document.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value in units of 10^-`scale`, exact, rounded up where digits are left over; `None` on overflow.
    pub fn scaled_up(&self, scale: u32) -> Option<u128> {
        let (whole, part) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let scale = scale as usize;
        let kept = &part[..part.len().min(scale)];
        let rest = &part[part.len().min(scale)..];
        let digits = format!("{whole}{kept:0<scale$}");
        let units: u128 = digits.parse().ok()?;
        if rest.bytes().any(|b| b != b'0') { units.checked_add(1) } else { Some(units) }
    }

    /// A decimal string with `digits` decimals that is not below `value`; `None` unless finite and ≥ 0.
    pub fn rounded_up(value: f64, digits: u32) -> Option<Real> {
        if !value.is_finite() || value < 0.0 || digits > 18 {
            return None;
        }
        let width = digits as usize;
        let mut text = format!("{value:.width$}");
        if text.parse::<f64>().ok()? < value {
            let unit = 10f64.powi(-(digits as i32));
            text = format!("{:.width$}", value + unit);
        }
        Real::parse(&text).ok()
    }
}

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        Real::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Real {
    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(\\.[0-9]+)?$", "maxLength": 40})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_are_strict_and_round_up() {
        for bad in ["", ".5", "5.", "-1", "+1", "01", "1e3", "NaN", "inf", " 1", "1 "] {
            assert!(Real::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Real::parse("1.0000001").unwrap().scaled_up(6), Some(1_000_001));
        assert_eq!(Real::parse("1.5").unwrap().scaled_up(6), Some(1_500_000));
        assert_eq!(Real::parse("0.00000001").unwrap().scaled_up(18), Some(10_000_000_000));
        assert_eq!(Real::rounded_up(4.0401, 2).unwrap().as_str(), "4.05");
        assert_eq!(Real::rounded_up(4.04, 2).unwrap().as_str(), "4.04");
        assert!(Real::rounded_up(f64::NAN, 2).is_none());
    }

    #[test]
    fn base64url_is_canonical() {
        assert_eq!(Bytes::parse("AQI").unwrap().0, vec![1, 2]);
        for bad in ["AQI=", "AQJ", "A Q", "AQ+/"] {
            assert!(Bytes::parse(bad).is_err(), "{bad}");
        }
    }
}
