//! When each living run was last heard of. A room fetches an Admission every ten seconds while it holds keys, and ends
//! by itself where it gets none: one that is silent for minutes is gone, and its run ends in the log.
//!
//! Silence is measured with the machine's steady clock, so that a clock that is set ends no run, and from the first time
//! that this process saw the run alive as the writer: a start, or a change of the writer, begins anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schemas::id::RunId;

/// Moments by run.
#[derive(Default)]
pub struct Heard(Mutex<BTreeMap<RunId, Instant>>);

impl Heard {
    fn all(&self) -> MutexGuard<'_, BTreeMap<RunId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run spoke now, with its key.
    pub fn of(&self, run: &RunId, now: Instant) {
        if let Some(at) = self.all().get_mut(run) {
            *at = now;
        }
    }

    /// Forgets everything: another process writes.
    pub fn nothing(&self) {
        self.all().clear();
    }

    /// Those of the living runs that have been silent for so long. A run that is new here counts as heard of now.
    pub fn silent(&self, living: impl Iterator<Item = RunId>, most: Duration, now: Instant) -> Vec<RunId> {
        let mut all = self.all();
        let living: BTreeMap<RunId, Instant> =
            living.map(|run| (run.clone(), all.get(&run).copied().unwrap_or(now))).collect();
        let over = living.iter().filter(|(_, at)| now.saturating_duration_since(**at) >= most);
        let silent = over.map(|(run, _)| run.clone()).collect();
        *all = living;
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u128) -> RunId {
        RunId::new(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_run_is_silent_from_its_last_word_and_not_from_before_it_was_seen() {
        let (heard, start, most) = (Heard::default(), Instant::now(), Duration::from_secs(600));
        let at = |seconds| start + Duration::from_secs(seconds);
        let silent = |runs: &[u128], seconds| heard.silent(runs.iter().map(|n| run(*n)), most, at(seconds));
        heard.of(&run(1), at(0));
        assert!(silent(&[1], 5000).is_empty(), "seen alive for the first time");
        heard.of(&run(1), at(5300));
        assert!(silent(&[1, 2], 5700).is_empty());
        assert_eq!(silent(&[1, 2], 5900), [run(1)], "600 s after its word");
        assert_eq!(silent(&[2], 6300), [run(2)]);
        // A writer anew knows nothing of before.
        heard.nothing();
        assert!(silent(&[1, 2], 9000).is_empty());
        // A run that ended is forgotten.
        assert!(silent(&[], 9100).is_empty() && silent(&[1], 20_000).is_empty());
    }
}
