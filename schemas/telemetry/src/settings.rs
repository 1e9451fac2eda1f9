//! The table `telemetry` of a service's configuration.

use reqwest::Url;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// Where spans go, and how many of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Base URL of a collector that takes OTLP over HTTP (`http://127.0.0.1:4318`; `/v1/traces` is added): `https:`, or
    /// `http:` on loopback. Nothing is exported without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The name that its spans come under; the program's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Of so many traces one is exported, chosen by the trace's id: services with the same number choose the same traces.
    #[serde(default = "all")]
    pub one_in: u32,
}

fn all() -> u32 {
    1
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { endpoint: None, service_name: None, one_in: all() }
    }
}

impl Settings {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Settings::default()
    }

    /// Refuses what would be unsafe or cannot be meant (`CONFIG_INVALID`).
    pub fn check(&self) -> R<()> {
        self.traces()?;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if self.service_name.as_ref().is_some_and(|name| !(1..=64).contains(&name.len()) || !name.chars().all(word)) {
            return Err(invalid("service_name", "1 to 64 letters, digits, dots, dashes or underscores"));
        }
        if !(1..=1_000_000).contains(&self.one_in) {
            return Err(invalid("one_in", "1 (every trace) to 1000000"));
        }
        Ok(())
    }

    /// Where spans are posted to; none where nothing is exported.
    pub(crate) fn traces(&self) -> R<Option<Url>> {
        let Some(base) = &self.endpoint else { return Ok(None) };
        let url = Url::parse(base).map_err(|_| invalid("endpoint", "not a URL"))?;
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err(invalid("endpoint", "https is needed; plain http only on loopback"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("endpoint", "no credentials, query or fragment stand in it"));
        }
        Url::parse(&format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
            .map(Some)
            .map_err(|_| invalid("endpoint", "not a URL"))
    }
}

/// Whether plain HTTP may be spoken there.
pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn invalid(key: &str, why: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("telemetry.{key}: {why}")).at(format!("telemetry.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: &str) -> Settings {
        Settings { endpoint: Some(endpoint.into()), ..Settings::default() }
    }

    #[test]
    fn https_anywhere_and_plain_http_on_loopback() {
        for (base, posts) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
            ("https://collector.example/otlp", "https://collector.example/otlp/v1/traces"),
        ] {
            at(base).check().unwrap();
            assert_eq!(at(base).traces().unwrap().unwrap().as_str(), posts);
        }
        Settings::default().check().unwrap();
        assert!(Settings::default().traces().unwrap().is_none() && Settings::default().is_default());
    }

    #[test]
    fn what_is_unsafe_or_cannot_be_meant_is_refused() {
        let refused = |settings: Settings, key: &str| {
            let refusal = settings.check().unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ConfigInvalid, Some(key)), "{settings:?}");
        };
        for endpoint in [
            "collector",
            "http://collector.example:4318",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "https://me@collector.example",
            "https://me:secret@collector.example",
            "https://collector.example/?token=secret",
            "https://collector.example/#x",
        ] {
            refused(at(endpoint), "telemetry.endpoint");
        }
        for name in ["", "a b", "ü", &"x".repeat(65)] {
            refused(Settings { service_name: Some(name.into()), ..at("https://c.example") }, "telemetry.service_name");
        }
        for one_in in [0, 1_000_001] {
            refused(Settings { one_in, ..Settings::default() }, "telemetry.one_in");
        }
    }
}
