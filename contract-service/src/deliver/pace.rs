//! What owners may have sent beside the log: one test of an endpoint in some seconds, one delivery once more in the same
//! time, one replay of an endpoint at a time.
//!
//! Kept in memory: only the process that writes the log sends, and a new one begins anew.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};

use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Timestamp};

/// The last tests of endpoints, and endpoints that are being replayed.
#[derive(Default)]
pub struct Pace(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    /// When the next test may go. Those whose time has come are forgotten, so there are never more than were sent in it.
    pings: HashMap<EndpointId, Timestamp>,
    /// The same of single deliveries that were asked for once more.
    again: HashMap<String, Timestamp>,
    replays: HashSet<EndpointId>,
}

/// A replay that is under way; dropped, it makes room for the next.
#[derive(Debug)]
pub struct Replaying<'a>(&'a Pace, EndpointId);

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pace")
    }
}

impl Pace {
    /// Lets a test go, or refuses it with `RATE_LIMITED` and the seconds until the next may.
    pub fn ping(&self, endpoint: &EndpointId, seconds: u32, now: Timestamp) -> R<()> {
        once(&mut self.inside().pings, endpoint, "an endpoint is tested", seconds, now)
    }

    /// Lets a delivery go once more, or refuses it with `RATE_LIMITED` and the seconds until it may.
    pub fn again(&self, delivery: &str, seconds: u32, now: Timestamp) -> R<()> {
        once(&mut self.inside().again, &delivery.to_owned(), "a delivery is sent again", seconds, now)
    }

    /// A test that could not be sent: another one may go.
    pub fn unsent(&self, endpoint: &EndpointId) {
        self.inside().pings.remove(endpoint);
    }

    /// Begins a replay, or refuses it with `RATE_LIMITED` while another of the same endpoint is under way.
    pub fn replay(&self, endpoint: &EndpointId) -> R<Replaying<'_>> {
        if !self.inside().replays.insert(endpoint.clone()) {
            let sentence = "deliveries of this endpoint are being sent once more; come again when that has ended";
            return Err(Refusal::new(Code::RateLimited, sentence));
        }
        Ok(Replaying(self, endpoint.clone()))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(|p| p.into_inner())
    }
}

fn once<K: Hash + Eq + Clone>(
    next: &mut HashMap<K, Timestamp>,
    what: &K,
    sentence: &str,
    seconds: u32,
    now: Timestamp,
) -> R<()> {
    next.retain(|_, next| now < *next);
    if let Some(next) = next.get(what) {
        let micros = u64::try_from(next.micros().saturating_sub(now.micros())).unwrap_or_default();
        let wait = u32::try_from(micros.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        let sentence = format!("{sentence} once in {seconds} s; come again in {wait} s");
        return Err(Refusal::new(Code::RateLimited, sentence).after(wait));
    }
    next.insert(what.clone(), now.plus_seconds(i64::from(seconds)));
    Ok(())
}

impl Drop for Replaying<'_> {
    fn drop(&mut self) {
        self.0.inside().replays.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(n: u128) -> EndpointId {
        EndpointId::new(uuid::Uuid::from_u128(n))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn an_endpoint_is_tested_once_in_its_time() {
        let pace = Pace::default();
        pace.ping(&endpoint(1), 10, at(0)).unwrap();
        let refused = pace.ping(&endpoint(1), 10, at(3)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(7)));
        pace.ping(&endpoint(2), 10, at(3)).unwrap();
        pace.ping(&endpoint(1), 10, at(10)).unwrap();
        assert_eq!(pace.inside().pings.len(), 2, "what is over is forgotten");
        pace.unsent(&endpoint(1));
        pace.ping(&endpoint(1), 10, at(11)).unwrap();
        for _ in 0..3 {
            pace.ping(&endpoint(3), 0, at(11)).unwrap();
        }
    }

    #[test]
    fn a_delivery_is_sent_again_once_in_its_time_and_others_are_free() {
        let pace = Pace::default();
        pace.again("a", 10, at(0)).unwrap();
        let refused = pace.again("a", 10, at(9)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(1)));
        pace.again("b", 10, at(9)).unwrap();
        pace.again("a", 10, at(10)).unwrap();
    }

    #[test]
    fn an_endpoint_is_replayed_once_at_a_time() {
        let pace = Pace::default();
        let first = pace.replay(&endpoint(1)).unwrap();
        assert_eq!(pace.replay(&endpoint(1)).unwrap_err().code, Code::RateLimited);
        drop(pace.replay(&endpoint(2)).unwrap());
        drop(first);
        drop(pace.replay(&endpoint(1)).unwrap());
        assert!(pace.inside().replays.is_empty());
    }
}
