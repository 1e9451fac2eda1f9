//! Limits towards strangers, and how often one caller may call.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::call::Call;

/// Limits towards strangers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes: usize,
    /// Connections served at once.
    pub max_connections: usize,
    /// Seconds in which a request's head and body must have come in.
    pub request_seconds: u64,
    /// Seconds that an idle connection is kept.
    pub keep_alive_seconds: u64,
    /// Threads that accept requests.
    pub workers: usize,
    /// Streams of events open at once.
    pub event_streams: usize,
    /// Streams of events that one participant may have open at once.
    pub event_streams_each: usize,
    /// Seconds of silence after which a run whose room is gone ends; at least 60, but in demos.
    pub run_silence_seconds: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 1024 * 1024,
            max_connections: 25_000,
            request_seconds: 15,
            keep_alive_seconds: 75,
            workers: 2,
            event_streams: 256,
            event_streams_each: 32,
            run_silence_seconds: 600,
        }
    }
}

/// How often one caller may call: a rate, and how many may come at once. A rate of zero is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Calls per second in the long run.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// Budgets of each client, or of each address where no client is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Signed documents, which bring no token.
    pub anonymous_writes: Budget,
    /// Writes under a token.
    pub writes: Budget,
    /// Requests for tokens.
    pub tokens: Budget,
    /// Applications for registration.
    pub applications: Budget,
    /// Reads.
    pub reads: Budget,
    /// Callers counted apart; more share one budget.
    pub keys: usize,
    /// Addresses of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for Rates {
    fn default() -> Rates {
        let budget = |per_second, burst| Budget { per_second, burst };
        Rates {
            anonymous_writes: budget(500, 5_000),
            writes: budget(500, 5_000),
            tokens: budget(50, 1_000),
            applications: budget(20, 500),
            reads: budget(5_000, 50_000),
            keys: 65_536,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Rates {
    /// The address that a call counts for: the sender's, or the last one that a trusted proxy names.
    pub(crate) fn origin_of(&self, call: &Call) -> IpAddr {
        let peer = call.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if !self.trusted_proxies.contains(&peer.to_canonical()) {
            return peer;
        }
        // Each proxy appends whom it saw: the first from the right that is no proxy of ours is the caller.
        let hops = call.header("x-forwarded-for").unwrap_or_default().rsplit(',');
        let hops = hops.map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        hops.take(8).find(|hop| !self.trusted_proxies.contains(hop)).unwrap_or(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let sent = [("x-forwarded-for", "198.51.100.9, 192.0.2.7, 10.0.0.2".to_owned())];
        let call = Call { peer: Some(ip("10.0.0.1")), headers: sent.into(), ..Call::default() };
        assert_eq!(Rates::default().origin_of(&call), ip("10.0.0.1"));
        let trusted = Rates { trusted_proxies: vec![ip("10.0.0.1"), ip("10.0.0.2")], ..Rates::default() };
        assert_eq!(trusted.origin_of(&call), ip("192.0.2.7"));
        assert_eq!(trusted.origin_of(&Call { peer: Some(ip("10.0.0.1")), ..Call::default() }), ip("10.0.0.1"));
    }
}
