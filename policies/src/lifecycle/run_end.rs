//! Runs that end without output: stopped from outside, or fallen silent.

use schemas::envelope::Envelope;
use schemas::event::Abort;
use schemas::id::{Did, RunId};
use schemas::party::Kind;
use schemas::{Code, R, Refusal, Timestamp};

use super::table::Table;
use super::{AbortFact, RunRow, RunState, State, read};

impl State {
    pub(super) fn check_abort(&self, envelope: &Envelope<Abort>) -> R<()> {
        let run = self.require_run(&read(envelope)?.run_id)?;
        let job = self.job_of(run)?;
        let contracts = self.contracts_of(job)?;
        self.signed_by_party_or_two_people(envelope, |holder| {
            let tdp = |did: &Did| contracts.iter().any(|(_, c)| c.role_of(did) == Some(Kind::Tdp));
            holder == job.tdc.as_str() || Did::parse(holder).is_ok_and(|did| tdp(&did))
        })?;
        if run.alive() { Ok(()) } else { Err(Refusal::new(Code::RunState, "the run has ended already")) }
    }

    pub(super) fn fold_abort(&mut self, index: u64, envelope: &Envelope<Abort>) -> R<()> {
        let run_id = read(envelope)?.run_id;
        self.ended(&run_id, AbortFact::FromOutside { index });
        self.return_deposits(index, &run_id)
    }

    /// Runs that may still complete.
    pub fn living(&self) -> impl Iterator<Item = &RunId> {
        self.living.iter().map(|(id, _)| id)
    }

    /// That nothing was heard is the service's word; a run that checked in a minute ago was heard of.
    pub(super) fn check_lost(&self, id: &RunId, now: Timestamp) -> R<()> {
        let run = self.require_run(id)?;
        if !run.alive() {
            return Err(Refusal::new(Code::RunState, "the run has ended already"));
        }
        if now < run.checked_in_at.plus_seconds(LEAST_SILENCE_SECONDS) {
            return Err(Refusal::new(Code::RunState, "the run checked in just now"));
        }
        Ok(())
    }

    pub(super) fn fold_lost(&mut self, index: u64, id: &RunId) -> R<()> {
        self.ended(id, AbortFact::Silent { index });
        self.return_deposits(index, id)
    }

    fn ended(&mut self, id: &RunId, how: AbortFact) {
        if let Some(run) = self.runs.get_mut(id) {
            run.state = RunState::Aborted;
            run.aborted = Some(how);
        }
        self.living.remove(id);
    }
}

/// The runs that may still complete, of all runs.
pub(super) fn living(runs: &Table<RunId, RunRow>) -> Table<RunId, ()> {
    let mut living = Table::default();
    runs.iter().filter(|(_, run)| run.alive()).for_each(|(id, _)| living.put(id.clone(), ()));
    living
}

/// A run is not lost before its Admission is too old for any key service.
const LEAST_SILENCE_SECONDS: i64 = 60;
