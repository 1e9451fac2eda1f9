//! How often one address may ask for a challenge: the only thing that a stranger can make this service do for it.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use schemas::{Code, R, Refusal};

/// Most addresses that are counted one by one; beyond, all new ones share one count.
const ADDRESSES: usize = 100_000;

/// Counts of addresses.
pub(crate) struct Limits {
    limiter: DefaultKeyedRateLimiter<Option<IpAddr>>,
    clock: DefaultClock,
}

impl Limits {
    /// So many in a minute, all of which may come at once.
    pub fn new(per_minute: u32) -> Limits {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Limits { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts a call; refuses one too many, and says when to come again. Of IPv6 the network of 64 bits is counted.
    pub fn take(&self, peer: Option<IpAddr>) -> R<()> {
        let mut key = peer.map(|ip| match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & (!0u128 << 64)).into()),
            v4 => v4,
        });
        if self.limiter.len() >= ADDRESSES {
            self.limiter.retain_recent();
            key = if self.limiter.len() >= ADDRESSES { None } else { key };
        }
        self.limiter.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now()).as_secs() + 1;
            Refusal::new(Code::RateLimited, format!("too many challenges were asked for; come again in {wait} s"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_address_too_many_times_and_another_not() {
        let limits = Limits::new(30);
        (0..30).for_each(|_| limits.take(ip("192.0.2.1")).unwrap());
        assert_eq!(limits.take(ip("192.0.2.1")).unwrap_err().code, Code::RateLimited);
        assert_eq!(limits.take(ip("::ffff:192.0.2.1")).unwrap_err().code, Code::RateLimited, "the same by IPv6");
        limits.take(ip("192.0.2.2")).unwrap();
        (0..30).for_each(|n| limits.take(ip(&format!("2001:db8::{n}"))).unwrap());
        assert_eq!(limits.take(ip("2001:db8::ffff")).unwrap_err().code, Code::RateLimited, "one network");
        limits.take(ip("2001:db8:0:1::1")).unwrap();
    }
}
