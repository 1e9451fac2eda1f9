//! Payments: what is owed, and the payment system's answers.

use policies::lifecycle::PaymentRow;
use schemas::desk::{ObligationView, PaymentAnswer, PaymentList};
use schemas::event::{Body, PaymentCallback};
use schemas::id::ContractId;
use schemas::{Envelope, R};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// Payments that the caller may read about, of one contract if asked. That an overseer reads them is entered first: from
/// the first completion that they are of to the last.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let wanted = call.query.get("contract").map(|text| ContractId::parse(text)).transpose()?;
    let (mut payments, mut entries) = (Vec::new(), Vec::new());
    for row in state.payments() {
        let contract = &row.obligation.contract;
        if wanted.as_ref().is_some_and(|id| *id != contract.id) || !caller.reads(&state.contract_of(contract)?.contract)
        {
            continue;
        }
        payments.push(obligation(row)?);
        entries.push(row.index);
    }
    if let (Some(first), Some(last)) = (entries.iter().min(), entries.iter().max()) {
        oversight::enter(app, &caller, *first, last - first + 1)?;
    }
    Answer::ok(&PaymentList { payments })
}

/// Enters the payment system's answer; the same answer again changes nothing.
pub fn callback(app: &App, call: &Call) -> R<Answer> {
    let callback: Envelope<PaymentCallback> = call.read()?;
    let instruction = callback.read_unverified()?.instruction_id;
    let known = |app: &App| app.registry.state().payment(&instruction).cloned();
    let again = known(app).and_then(|row| row.answer).is_some_and(|(_, sha256)| sha256 == callback.digest());
    if !again {
        app.enter(Body::PaymentAnswered { callback })?;
    }
    let state = known(app).map(|row| super::word(&row.state)).transpose()?.unwrap_or_default();
    Answer::ok(&PaymentAnswer { state })
}

/// An obligation as it is shown.
pub fn obligation(row: &PaymentRow) -> R<ObligationView> {
    let o = &row.obligation;
    Ok(ObligationView {
        instruction_id: o.instruction_id.clone(),
        contract: o.contract.clone(),
        run_id: o.run_id.clone(),
        term_id: o.term_id.clone(),
        payer: o.payer.clone(),
        payee: o.payee.clone(),
        currency: o.currency,
        amount_minor: o.amount_minor,
        state: super::word(&row.state)?,
    })
}
