//! The books as transfers, and payouts to data principals.

use policies::lifecycle::{About, State};
use policies::money::{Place, Transfer, TransferCode, line};
use schemas::bundle::Logged;
use schemas::desk::{JournalPage, PayoutView, PoolPart, Receipted};
use schemas::event::Body;
use schemas::id::{ContractId, DatasetId, DisputeId};
use schemas::payout::PayoutBatch;
use schemas::{Code, Envelope, R, Refusal};

use super::receipts::under_witnesses;
use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call, page_size};

/// A page of transfers that the caller may read, of one contract if asked; `cursor` is entry and leg of the last one before.
/// That an overseer reads them is entered first.
pub fn journal(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size(call)?;
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let wanted = call.query.get("contract").map(|text| ContractId::parse(text)).transpose()?;
    let after = call.query.get("cursor").map(|text| place(text)).transpose()?;
    let (mut transfers, mut last, mut more) = (Vec::new(), None, false);
    for (at, transfer) in state.books().transfers_after(after) {
        let contract = state.transfer_contract(transfer);
        let meant = wanted.is_none() || wanted == contract;
        if !meant || !reads(&state, &caller, transfer) {
            continue;
        }
        more = transfers.len() == limit;
        if more {
            break;
        }
        transfers.push(line(at, transfer, contract)?);
        last = Some(*at);
    }
    let entries = (transfers.first().map(|line| line.index), last.map(|at| at.index));
    if let (Some(first), Some(last)) = entries {
        oversight::enter(app, &caller, first, last - first + 1)?;
    }
    let next = last.filter(|_| more).map(|at| format!("{}.{}", at.index, at.leg));
    Answer::ok(&JournalPage { transfers, next })
}

/// How the payouts of a dataset version stand, for its provider and those who oversee.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let dataset_id: DatasetId = call.param("id")?;
    let version = u32::try_from(call.number("version", 1)?).unwrap_or(u32::MAX);
    let own = state.latest_offer(&dataset_id).is_some_and(|row| row.offer.provider == *caller.did());
    if !own && !caller.oversees() {
        return Err(Refusal::new(Code::DatasetUnknown, "no such dataset is yours"));
    }
    let mut parts: Vec<_> = state.pool_parts(&dataset_id, version).collect();
    parts.sort_by_key(|(_, part)| part.index);
    let part = |(id, part): (&str, &policies::lifecycle::PoolPart)| {
        let amount_minor = schemas::money::Minor::new(part.amount)?;
        Ok(PoolPart {
            instruction_id: id.to_owned(),
            currency: part.currency,
            amount_minor,
            split: part.batch.is_some(),
        })
    };
    let parts = parts.into_iter().map(part).collect::<R<Vec<_>>>()?;
    let logged = |row: &policies::lifecycle::PayoutRow| {
        // What is proved to a principal is verified by itself, also where witnesses are asked for.
        Ok(Logged { envelope: row.envelope.clone(), receipt: under_witnesses(app, row.index)? })
    };
    let rows: Vec<_> = state.payouts(&dataset_id, version).collect();
    let batches = rows.iter().map(|row| logged(row)).collect::<R<Vec<_>>>()?;
    let entries = rows.iter().map(|row| row.index);
    if let (Some(first), Some(last)) = (entries.clone().min(), entries.max()) {
        oversight::enter(app, &caller, first, last - first + 1)?;
    }
    let terms = state.pool_terms(&dataset_id, version).cloned();
    Answer::ok(&PayoutView { dataset_id, version, terms, parts, batches })
}

/// Enters a batch.
pub fn enter(app: &App, call: &Call) -> R<Answer> {
    let batch: Envelope<PayoutBatch> = call.read()?;
    if batch.read_unverified()?.dataset_id != call.param("id")? {
        return Err(Refusal::new(Code::SchemaMismatch, "the batch is of another dataset").at("dataset_id"));
    }
    let receipt = app.enter(Body::PayoutEntered { batch })?.receipt;
    Answer::created(&Receipted { receipt })
}

fn place(text: &str) -> R<Place> {
    let read = || {
        let (index, leg) = text.split_once('.')?;
        Some(Place { index: index.parse().ok()?, leg: leg.parse().ok()? })
    };
    read().ok_or_else(|| Refusal::new(Code::SchemaMismatch, "a cursor is what the page before said").at("cursor"))
}

/// Whether the caller may read a transfer: as a party of its contract, as the owner of an account, as one who oversees.
fn reads(state: &State, caller: &Caller, transfer: &Transfer) -> bool {
    let own = || transfer.debit.owner == *caller.did() || transfer.credit.owner == *caller.did();
    let party = || {
        let payment = match transfer.code {
            TransferCode::Suspended | TransferCode::Released => {
                let dispute = DisputeId::parse(&transfer.reference).ok().and_then(|id| state.dispute(&id));
                dispute.filter(|row| matches!(row.about, About::Suspense(_))).and_then(|row| state.paid_for(row))
            }
            _ => state.payment(&transfer.reference),
        };
        let contract = payment.and_then(|row| state.contract_of(&row.obligation.contract).ok());
        contract.is_some_and(|row| caller.reads(&row.contract))
    };
    caller.oversees() || own() || party()
}
