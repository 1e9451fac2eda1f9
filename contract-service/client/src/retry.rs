//! Repetition: every call is idempotent, so it is made again while the service cannot be reached, has no writer or is too
//! busy; within a bounded time, and a POST always with the same `Idempotency-Key`.

use std::time::{Duration, Instant};

use schemas::text::Bytes;
use schemas::{Code, R};

use crate::http::{Answer, Call, Client, Failure};

/// The longest time that is spent on repetitions a service asked for: a new writer stands within ten seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// Attempts at a service that cannot be reached.
const ATTEMPTS: u32 = 3;

impl Client {
    /// Makes a call, again where that helps.
    pub(crate) fn call(&self, call: &Call) -> R<Answer> {
        let key = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        let (since, mut attempt, mut renewed) = (Instant::now(), 1, 0);
        loop {
            let access = if call.bearer { Some(self.access()?) } else { None };
            let failure = match self.attempt(call, &key, access.as_ref(), attempt) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if call.bearer && renewed < 2 && self.may_renew(&failure) {
                renewed += 1;
                continue;
            }
            match wait(&failure, attempt, since.elapsed()) {
                Some(time) => std::thread::sleep(time),
                None => return Err(failure.refusal),
            }
            attempt += 1;
        }
    }

    /// Whether another token may help: the service does not take this one any more, or wants one bound to a key.
    fn may_renew(&self, failure: &Failure) -> bool {
        match failure.refusal.code {
            Code::Unauthenticated => self.forget_token(false),
            Code::DpopInvalid => self.forget_token(true),
            _ => return false,
        }
        true
    }
}

/// How long to wait before the next attempt; `None` where there is none.
fn wait(failure: &Failure, attempt: u32, spent: Duration) -> Option<Duration> {
    match failure.refusal.code {
        Code::PeerUnreachable if attempt < ATTEMPTS => Some(Duration::from_millis(100 * u64::from(attempt * attempt))),
        Code::NotWriter | Code::Unavailable | Code::RateLimited => {
            let asked = failure.retry_after?.max(Duration::from_millis(50));
            (spent + asked <= PATIENCE).then_some(asked)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use schemas::Refusal;

    use super::*;

    fn failure(code: Code, seconds: Option<u64>) -> Failure {
        Failure { refusal: Refusal::new(code, "x"), retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn a_call_is_repeated_as_asked_and_within_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(wait(&failure(Code::NotWriter, Some(1)), 1, Duration::ZERO), Some(second));
        assert_eq!(wait(&failure(Code::Unavailable, Some(1)), 9, 13 * second), Some(second));
        assert_eq!(wait(&failure(Code::NotWriter, Some(2)), 9, 14 * second), None);
        // No time was named: the service does not expect to be asked again.
        assert_eq!(wait(&failure(Code::Unavailable, None), 1, Duration::ZERO), None);
        assert_eq!(wait(&failure(Code::PeerUnreachable, None), 2, Duration::ZERO), Some(Duration::from_millis(400)));
        assert_eq!(wait(&failure(Code::PeerUnreachable, None), 3, Duration::ZERO), None);
        for code in [Code::ReadOnly, Code::StateTransition, Code::Internal] {
            assert_eq!(wait(&failure(code, Some(1)), 1, Duration::ZERO), None, "{code}");
        }
        // A service cannot make its caller hammer it.
        assert_eq!(wait(&failure(Code::Unavailable, Some(0)), 1, Duration::ZERO), Some(Duration::from_millis(50)));
    }
}
