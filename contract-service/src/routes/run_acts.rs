//! What a run does after check-in: receipts of key services, events, abort, completion, hand-over.

use std::time::Instant;

use policies::lifecycle::{RunRow, RunState, State};
use schemas::desk::{CompletionAnswer, ContentKey, KmsReceipts, Receipted, ReceiptedAll, RunView};
use schemas::event::{Abort, Body, Completion, RunEvent};
use schemas::id::RunId;
use schemas::{Code, Envelope, R, Refusal};

use super::payments::obligation;
use super::receipts::under_witnesses;
use super::two_people::{Collected, collect, waiting};
use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// The most receipts in one call.
const MOST_RECEIPTS: usize = 64;

/// Enters receipts of key services. One that stands in the log already is answered with the receipt of its entry.
pub fn receipts(app: &App, call: &Call) -> R<Answer> {
    let run_id: RunId = call.param("id")?;
    let body: KmsReceipts = call.read()?;
    if body.receipts.len() > MOST_RECEIPTS {
        return Err(Refusal::new(Code::LimitExceeded, "at most 64 receipts in one call"));
    }
    let mut entered = Vec::with_capacity(body.receipts.len());
    for receipt in body.receipts {
        let read = receipt.read_unverified()?;
        same(&run_id, &read.run_id)?;
        let known = app.registry.state().receipt(&read.provider, &read.kms, read.seq).cloned();
        entered.push(match known.filter(|row| row.sha256 == receipt.digest()) {
            Some(row) => app.registry.receipt(row.index)?,
            None => app.enter(Body::KmsStated { receipt })?.receipt,
        });
    }
    Answer::created(&ReceiptedAll { receipts: entered })
}

/// Enters what the room reports.
pub fn report(app: &App, call: &Call) -> R<Answer> {
    let event: Envelope<RunEvent> = call.read()?;
    let run_id: RunId = call.param("id")?;
    same(&run_id, &event.read_unverified()?.run_id)?;
    let receipt = app.enter(Body::RunReported { event })?.receipt;
    app.heard.of(&run_id, Instant::now());
    Answer::created(&Receipted { receipt })
}

/// Enters an abort from outside; that of SRO people once two have signed.
pub fn abort(app: &App, call: &Call) -> R<Answer> {
    let abort: Envelope<Abort> = call.read()?;
    same(&call.param("id")?, &abort.read_unverified()?.run_id)?;
    app.registry.state().require_run(&call.param("id")?)?;
    let body: fn(Envelope<Abort>) -> Body = |abort| Body::RunAborted { abort };
    match collect(app, abort, Some(&body))? {
        Collected::Waiting(signatures) => waiting(signatures),
        Collected::Ready(abort) => Answer::created(&Receipted { receipt: app.enter(body(abort))?.receipt }),
    }
}

/// Enters a completion together with what it owes. Exactly the same again gets the same answer; another is refused.
pub fn complete(app: &App, call: &Call) -> R<Answer> {
    let run_id: RunId = call.param("id")?;
    let completion: Envelope<Completion> = call.read()?;
    let state = app.registry.state();
    let read = completion.read_unverified()?;
    same(&run_id, &read.run_id)?;
    if let Some((index, _, known)) = &state.require_run(&run_id)?.completion {
        if *known != completion {
            return Err(Refusal::new(
                Code::CompletionExists,
                "the run has its completion already, and this is another one",
            ));
        }
        let receipt = app.registry.receipt(*index)?;
        let obligations = state.listed_obligations(state.require_run(&run_id)?);
        return Answer::ok(&CompletionAnswer { receipt, obligations });
    }
    // Another run under the contract may complete meanwhile and change what a stepped price gives.
    let mut tries = 0;
    loop {
        let obligations = app.registry.state().complete_obligations(&read)?;
        let body = Body::RunCompleted { completion: completion.clone(), obligations: obligations.clone() };
        match app.enter(body) {
            Ok(entry) => return Answer::created(&CompletionAnswer { receipt: entry.receipt, obligations }),
            Err(refusal) if refusal.field.as_deref() == Some("obligations") && tries < 8 => tries += 1,
            Err(refusal) => return Err(refusal),
        }
    }
}

/// A run, for those who may read about its job. That an overseer reads it is entered first.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let run = readable(app, call, &state)?;
    oversight::enter(app, &caller(app, call, &state)?, run.index, 1)?;
    let set =
        state.image_set(&run.image_set_id).ok_or_else(|| Refusal::new(Code::Internal, "a run without image set"))?;
    let receipt = run.completion.as_ref().map(|(index, ..)| under_witnesses(app, *index)).transpose()?;
    Answer::ok(&RunView {
        run_id: run.run_id.clone(),
        job_sha256: run.job_sha256,
        state: super::word(&run.state)?,
        evidence: set.image_set.profile,
        assurance: run.assurance,
        run_jwk: run.run_jwk.clone(),
        enc_jwk: run.enc_jwk.clone(),
        completion: run.completion.as_ref().map(|(_, _, envelope)| envelope.clone()),
        receipt,
        obligations: state.payments_of(&run.run_id).map(obligation).collect::<R<_>>()?,
        listed: state.listed_obligations(run),
    })
}

/// Hands out the wrapped content key: to the TDC alone, after the completion and its payments stand in the log.
pub fn content_key(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let run = readable(app, call, &state)?;
    if state.job_of(run)?.tdc != *caller(app, call, &state)?.did() {
        return Err(Refusal::new(Code::Forbidden, "the content key is for the consumer of the job"));
    }
    let withheld =
        || Refusal::new(Code::KeyWithheld, "the content key is handed out after the completion and its payments");
    let (_, _, envelope) = run.completion.as_ref().ok_or_else(withheld)?;
    if run.state == RunState::Completed {
        let handed = app.enter(Body::ModelHandedOver { run_id: run.run_id.clone() });
        // Two calls at once: the other one has entered the hand-over.
        handed.map(drop).or_else(|e| if e.code == Code::RunState { Ok(()) } else { Err(e) })?;
    }
    let completion = envelope.read_unverified()?;
    let Completion { content_key_jwe, output, certificate, .. } = completion;
    Answer::ok(&ContentKey { content_key_jwe, output, certificate })
}

fn readable<'a>(app: &App, call: &Call, state: &'a State) -> R<&'a RunRow> {
    let caller = caller(app, call, state)?;
    let id: RunId = call.param("id")?;
    let unknown = || Refusal::new(Code::RunUnknown, "no such run is known to you");
    let run = state.run(&id).ok_or_else(unknown)?;
    if caller.reads_job(state, state.job_of(run)?) { Ok(run) } else { Err(unknown()) }
}

fn same(path: &RunId, document: &RunId) -> R<()> {
    if path == document {
        return Ok(());
    }
    Err(Refusal::new(Code::SchemaMismatch, "the document names another run than the path").at("run_id"))
}
