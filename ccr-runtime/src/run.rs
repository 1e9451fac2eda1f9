//! The walk of a run, top to bottom, one line per step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use schemas::bundle::JobBundle;
use schemas::id::RunId;
use schemas::log::Receipt;
use schemas::privacy::Plan;
use schemas::{Code, Digest, R, Refusal};

use crate::admit::{Admitted, admit};
use crate::group::lead;
use crate::lease::Lease;
use crate::output::Sealed;
use crate::room::{Progress, Room};
use crate::session::Session;
use crate::{keys, open, output, report, session, upload, weights, worker};

/// A finished run.
#[derive(Debug)]
pub struct Completed {
    /// The run.
    pub run_id: RunId,
    /// The privacy plan that was carried out.
    pub plan: Plan,
    /// SHA-256 of the sealed model.
    pub output: Digest,
    /// Where it lies.
    pub url: String,
    /// Receipt of the completion's entry.
    pub receipt: Receipt,
}

/// Receives progress.
pub type Tell<'a> = &'a mut dyn FnMut(Progress);

/// Carries out one job, once. Any refusal after check-in is reported to the log as an abort; budget comes back only
/// where no training step was run.
pub fn run(bundle: JobBundle, room: &Room, tell: Tell<'_>) -> R<Completed> {
    let job = admit(bundle, room)?;
    tell(Progress::Admitted { job: job.opened.job.digest() });
    lead::enough(&job, room)?;
    let mut session = session::check_in(&job, room)?;
    tell(Progress::CheckedIn { run: session.run_id.clone() });
    // A fault of this program, too, ends the run with a word in the log, so that its charge can come back.
    let walked = catch_unwind(AssertUnwindSafe(|| in_session(&job, &mut session, room, tell)));
    match walked.unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "the room failed within"))) {
        Ok(completed) => Ok(completed),
        Err(refusal) => {
            report::aborted(&job, &session, room, &refusal);
            Err(refusal)
        }
    }
}

fn in_session(job: &Admitted, session: &mut Session, room: &Room, tell: Tell<'_>) -> R<Completed> {
    upload::writable(&job.output.upload, &session.run_id, room)?;
    lead::gather(job, session, room)?;
    // First of all, so that no budget is held for weights that are not to be had.
    let weights = weights::open(job, session, room, tell)?;
    let reserved = keys::reserve(job, session, room, tell)?;
    let keys = keys::release(job, session, reserved, room, tell)?;
    let lease = Lease::start(session, room)?;
    room.goes_on()?;
    let data = open::open(job, &keys, room)?;
    tell(Progress::Opened { objects: data.len() });
    // From here on the data keys are not needed any more.
    drop(keys);
    let mut delivered = worker::train(job, session, data, weights, &lease, room, tell)?;
    let model = std::mem::take(&mut *delivered.model);
    let configuration = schemas::worker::configuration(&job.join, &job.training, &job.plan)?;
    let checked = policies::output::decide(delivered.outcome, model, &job.plan, &configuration, job.output.kind)?;
    let sealed = output::seal(checked, job, session)?;
    room.goes_on()?;
    let commits = lease.commit(job, session, &sealed, room)?;
    tell(Progress::Committed { output: sealed.sha256 });
    let url = upload::upload(&sealed, &job.output.upload, &session.run_id, room)?;
    tell(Progress::Uploaded { url: url.clone() });
    let Sealed { sha256, .. } = sealed;
    let receipt = report::complete(job, session, sealed, commits, &url, room)?;
    Ok(Completed { run_id: session.run_id.clone(), plan: job.plan.clone(), output: sha256, url, receipt })
}

/// The refusal of a run whose lease was lost.
pub(crate) fn lease_lost(cause: Option<Refusal>) -> Refusal {
    cause.unwrap_or_else(|| Refusal::new(Code::LeaseExpired, "a key service renews no more; keys are wiped"))
}
