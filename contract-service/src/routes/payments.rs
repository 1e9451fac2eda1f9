//! Payments: what is owed, and the payment system's answers.

use policies::lifecycle::PaymentRow;
use schemas::desk::{ObligationView, PaymentAnswer, PaymentList, Receipted};
use schemas::event::{Body, PaymentCallback};
use schemas::id::{ContractId, DisputeId};
use schemas::term::RevenueStatement;
use schemas::{Envelope, R};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size_or_largest};

/// A page of the payments that the caller may read about, of one contract if asked; `cursor` is the id of the last one
/// before. That an overseer reads them is entered first: from the first completion that they are of to the last.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size_or_largest(call)?;
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let wanted = call.query.get("contract").map(|text| ContractId::parse(text)).transpose()?;
    let after = call.query.get("cursor").map(String::as_str).unwrap_or_default();
    let (mut payments, mut entries, mut more) = (Vec::new(), Vec::new(), false);
    for row in state.payments().filter(|row| row.obligation.instruction_id.as_str() > after) {
        let contract = &row.obligation.contract;
        if wanted.as_ref().is_some_and(|id| *id != contract.id) || !caller.reads(&state.contract_of(contract)?.contract)
        {
            continue;
        }
        more = payments.len() == limit;
        if more {
            break;
        }
        payments.push(obligation(row)?);
        entries.push(row.index);
    }
    if let (Some(first), Some(last)) = (entries.iter().min(), entries.iter().max()) {
        oversight::enter(app, &caller, *first, last - first + 1)?;
    }
    let next = payments.last().filter(|_| more).map(|payment: &ObligationView| payment.instruction_id.clone());
    Answer::ok(&PaymentList { payments, next })
}

/// Enters the payment system's answer; the same answer again changes nothing.
pub fn callback(app: &App, call: &Call) -> R<Answer> {
    let callback: Envelope<PaymentCallback> = call.read()?;
    let instruction = callback.read_unverified()?.instruction_id;
    let known = |app: &App| app.registry.state().payment(&instruction).cloned();
    let dispute = DisputeId::derived(&callback.digest());
    let in_suspense = |app: &App| app.registry.state().dispute(&dispute).is_some();
    let again = known(app).is_some_and(|row| row.answers.contains(&callback.digest())) || in_suspense(app);
    if !again {
        app.enter(Body::PaymentAnswered { callback })?;
    }
    if in_suspense(app) {
        // Money that no instruction explains.
        return Answer::ok(&PaymentAnswer { state: "suspense".to_owned() });
    }
    let state = known(app).map(|row| super::word(&row.state)).transpose()?.unwrap_or_default();
    Answer::ok(&PaymentAnswer { state })
}

/// Enters what a consumer earned in a period; what it owes follows in the same entry.
pub fn state_revenue(app: &App, call: &Call) -> R<Answer> {
    let statement: Envelope<RevenueStatement> = call.read()?;
    let receipt = app.enter(Body::RevenueStated { statement })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// An obligation as it is shown.
pub fn obligation(row: &PaymentRow) -> R<ObligationView> {
    let o = &row.obligation;
    Ok(ObligationView {
        instruction_id: o.instruction_id.clone(),
        contract: o.contract.clone(),
        run_id: o.run_id.clone().or(row.run.clone()),
        job_sha256: o.job_sha256,
        period: o.period,
        term_id: o.term_id.clone(),
        line: o.line,
        payer: o.payer.clone(),
        payee: o.payee.clone(),
        currency: o.currency,
        amount_minor: o.amount_minor,
        state: super::word(&row.state)?,
        standing: Some(row.standing.as_str().to_owned()),
        due_at: row.due_at,
        attempt: row.attempt,
    })
}
