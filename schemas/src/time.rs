//! Points in time: RFC 3339 in UTC with `Z` in documents, microseconds since the epoch inside.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::problem::{Code, R, Refusal};

/// A point in time in UTC, microseconds since 1970. Years 1970 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The last microsecond of the year 9999.
const LAST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// From microseconds since the epoch, clamped to 1970..=9999.
    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros.clamp(0, LAST))
    }

    /// From whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0 / 1_000_000
    }

    /// This time moved by `seconds`, clamped.
    pub fn plus_seconds(self, seconds: i64) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Cut to the whole second.
    pub fn whole(self) -> Timestamp {
        Timestamp::from_seconds(self.seconds())
    }

    /// Seconds from `earlier` to this time; negative when `earlier` lies ahead.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// Reads RFC 3339 in UTC; only the form that this type prints is accepted, so that one time has one spelling.
    pub fn parse(text: &str) -> R<Timestamp> {
        let bad = || Refusal::new(Code::MalformedTime, "a time like 2026-12-01T00:00:00Z is expected");
        if text.len() > 27 || !text.ends_with('Z') {
            return Err(bad());
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        let time = Timestamp(parsed.as_microsecond());
        if !(0..=LAST).contains(&time.0) || time.to_string() != text {
            return Err(bad());
        }
        Ok(time)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "1970-01-01T00:00:00Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        Timestamp::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "pattern": "Z$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_has_one_spelling() {
        let time = Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
        assert_eq!(time.to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(time.plus_seconds(1).to_string(), "2026-12-01T00:00:01Z");
        for bad in [
            "2026-12-01T00:00:00+00:00",
            "2026-12-01T00:00:00.000Z",
            "2026-12-01 00:00:00Z",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
