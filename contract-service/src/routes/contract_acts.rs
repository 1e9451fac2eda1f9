//! Acts on contracts besides proposing and signing. What needs two SRO people may come one signature at a time.

use registry::Entry;
use schemas::contract::{
    ContractDecline, ContractRef, ContractResume, ContractRevoke, ContractSuspend, ContractTerminate, ContractWithdraw,
};
use schemas::desk::ContractAnswer;
use schemas::envelope::Document;
use schemas::event::Body;
use schemas::id::ContractId;
use schemas::{Code, Digest, Envelope, R, Refusal};

use super::contracts::unknown;
use super::two_people::{Collected, collect, waiting};
use crate::app::App;
use crate::call::{Answer, Call};

/// Enters a party's refusal to sign, or that of two SRO people in place of countersigning.
pub fn decline(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractDecline| &d.contract, |decline| Body::ContractDeclined { decline })
}

/// Enters a revocation by a party that may, or by two SRO people.
pub fn revoke(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractRevoke| &d.contract, |revoke| Body::ContractRevoked { revoke })
}

/// Enters that a proposal or a scheduled contract is taken back.
pub fn withdraw(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractWithdraw| &d.contract, |withdraw| Body::ContractWithdrawn { withdraw })
}

/// Enters a suspension by a TDP or two SRO people.
pub fn suspend(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractSuspend| &d.contract, |suspend| Body::ContractSuspended { suspend })
}

/// Enters the end of a suspension.
pub fn resume(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractResume| &d.contract, |resume| Body::ContractResumed { resume })
}

/// Enters that all parties end the contract.
pub fn terminate(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &ContractTerminate| &d.contract, |terminate| Body::ContractTerminated { terminate })
}

/// The document must name the contract of the path, which must stand in the register before a signature is kept.
fn by_people<T: Document>(
    app: &App,
    call: &Call,
    meant: fn(&T) -> &ContractRef,
    body: fn(Envelope<T>) -> Body,
) -> R<Answer> {
    let document: Envelope<T> = call.read()?;
    let read = document.read_unverified()?;
    let contract = meant(&read).clone();
    if call.param::<ContractId>("id")? != contract.id {
        let sentence = "the document names another contract than the path";
        return Err(Refusal::new(Code::SchemaMismatch, sentence).at("contract.id"));
    }
    app.registry.state().contract_of(&contract)?;
    match collect(app, document, Some(&body))? {
        Collected::Waiting(signatures) => waiting(signatures),
        Collected::Ready(document) => enter(app, &contract.sha256, body(document)),
    }
}

/// Enters an act and answers with the contract's state after it.
pub fn enter(app: &App, sha256: &Digest, body: Body) -> R<Answer> {
    entered(app, sha256, app.enter(body)?)
}

/// The answer to an act that was entered.
pub fn entered(app: &App, sha256: &Digest, entry: Entry) -> R<Answer> {
    let executed = entry.follow_up.map(|next| next.receipt);
    let state = app.registry.state();
    let now = state.contract_state(sha256, app.now()).ok_or_else(unknown)?;
    Answer::created(&ContractAnswer { receipt: entry.receipt, state: now, executed })
}
