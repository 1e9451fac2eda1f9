//! How far living runs have got, as their rooms say: in memory alone, never in the log. Each says at most one step a second,
//! and only forwards.
//!
//! A process tells what rooms said to it; listeners at another process of the same log hear nothing, and read on in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use policies::budget;
use policies::lifecycle::{RunState, State};
use schemas::desk::RunStep;
use schemas::id::RunId;
use schemas::privacy::{DatasetCharge, Mechanism};
use schemas::release::KmsStatement;
use schemas::{Code, R, Refusal, Timestamp};
use tokio::sync::broadcast;

/// The least time between two steps of a run: rooms speak once a second, and networks squeeze that.
const APART: Duration = Duration::from_millis(800);
/// Runs that are remembered; the one that was silent longest is forgotten first.
const MOST: usize = 1024;
/// Steps told ahead of a slow listener, who misses what it is behind.
const AHEAD: usize = 256;

/// The newest step of each run.
pub(crate) struct Steps {
    newest: Mutex<BTreeMap<RunId, (Instant, Arc<RunStep>)>>,
    hub: broadcast::Sender<Arc<RunStep>>,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { newest: Mutex::default(), hub: broadcast::channel(AHEAD).0 }
    }
}

impl Steps {
    fn all(&self) -> MutexGuard<'_, BTreeMap<RunId, (Instant, Arc<RunStep>)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears every step from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<RunStep>> {
        self.hub.subscribe()
    }

    /// The newest step of every run that is remembered.
    pub(crate) fn newest(&self) -> Vec<Arc<RunStep>> {
        self.all().values().map(|(_, step)| step.clone()).collect()
    }

    /// Whether a run may say this step now.
    pub(crate) fn ready(&self, run: &RunId, step: u32, now: Instant) -> R<()> {
        match self.all().get(run) {
            Some((at, told)) => follows(*at, told, step, now),
            None => Ok(()),
        }
    }

    /// Remembers a step and tells it.
    pub(crate) fn tell(&self, step: RunStep, now: Instant) -> R<()> {
        let mut all = self.all();
        match all.get(&step.run_id) {
            Some((at, told)) => follows(*at, told, step.step, now)?,
            None if all.len() >= MOST => {
                let silent = all.iter().min_by_key(|(_, (at, _))| *at).map(|(run, _)| run.clone());
                if let Some(run) = silent {
                    all.remove(&run);
                }
            }
            None => {}
        }
        let step = Arc::new(step);
        all.insert(step.run_id.clone(), (now, step.clone()));
        // Nobody listens: nobody misses it.
        drop(self.hub.send(step));
        Ok(())
    }
}

fn follows(at: Instant, told: &RunStep, step: u32, now: Instant) -> R<()> {
    if step <= told.step {
        return Err(Refusal::new(Code::RequestReplayed, "the run is at this step or beyond it already").at("step"));
    }
    if now.saturating_duration_since(at) < APART {
        return Err(Refusal::new(Code::RateLimited, "a run says a step at most once a second"));
    }
    Ok(())
}

/// What a step of a run means by the log: how many there are, and the ε of those that are done by the charges that key
/// services stated. Refused where the room has no keys, or has its output fixed already.
pub(crate) fn of(state: &State, run_id: &RunId, step: u32, at: Timestamp) -> R<RunStep> {
    let run = state.require_run(run_id)?;
    if !matches!(run.state, RunState::KeysReleased | RunState::Training) {
        return Err(Refusal::new(Code::RunState, "a step is told between the release of keys and the output"));
    }
    let released =
        state.receipts_of(run_id).filter(|row| matches!(row.receipt.statement, KmsStatement::Released { .. }));
    let charges: Vec<&DatasetCharge> = released.flat_map(|row| &row.receipt.charges).collect();
    let steps =
        charges.iter().flat_map(|charge| charge.mechanisms.iter().filter_map(planned)).max().unwrap_or_default();
    if step == 0 || step > steps {
        return Err(Refusal::new(Code::LimitExceeded, "the plan has no such step").at("step"));
    }
    let costs = charges.iter().map(|charge| cost(charge, step)).collect::<R<Vec<_>>>()?;
    let epsilon_micro = costs.into_iter().collect::<Option<Vec<u64>>>().and_then(|all| all.into_iter().max());
    Ok(RunStep { run_id: run_id.clone(), step, steps, epsilon_micro, at })
}

/// The steps of a mechanism that has any.
fn planned(mechanism: &Mechanism) -> Option<u32> {
    match mechanism {
        Mechanism::SampledGaussian { steps, .. } | Mechanism::WithoutDifferentialPrivacy { steps } => Some(*steps),
        Mechanism::Gaussian { .. } => None,
    }
}

/// What so many steps cost a dataset; nothing that could be said where one of its mechanisms is not private.
fn cost(charge: &DatasetCharge, done: u32) -> R<Option<u64>> {
    let mut mechanisms = charge.mechanisms.clone();
    // Metrics are noised once, at the end.
    mechanisms.retain(|one| planned(one).is_some());
    for mechanism in &mut mechanisms {
        match mechanism {
            Mechanism::SampledGaussian { steps, .. } => *steps = done.min(*steps),
            _ => return Ok(None),
        }
    }
    Ok(Some(budget::vector(&mechanisms)?.epsilon_micro(budget::delta_atto(&charge.delta)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(run: u128, step: u32) -> RunStep {
        let run_id = RunId::new(uuid::Uuid::from_u128(run));
        RunStep { run_id, step, steps: 100, epsilon_micro: None, at: Timestamp::from_micros(0) }
    }

    #[test]
    fn steps_go_forwards_at_most_once_a_second_and_few_runs_are_remembered() {
        let (steps, start) = (Steps::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        steps.tell(step(1, 5), at(0)).unwrap();
        let refused = |one: RunStep, millis| {
            assert_eq!(steps.ready(&one.run_id, one.step, at(millis)), steps.tell(one.clone(), at(millis)));
            steps.tell(one, at(millis)).unwrap_err().code
        };
        assert_eq!(refused(step(1, 5), 2000), Code::RequestReplayed);
        assert_eq!(refused(step(1, 4), 2000), Code::RequestReplayed);
        assert_eq!(refused(step(1, 6), 500), Code::RateLimited);
        steps.tell(step(2, 1), at(500)).unwrap();
        steps.tell(step(1, 6), at(1000)).unwrap();
        let told: Vec<u32> = steps.newest().iter().map(|one| one.step).collect();
        assert_eq!(told, [6, 1]);
        for run in 3..2000 {
            steps.tell(step(run, 1), at(2000)).unwrap();
        }
        assert_eq!(steps.newest().len(), MOST);
    }
}
