//! Whether the key backend answers, as strangers may ask: what it said last counts for some seconds, so that they cannot
//! make this service call a vault as often as they like.

use std::sync::Mutex;

use schemas::{R, Timestamp};

/// Seconds for which an answer counts.
const KEPT_SECONDS: f64 = 5.0;

/// The last answer and when it was given.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<(Timestamp, R<()>)>>);

impl Health {
    /// The answer of before where it is young enough, else a new one. One caller asks at a time; the others wait for it.
    pub fn ask(&self, now: Timestamp, call: impl FnOnce() -> R<()>) -> R<()> {
        let mut last = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((at, answer)) = last.as_ref()
            && now.seconds_since(*at).abs() < KEPT_SECONDS
        {
            return answer.clone();
        }
        let answer = call();
        *last = Some((now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use schemas::{Code, Refusal};

    use super::*;

    #[test]
    fn many_askers_make_one_call_in_five_seconds() {
        let (health, calls) = (Health::default(), AtomicUsize::new(0));
        let at = |micros: i64| Timestamp::from_micros(1_000_000_000 + micros);
        let down = || {
            calls.fetch_add(1, Ordering::SeqCst);
            Err(Refusal::new(Code::PeerUnreachable, "the vault does not answer"))
        };
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| assert_eq!(health.ask(at(0), down).unwrap_err().code, Code::PeerUnreachable));
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let up = || {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        assert_eq!(health.ask(at(4_999_999), up).unwrap_err().code, Code::PeerUnreachable);
        assert_eq!(health.ask(at(5_000_000), up), Ok(()));
        assert_eq!(health.ask(at(5_000_001), down), Ok(()));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        // A clock that was put back keeps no answer for ever.
        assert_eq!(health.ask(at(-1_000_000_000), up), Ok(()));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }
}
