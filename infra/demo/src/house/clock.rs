//! A clock that a test moves: it ticks on by itself and jumps when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use schemas::Timestamp;

use crate::actors::Clock;

/// A clock shared by every role of an in-process house.
#[derive(Clone, Debug)]
pub struct TestClock {
    began: Instant,
    base: Timestamp,
    ahead: Arc<AtomicI64>,
}

impl TestClock {
    /// A clock that shows this time now and ticks on.
    pub fn starting(base: Timestamp) -> TestClock {
        TestClock { began: Instant::now(), base, ahead: Arc::new(AtomicI64::new(0)) }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let since = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let ahead = self.ahead.load(Ordering::SeqCst).saturating_mul(1_000_000);
        Timestamp::from_micros(self.base.micros().saturating_add(since).saturating_add(ahead))
    }

    /// Jumps ahead.
    pub fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The clock as roles take it.
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

impl Default for TestClock {
    /// A clock that starts on 1 December 2026.
    fn default() -> TestClock {
        TestClock::starting(Timestamp::from_seconds(1_796_083_200))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_and_jumps() {
        let clock = TestClock::default();
        assert!(clock.now().to_string().starts_with("2026-12-01T00:00:0"));
        let shared = clock.clock();
        clock.advance(3_600);
        assert!(shared().to_string().starts_with("2026-12-01T01:00:0"));
        assert!(shared() < shared().plus_seconds(1));
    }
}
