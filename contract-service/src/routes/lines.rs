//! What a list of entries says of each: who acted, and what about. Names and ids, no body.

use policies::lifecycle::State;
use schemas::R;
use schemas::event::Body;
use schemas::id::{ContractId, DatasetId, Did, DisputeId, RunId};
use schemas::log::ExportedEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log;
use crate::app::App;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call, page_size_or_largest};
use crate::error::fault;
use crate::events;

/// What stands in an entry, for a list.
#[derive(Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryLine {
    /// Index of the entry.
    index: u64,
    /// Who acted: who signed, and of what a clean room says its provider. Nobody where the service itself found something.
    by: Vec<Did>,
    /// The contracts.
    contracts: Vec<ContractId>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    /// The datasets.
    datasets: Vec<DatasetId>,
    /// The obligations, by the ids of their first instructions.
    payments: Vec<String>,
    /// The dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dispute: Option<DisputeId>,
    /// The participant whose registration or keys changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    participant: Option<Did>,
    /// What an overseer read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<EntriesRead>,
}

/// Entries that an overseer read.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntriesRead {
    /// The first one.
    from: u64,
    /// How many.
    count: u64,
}

/// A page of lines.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryLines {
    /// Of the entries that concern the caller, in their order.
    lines: Vec<EntryLine>,
}

/// The lines of the entries from `from` on that concern the caller, at most `limit` entries. That an overseer asks is not
/// entered: who acted about what is the index by which it asks for what is said, and that is entered (ARCHITECTURE.md).
pub fn page(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size_or_largest(call)?;
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let entries = app.registry.entries(call.number("from", 0)?, limit as u64)?;
    let known = entries.iter().filter(|entry| entry.index < state.size());
    let lines = known.filter_map(|entry| line(&state, &caller, entry).transpose());
    Answer::ok(&EntryLines { lines: lines.collect::<R<_>>()? })
}

fn line(state: &State, caller: &Caller, entry: &ExportedEntry) -> R<Option<EntryLine>> {
    let body = &entry.body;
    // Auditors find in every export what overseers read.
    let reading = matches!(body, Body::BodiesRead { .. }) && caller.oversees();
    if !reading && !log::concerns(state, caller, body)? {
        return Ok(None);
    }
    let told = events::subject(state, body)?.unwrap_or_default();
    let mut line = EntryLine {
        index: entry.index,
        by: signers(body)?,
        contracts: told.contract.into_iter().map(|contract| contract.id).collect(),
        run_id: told.run_id,
        datasets: told.dataset.into_iter().collect(),
        participant: told.participant,
        ..EntryLine::default()
    };
    of_run(state, body, &mut line)?;
    of_money(state, body, &mut line)?;
    match body {
        Body::StatementRegistered { issuer: did, .. } | Body::DigestAnchored { by: did, .. } => {
            line.by = vec![did.clone()]
        }
        Body::BodiesRead { by, from, count } => {
            line.by = vec![by.clone()];
            line.read = Some(EntriesRead { from: *from, count: *count });
        }
        Body::PayoutEntered { batch } => line.datasets = vec![batch.read_unverified()?.dataset_id],
        _ => {}
    }
    Ok(Some(line))
}

/// Whose keys signed what was entered. Every kind of body holds one signed document or one signature, whatever its name, so
/// that no kind is forgotten here. The key of a run is nobody's.
fn signers(body: &Body) -> R<Vec<Did>> {
    let body: Value = serde_json::to_value(body).map_err(fault)?;
    let members = body.as_object().into_iter().flat_map(|members| members.values());
    let kids = members.flat_map(|member| {
        let of_document = member.get("signatures").and_then(Value::as_array).into_iter().flatten();
        of_document.chain([member]).filter_map(|signature| signature.get("kid").and_then(Value::as_str))
    });
    let holders = kids.filter_map(|kid| Did::parse(kid.split('#').next().unwrap_or_default()).ok());
    Ok(holders.collect())
}

/// Adds a job's contracts and datasets, and who acts for a room that has no name of its own.
fn of_run(state: &State, body: &Body, line: &mut EntryLine) -> R<()> {
    let row = line.run_id.as_ref().and_then(|id| state.run(id));
    let job = match body {
        Body::RunOrdered { job } => Some(job.read_unverified()?),
        Body::EscrowTimedOut { job_sha256 } => state.order(job_sha256).map(|order| order.job.clone()),
        _ => row.map(|row| state.job_of(row).cloned()).transpose()?,
    };
    let Some(job) = job else { return Ok(()) };
    line.contracts = job.contracts.into_iter().map(|contract| contract.id).collect();
    match body {
        Body::KmsStated { receipt } => {
            let stated = receipt.read_unverified()?.datasets;
            line.datasets = stated.into_iter().map(|dataset| dataset.dataset_id).collect();
        }
        Body::RunCheckedIn { .. } | Body::RunReported { .. } | Body::RunCompleted { .. } => line.by = vec![job.ccrp],
        Body::ModelHandedOver { .. } => line.by = vec![job.tdc],
        _ => {}
    }
    Ok(())
}

fn of_money(state: &State, body: &Body, line: &mut EntryLine) -> R<()> {
    let dispute = matches!(
        body,
        Body::DisputeOpened { .. }
            | Body::DisputeAnswered { .. }
            | Body::DisputeRuled { .. }
            | Body::DisputeClosed { .. }
            | Body::PaymentUnmatched { .. }
    );
    line.dispute = dispute.then(|| state.subject(body)).transpose()?.map(|id| DisputeId::parse(&id)).transpose()?;
    let disputed = line.dispute.as_ref().and_then(|id| state.dispute(id)).and_then(|row| state.paid_for(row));
    let paid = match body {
        Body::PaymentAnswered { callback } => state.payment(&callback.read_unverified()?.instruction_id),
        Body::PaymentRetried { obligation_id } => state.payment(obligation_id),
        _ => disputed,
    };
    line.payments = match body {
        Body::RunCompleted { obligations, .. } => obligations.iter().map(|owed| owed.instruction_id.clone()).collect(),
        _ => paid.into_iter().map(|row| row.obligation.instruction_id.clone()).collect(),
    };
    Ok(())
}
