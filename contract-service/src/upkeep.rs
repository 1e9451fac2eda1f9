//! Work beside the calls: the writer's pulse for `/readyz`, new certificates, old answers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use schemas::{Code, R, Refusal};

use crate::app::App;

/// How often the writer's pulse is taken.
const PULSE: Duration = Duration::from_millis(500);
/// The longest that the writer may need for nothing at all.
const LAG: i64 = 1_000_000;
/// How old the last pulse may be.
const OLD: Duration = Duration::from_secs(5);

/// The writer's pulse.
pub struct Pulse {
    start: Instant,
    /// Microseconds after `start` at which the writer answered last; before the first answer the start counts.
    at: AtomicI64,
    /// Microseconds that it needed, or why it did not answer.
    lag: AtomicI64,
}

const FAILED: i64 = -1;
const FOLLOWER: i64 = -2;

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { start: Instant::now(), at: AtomicI64::new(0), lag: AtomicI64::new(0) }
    }
}

impl Pulse {
    /// The microseconds that the writer needed last; none where another process is the writer. Refuses where it is late
    /// or failed.
    pub fn lag(&self) -> R<Option<i64>> {
        let late = || Refusal::new(Code::Unavailable, "the service is not ready: its writer does not answer in time");
        let age = micros(self.start.elapsed()) - self.at.load(Ordering::Relaxed);
        if age > micros(OLD) {
            return Err(late());
        }
        match self.lag.load(Ordering::Relaxed) {
            FOLLOWER => Ok(None),
            lag if (0..LAG).contains(&lag) => Ok(Some(lag)),
            _ => Err(late()),
        }
    }

    fn take(&self, app: &App) {
        let begun = Instant::now();
        // With nothing to purge this writes nothing; it takes its turn with the writer all the same.
        let lag = match app.registry.purge_answers(app.now()) {
            Ok(_) => micros(begun.elapsed()),
            Err(refusal) if refusal.code == Code::NotWriter => FOLLOWER,
            Err(_) => FAILED,
        };
        self.lag.store(lag, Ordering::Relaxed);
        self.at.store(micros(self.start.elapsed()), Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Does it until the service stops.
pub fn forever(app: &App) {
    while !app.stopping() {
        app.pulse.take(app);
        match app.tls.as_ref().map(crate::tls::Tls::reload) {
            Some(Ok(true)) => tracing::info!("a new certificate is served"),
            Some(Err(refusal)) => {
                tracing::warn!(cause = %refusal, "the new certificate is refused; the old one is served")
            }
            Some(Ok(false)) | None => {}
        }
        let until = Instant::now() + PULSE;
        while Instant::now() < until && !app.stopping() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
