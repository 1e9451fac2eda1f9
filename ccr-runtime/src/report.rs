//! Reports of a run to the log: events, completion, abort.

use schemas::event::{CompletedOutput, Completion, RunEvent, RunEventKind};
use schemas::log::Receipt;
use schemas::release::{KmsReceipt, RefundRequest};
use schemas::{Document, Envelope, R, Refusal};

use crate::admit::Admitted;
use crate::output::{Sealed, certify};
use crate::room::Room;
use crate::session::Session;

/// Signs and posts a run event; returns it with the receipt of its entry.
pub fn event(job: &Admitted, session: &Session, room: &Room, event: RunEventKind) -> R<(Envelope<RunEvent>, Receipt)> {
    let event = RunEvent {
        schema: RunEvent::SCHEMA.into(),
        registry: room.trust.registry.clone(),
        run_id: session.run_id.clone(),
        job_sha256: job.opened.job.digest(),
        event,
        at: room.now(),
    };
    let envelope = signing::sign(&event, &session.run_key, room.now())?;
    let receipt = room.desk.report(&session.run_id, &envelope)?;
    Ok((envelope, receipt))
}

/// Sends the completion and verifies the receipt of its entry.
pub fn complete(
    job: &Admitted,
    session: &Session,
    sealed: Sealed,
    commits: Vec<Envelope<KmsReceipt>>,
    url: &str,
    room: &Room,
) -> R<Receipt> {
    let completion = Completion {
        schema: Completion::SCHEMA.into(),
        registry: room.trust.registry.clone(),
        run_id: session.run_id.clone(),
        job_sha256: job.opened.job.digest(),
        contracts: job.contract_refs(),
        image_set_id: job.opened.job.image_set_id.clone(),
        steps: job.plan.steps,
        output: CompletedOutput {
            kind: job.output.kind.as_str().into(),
            sha256: sealed.sha256,
            bytes: sealed.bytes.len() as u64,
            url: url.into(),
        },
        certificate: certify(&sealed, job, session, room)?,
        content_key_jwe: sealed.content_key_jwe,
        release_receipts: session.released.clone(),
        commit_receipts: commits,
        at: room.now(),
    };
    let envelope = signing::sign(&completion, &session.run_key, room.now())?;
    let answer = room.desk.complete(&session.run_id, &envelope)?;
    let body = schemas::event::Body::RunCompleted { completion: envelope, obligations: answer.obligations };
    receipt_holds(&answer.receipt, &body, session, room)?;
    Ok(answer.receipt)
}

/// The receipt is the log's: under a key that the session knows, or under one that followed on it meanwhile.
fn receipt_holds(receipt: &Receipt, body: &schemas::event::Body, session: &Session, room: &Room) -> R<()> {
    let trust = session.book.trust();
    let Err(refusal) = signing::verify_receipt(receipt, body, &trust.origin, trust) else { return Ok(()) };
    let Ok(lineage) = room.desk.log_keys() else { return Err(refusal) };
    let trust = trust.following(&lineage)?;
    signing::verify_receipt(receipt, body, &trust.origin, &trust).map(drop)
}

/// Tells the log that the run gave up and, where no step was run, asks the key services for the charge back.
///
/// Best effort: the refusal that ended the run is what the caller reports; a lost abort costs the charge only.
pub fn aborted(job: &Admitted, session: &Session, room: &Room, cause: &Refusal) {
    let kind = RunEventKind::Aborted { steps_run: session.steps_run, code: cause.code.to_string() };
    let Ok((aborted, receipt)) = event(job, session, room, kind) else { return };
    if session.steps_run > 0 || session.released.is_empty() {
        return;
    }
    // The receipt may be under a key that came since the room checked in; what the log shows leads there, or changes nothing.
    let shown = room.desk.log_keys().ok().filter(|lineage| !lineage.is_plain());
    let log_keys = shown.or_else(|| session.book.trust().lineage.shown().cloned());
    let mut refunds = Vec::new();
    for kms in session.services.values() {
        let request = RefundRequest { aborted: aborted.clone(), receipt: receipt.clone(), log_keys: log_keys.clone() };
        if let Ok(refund) = kms.refund(&session.run_id, &request, &session.book) {
            refunds.push(refund.envelope().clone());
        }
    }
    if !refunds.is_empty() {
        let _ = room.desk.kms_receipts(&session.run_id, &refunds);
    }
}
