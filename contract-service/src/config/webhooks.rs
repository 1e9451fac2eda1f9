//! Delivery of webhooks.

use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// Delivery of webhooks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Seconds before each attempt; after the last one the delivery is dead.
    pub retry_seconds: Vec<u32>,
    /// Seconds that a receiver has for its answer.
    pub timeout_seconds: u64,
    /// Milliseconds between two looks into the outbox while nothing is entered; what is entered is seen at once.
    pub poll_millis: u64,
    /// Percent by which a wait of `retry_seconds` may be longer, so that retries do not come together; 0 to 100.
    pub jitter_percent: u32,
    /// Deliveries under way at once. Receivers that are not known to answer well get half of them together.
    pub at_once: u32,
    /// Hours in which an endpoint has taken nothing, after which it is switched off.
    pub patience_hours: u32,
    /// Ports that endpoints may have; on loopback, in the demo profile, any.
    pub ports: Vec<u16>,
    /// A proxy that deliveries go through, like `http://proxy.internal:3128`. It resolves the names of receivers, so it
    /// must refuse addresses inside itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Days for which deliveries that are done or dead are kept.
    pub keep_days: u32,
    /// Seconds between two tests that an owner has sent to one endpoint, and between two times that one delivery is sent
    /// again, 0 to 3,600; 0 is no limit.
    pub ping_seconds: u32,
}

impl Default for Webhooks {
    fn default() -> Webhooks {
        Webhooks {
            retry_seconds: vec![0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
            timeout_seconds: 15,
            poll_millis: 200,
            jitter_percent: 10,
            at_once: 512,
            patience_hours: 120,
            ports: vec![443, 8443],
            proxy: None,
            keep_days: 90,
            ping_seconds: 10,
        }
    }
}

impl Webhooks {
    /// Refuses what cannot be worked with.
    pub(super) fn check(&self) -> R<()> {
        let bad = |field: &str, why: &str| Err(Refusal::new(Code::ConfigInvalid, why).at(format!("webhooks.{field}")));
        if self.retry_seconds.is_empty() {
            return bad("retry_seconds", "retry_seconds must not be empty");
        }
        if self.jitter_percent > 100 {
            return bad("jitter_percent", "jitter_percent is 0 to 100");
        }
        if !(2..=10_000).contains(&self.at_once) {
            return bad("at_once", "at_once is 2 to 10,000");
        }
        if !(1..=300).contains(&self.timeout_seconds) {
            return bad("timeout_seconds", "timeout_seconds is 1 to 300");
        }
        if self.patience_hours == 0 || self.keep_days == 0 {
            return bad("patience_hours", "patience_hours and keep_days are at least 1");
        }
        if self.ping_seconds > 3_600 {
            return bad("ping_seconds", "ping_seconds is 0 to 3,600");
        }
        match &self.proxy {
            Some(proxy) if reqwest::Proxy::all(proxy).is_err() => {
                bad("proxy", "proxy is like http://proxy.internal:3128")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_at_a_time_is_refused() {
        type Spoil = fn(&mut Webhooks);
        let spoils: [(&str, Spoil); 8] = [
            ("retry_seconds", |w| w.retry_seconds.clear()),
            ("jitter_percent", |w| w.jitter_percent = 101),
            ("at_once", |w| w.at_once = 1),
            ("timeout_seconds", |w| w.timeout_seconds = 0),
            ("patience_hours", |w| w.patience_hours = 0),
            ("patience_hours", |w| w.keep_days = 0),
            ("ping_seconds", |w| w.ping_seconds = 3_601),
            ("proxy", |w| w.proxy = Some("no address".into())),
        ];
        assert_eq!(Webhooks::default().check(), Ok(()));
        for (field, spoil) in spoils {
            let mut webhooks = Webhooks::default();
            spoil(&mut webhooks);
            let refusal = webhooks.check().unwrap_err();
            assert_eq!(refusal.code, Code::ConfigInvalid);
            assert_eq!(refusal.field.as_deref(), Some(format!("webhooks.{field}").as_str()));
        }
    }
}
