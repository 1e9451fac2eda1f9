//! How often strangers and clients may call: a budget for each class of calls and each caller, by `governor`.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use schemas::id::Did;
use schemas::{Code, R, Refusal};

use crate::config::{Budget, Rates};

/// Classes of calls, each with a budget of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Signed documents, which bring no token.
    AnonymousWrites,
    /// Writes under a token.
    Writes,
    /// Requests for tokens.
    Tokens,
    /// Applications for registration.
    Applications,
    /// Reads.
    Reads,
}

/// Who is counted: the client of a verified token, or the address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// The holder of a token.
    Client(Did),
    /// An address; of IPv6 the network of 64 bits.
    Address(IpAddr),
    /// All who come when there is no room for more keys.
    Rest,
}

impl Key {
    /// The key of an address.
    pub fn address(ip: IpAddr) -> Key {
        match ip.to_canonical() {
            IpAddr::V6(ip) => Key::Address(IpAddr::V6((ip.to_bits() & (!0u128 << 64)).into())),
            v4 => Key::Address(v4),
        }
    }
}

type Limiter = RateLimiter<Key, DashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

struct Bucket {
    name: &'static str,
    limiter: Limiter,
    policy: String,
}

/// All budgets.
pub struct Limits {
    buckets: [Option<Bucket>; 5],
    keys: usize,
    clock: DefaultClock,
}

/// Headers that tell a caller about its budget.
pub type Headers = Vec<(&'static str, String)>;

impl Limits {
    /// The budgets as configured; a rate of zero is none.
    pub fn new(rates: &Rates) -> Limits {
        let buckets = [
            bucket("anonymous-writes", &rates.anonymous_writes),
            bucket("writes", &rates.writes),
            bucket("tokens", &rates.tokens),
            bucket("applications", &rates.applications),
            bucket("reads", &rates.reads),
        ];
        Limits { buckets, keys: rates.keys, clock: DefaultClock::default() }
    }

    /// Takes one call out of a budget and says what is left of it, or refuses.
    pub fn take(&self, class: Class, key: Key) -> (Headers, R<()>) {
        let Some(bucket) = self.buckets.get(class as usize).and_then(Option::as_ref) else {
            return (Vec::new(), Ok(()));
        };
        let key = if bucket.limiter.len() < self.keys { key } else { self.make_room(bucket, key) };
        let policy = ("ratelimit-policy", bucket.policy.clone());
        match bucket.limiter.check_key(&key) {
            Ok(left) => {
                let left = left.remaining_burst_capacity();
                (vec![policy, ("ratelimit", format!("\"{}\";r={left}", bucket.name))], Ok(()))
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now()).as_secs() + 1;
                let said = format!("\"{}\";r=0;t={wait}", bucket.name);
                let refusal = Refusal::new(Code::RateLimited, format!("too many calls; come again in {wait} s"));
                (vec![policy, ("ratelimit", said), ("retry-after", wait.to_string())], Err(refusal))
            }
        }
    }

    /// Forgets those whose budget is full again; where that frees nothing, new callers share one budget.
    fn make_room(&self, bucket: &Bucket, key: Key) -> Key {
        bucket.limiter.retain_recent();
        if bucket.limiter.len() < self.keys { key } else { Key::Rest }
    }
}

fn bucket(name: &'static str, budget: &Budget) -> Option<Bucket> {
    let (rate, burst) = (NonZeroU32::new(budget.per_second)?, NonZeroU32::new(budget.burst.max(1))?);
    let quota = Quota::per_second(rate).allow_burst(burst);
    let limiter = RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>();
    let policy = format!("\"{name}\";q={burst};w={}", burst.get().div_ceil(rate.get()));
    Some(Bucket { name, limiter, policy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(keys: usize) -> Limits {
        let budget = Budget { per_second: 1, burst: 3 };
        Limits::new(&Rates { reads: budget, writes: Budget { per_second: 0, burst: 0 }, keys, ..Rates::default() })
    }

    fn ip(text: &str) -> Key {
        Key::address(text.parse().unwrap())
    }

    #[test]
    fn a_budget_ends_for_its_caller_alone() {
        let limits = limits(100);
        for _ in 0..3 {
            assert!(limits.take(Class::Reads, ip("192.0.2.1")).1.is_ok());
        }
        let (headers, refused) = limits.take(Class::Reads, ip("192.0.2.1"));
        assert_eq!(refused.unwrap_err().code, Code::RateLimited);
        assert!(headers.iter().any(|(name, value)| *name == "retry-after" && value != "0"), "{headers:?}");
        assert!(headers.contains(&("ratelimit-policy", "\"reads\";q=3;w=3".into())));
        assert!(limits.take(Class::Reads, ip("192.0.2.2")).1.is_ok());
        for _ in 0..100 {
            assert!(limits.take(Class::Writes, ip("192.0.2.1")).1.is_ok(), "a rate of zero is no limit");
        }
    }

    #[test]
    fn neighbours_in_one_network_count_as_one_and_mapped_addresses_as_themselves() {
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::2"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    }

    #[test]
    fn callers_beyond_the_number_of_keys_share_one_budget() {
        let limits = limits(2);
        assert!(limits.take(Class::Reads, ip("192.0.2.1")).1.is_ok());
        assert!(limits.take(Class::Reads, ip("192.0.2.2")).1.is_ok());
        for n in 3..6 {
            assert!(limits.take(Class::Reads, ip(&format!("192.0.2.{n}"))).1.is_ok());
        }
        assert!(limits.take(Class::Reads, ip("192.0.2.9")).1.is_err());
    }
}
