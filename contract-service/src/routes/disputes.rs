//! Disputes, and money that nobody can place.

use policies::lifecycle::{About, DisputeRow, State};
use schemas::bundle::Logged;
use schemas::desk::{DisputeList, DisputeReceipt, DisputeView};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched, Ruling};
use schemas::envelope::Document;
use schemas::event::Body;
use schemas::id::{ContractId, DisputeId};
use schemas::{Code, Envelope, R, Refusal};

use super::two_people::{Collected, collect};
use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call, page_size_or_largest};

/// A page of the disputes that the caller may read about, of one contract if asked; `cursor` is the id of the last one
/// before. That an overseer reads them is entered first.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size_or_largest(call)?;
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let wanted = call.query.get("contract").map(|text| ContractId::parse(text)).transpose()?;
    let after = call.query.get("cursor").map(|text| DisputeId::parse(text)).transpose()?;
    let rows = state.disputes().filter(|row| after.as_ref().is_none_or(|after| row.dispute_id > *after));
    let rows = rows.filter(|row| wanted.is_none() || wanted == contract_of(&state, row));
    let mut rows = rows.filter(|row| concerns(&state, &caller, row));
    let page: Vec<&DisputeRow> = rows.by_ref().take(limit).collect();
    let next = page.last().filter(|_| rows.next().is_some()).map(|row| row.dispute_id.to_string());
    let entries = page.iter().map(|row| row.opened.0);
    if let (Some(first), Some(last)) = (entries.clone().min(), entries.max()) {
        oversight::enter(app, &caller, first, last - first + 1)?;
    }
    let disputes = page.into_iter().map(|row| view(app, &state, row)).collect::<R<_>>()?;
    Answer::ok(&DisputeList { disputes, next })
}

/// One dispute.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let unknown = || Refusal::new(Code::DisputeUnknown, "no such dispute concerns you");
    let row = state.dispute(&call.param("id")?).filter(|row| concerns(&state, &caller, row)).ok_or_else(unknown)?;
    oversight::enter(app, &caller, row.opened.0, 1)?;
    Answer::ok(&view(app, &state, row)?)
}

/// Enters a party's dispute.
pub fn open(app: &App, call: &Call) -> R<Answer> {
    let dispute: Envelope<Dispute> = call.read()?;
    let id = dispute.read_unverified()?.dispute_id;
    entered(app, 201, id, Some(Body::DisputeOpened { dispute }))
}

/// Enters the other side's answer.
pub fn answer(app: &App, call: &Call) -> R<Answer> {
    let answer: Envelope<DisputeAnswer> = call.read()?;
    let id = meant(call, answer.read_unverified()?.dispute_id)?;
    entered(app, 201, id, Some(Body::DisputeAnswered { answer }))
}

/// Enters the ruling of two SRO people, who may sign one after the other.
pub fn rule(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &DisputeRuling| &d.dispute_id, |ruling| Body::DisputeRuled { ruling })
}

/// Enters the end of a ruled dispute, by its opener or two SRO people.
pub fn close(app: &App, call: &Call) -> R<Answer> {
    by_people(app, call, |d: &DisputeClose| &d.dispute_id, |close| Body::DisputeClosed { close })
}

/// Enters money that a payment service provider cannot place; the same statement again changes nothing.
pub fn unmatched(app: &App, call: &Call) -> R<Answer> {
    let unmatched: Envelope<PaymentUnmatched> = call.read()?;
    let id = DisputeId::derived(&unmatched.digest());
    let known = app.registry.state().dispute(&id).is_some();
    entered(app, 200, id, (!known).then_some(Body::PaymentUnmatched { unmatched }))
}

/// Whether a caller may read about the dispute with this id.
pub(super) fn reads(state: &State, caller: &Caller, id: &str) -> bool {
    let row = DisputeId::parse(id).ok().and_then(|id| state.dispute(&id).cloned());
    row.is_some_and(|row| concerns(state, caller, &row))
}

/// Of the parties of its contract, of the provider that holds the money, and of those who oversee.
fn concerns(state: &State, caller: &Caller, row: &DisputeRow) -> bool {
    let of_contract = || {
        let contract = state.paid_for(row).and_then(|payment| state.contract_of(&payment.obligation.contract).ok());
        contract.is_some_and(|contract| caller.reads(&contract.contract))
    };
    caller.oversees() || row.opener == *caller.did() || of_contract()
}

fn contract_of(state: &State, row: &DisputeRow) -> Option<ContractId> {
    match &row.about {
        About::Obligation(contract, _) => Some(contract.id.clone()),
        About::Suspense(_) => state.paid_for(row).map(|payment| payment.obligation.contract.id.clone()),
    }
}

fn by_people<T: Document>(
    app: &App,
    call: &Call,
    named: fn(&T) -> &DisputeId,
    body: fn(Envelope<T>) -> Body,
) -> R<Answer> {
    let document: Envelope<T> = call.read()?;
    let id = meant(call, named(&document.read_unverified()?).clone())?;
    let unknown = || Refusal::new(Code::DisputeUnknown, format!("there is no dispute {id}"));
    app.registry.state().dispute(&id).ok_or_else(unknown)?;
    match collect(app, document, Some(&body))? {
        Collected::Waiting(_) => entered(app, 202, id, None),
        Collected::Ready(document) => entered(app, 201, id, Some(body(document))),
    }
}

fn meant(call: &Call, named: DisputeId) -> R<DisputeId> {
    if call.param::<DisputeId>("id")? == named {
        return Ok(named);
    }
    Err(Refusal::new(Code::SchemaMismatch, "the document names another dispute than the path").at("dispute_id"))
}

fn entered(app: &App, status: u16, dispute_id: DisputeId, body: Option<Body>) -> R<Answer> {
    let receipt = body.map(|body| app.enter(body)).transpose()?.map(|entry| entry.receipt);
    let state = app.registry.state();
    let state = state.dispute(&dispute_id).map(|row| super::word(&row.state)).transpose()?.unwrap_or_default();
    Answer::json(status, &DisputeReceipt { dispute_id, state, receipt })
}

fn view(app: &App, state: &State, row: &DisputeRow) -> R<DisputeView> {
    let (currency, amount_minor) = match (&row.about, state.paid_for(row)) {
        (About::Suspense(suspense), _) => (suspense.currency, suspense.amount),
        (About::Obligation(..), Some(payment)) => (payment.obligation.currency, payment.obligation.amount_minor),
        (About::Obligation(..), None) => return Err(crate::error::fault("a dispute without its obligation")),
    };
    let ruling = row.ruling.as_ref().map(|ruling| match ruling {
        Ruling::Refund {} => "refund",
        Ruling::Release { .. } => "release",
        Ruling::Stand {} => "stand",
    });
    let opened = row.dispute.as_ref().map(|dispute| (row.opened.0, dispute.clone()));
    Ok(DisputeView {
        dispute_id: row.dispute_id.clone(),
        state: super::word(&row.state)?,
        contract: contract_of(state, row),
        instruction_id: row.instruction_id().map(str::to_owned),
        opener: row.opener.clone(),
        currency,
        amount_minor,
        suspense: matches!(row.about, About::Suspense(_)),
        opened_at: row.opened.1,
        answer_by: row.answer_by(),
        ruling: ruling.map(str::to_owned),
        dispute: logged(app, opened)?,
        answer: logged(app, row.answer.clone())?,
        ruled: logged(app, row.ruled.clone())?,
        closed: logged(app, row.closed.clone())?,
    })
}

fn logged<T>(app: &App, entry: Option<(u64, Envelope<T>)>) -> R<Option<Logged<T>>> {
    let with = |(index, envelope)| Ok(Logged { envelope, receipt: app.registry.receipt(index)? });
    entry.map(with).transpose()
}
