//! Refund: a charge returns only against the logged word of the room that it stopped before its first step.

use schemas::bundle::Logged;
use schemas::event::RunEventKind;
use schemas::id::RunId;
use schemas::release::{KmsReceipt, KmsStatement, RefundRequest};
use schemas::{Code, Envelope, R, Refusal};

use crate::journal::{self, Statement};
use crate::kms::{Kms, RunBook};
use crate::rows;
use crate::run::{self, State};

impl Kms {
    /// Returns the charge of a run. The same abort again gets the same receipt.
    pub fn refund(&self, run_id: &RunId, request: RefundRequest) -> R<Envelope<KmsReceipt>> {
        let now = self.now();
        let refused = |why: &str| Refusal::new(Code::RefundRefused, why);
        let row = self.run(run_id)?;
        let run_jwk = row.run_jwk()?;
        let book = RunBook { run_id: run_id.as_str(), run_jwk: &run_jwk };
        let trust = &self.trust(request.log_keys.as_ref())?;
        let logged = Logged { envelope: request.aborted, receipt: request.receipt };
        let aborted = signing::entered(logged, &trust.registry, &book, &trust.origin, trust)?;
        if aborted.run_id != *run_id {
            return Err(refused("the event is of another run"));
        }
        if !matches!(aborted.event, RunEventKind::Aborted { steps_run: 0, .. }) {
            return Err(refused("only an abort before the first step returns a charge"));
        }
        let aborted_sha256 = aborted.digest();
        self.store.transact(|c| {
            rows::check(c, &self.store.key, run_id.as_str(), &[], now)?;
            let row = run::find(c, run_id)?.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run is gone"))?;
            let (envelope, last) = self.receipt(c, row.last_seq)?;
            if last.job_sha256 != aborted.job_sha256 {
                return Err(refused("the event is of another job").into());
            }
            match (row.state(now)?, &last.statement) {
                (State::Charged, _) => {}
                (State::Refunded, KmsStatement::Refunded { aborted_sha256: first }) if *first == aborted_sha256 => {
                    return Ok(envelope);
                }
                (State::Reserved | State::Expired, _) => {
                    return Err(refused("nothing was charged: a reservation ends by itself").into());
                }
                (State::Committed, _) => return Err(refused("the run committed an output").into()),
                (State::Refunded, _) => return Err(refused("the charge was returned before").into()),
            }
            let what = KmsStatement::Refunded { aborted_sha256 };
            let (seq, receipt) = journal::append(c, &self.book(), Statement::as_in(&last), what, now)?;
            run::give_back(c, run_id.as_str(), seq)?;
            tracing::info!(run_id = run_id.as_str(), seq, "charge returned");
            Ok(receipt)
        })
    }
}
