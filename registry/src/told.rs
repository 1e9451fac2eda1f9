//! What an entry must tell, as outbox rows of its own transaction: one row per thing that happened, for those whom it
//! concerns.

use diesel::prelude::*;
use policies::instruction::Standing;
use policies::lifecycle::{About, ContractRow, PaymentRow, PaymentState, State};
use policies::payment::Act;
use schemas::contract::{Contract, ContractDataset, ContractRef, ContractState};
use schemas::dataset::DatasetActKind;
use schemas::desk::PaymentInstruction;
use schemas::envelope::Envelope;
use schemas::event::{Body, Completion, RunEventKind};
use schemas::id::{Did, DisputeId, RunId};
use schemas::party::{Decision, KeyAct};
use schemas::{Digest, R, Timestamp, canonical};
use serde_json::{Value, json};

use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::outbox::place;
use crate::tables::outbox;

/// Stands in an audience for every verified payment service provider.
pub const PSP: &str = "psp";

/// One thing to tell.
struct Message {
    topic: &'static str,
    subject: String,
    audience: Vec<String>,
    data: Value,
}

/// Writes the outbox rows of an entry, which has been folded. The id of a row follows from its topic, its subject and
/// the entry, so it exists once.
pub(crate) fn tell(
    db: &mut Db,
    before: &State,
    after: &State,
    index: u64,
    at: Timestamp,
    body: &Body,
) -> Result<(), Fault> {
    let mut all = payments(before, after, index)?;
    all.extend(messages(before, after, index, at, body)?);
    for (number, message) in all.into_iter().enumerate() {
        let dedupe_key = format!("{}:{}:{index}", message.topic, message.subject);
        let payload = json!({"type": message.topic, "timestamp": at, "data": message.data});
        let payload = String::from_utf8(canonical::to_bytes(&payload)?).map_err(|_| corrupt("outbox payload"))?;
        let row = (
            outbox::id.eq(format!("msg_{}", &Digest::of(dedupe_key.as_bytes()).to_string()[..32])),
            outbox::topic.eq(message.topic),
            outbox::subject.eq(&message.subject),
            outbox::audience.eq(serde_json::to_string(&message.audience).map_err(|_| corrupt("outbox audience"))?),
            outbox::payload.eq(payload),
            outbox::dedupe_key.eq(dedupe_key),
            outbox::created_at.eq(at.micros()),
            outbox::seq.eq(place(index, number)),
            outbox::about.eq(about(&message)),
        );
        diesel::insert_into(outbox::table).values(row).execute(db)?;
    }
    Ok(())
}

/// The contracts that a message is about, which give it its place among the messages to an ordered endpoint; else its
/// subject.
fn about(message: &Message) -> String {
    let data = &message.data;
    let one = [data.pointer("/contract/id"), data.get("contract_id")];
    let several = data.get("contracts").and_then(Value::as_array).into_iter().flatten().map(|one| one.get("id"));
    let mut ids: Vec<&str> = one.into_iter().chain(several).flatten().filter_map(Value::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { message.subject.clone() } else { ids.join(" ") }
}

fn messages(before: &State, after: &State, index: u64, at: Timestamp, body: &Body) -> R<Vec<Message>> {
    let contract = |topic, reference: &ContractRef, more: Value| about_contract(after, topic, reference, index, more);
    let run = |topic, id: &RunId| about_run(after, topic, id, index);
    Ok(match body {
        Body::ParticipantDecided { decision } => {
            let decision = decision.read_unverified()?;
            let topic = match decision.decision {
                Decision::Verified => "participant.verified",
                Decision::Suspended => "participant.suspended",
                Decision::Withdrawn => "participant.withdrawn",
                Decision::Rejected => return Ok(Vec::new()),
            };
            let mut all = vec![about_participant(topic, &decision.participant, index, json!({}))];
            all.extend(stopped(after, index));
            all
        }
        Body::ParticipantLeft { withdrawal } => {
            let did = withdrawal.read_unverified()?.participant;
            let mut all = vec![about_participant("participant.withdrawn", &did, index, json!({}))];
            all.extend(stopped(after, index));
            all
        }
        Body::ImageSetRevoked { .. } => stopped(after, index),
        Body::KeyChanged { event, .. } => {
            let event = event.read_unverified()?;
            let (topic, thumbprint) = match &event.event {
                KeyAct::Add { proof, .. } => ("key.added", proof.read_unverified()?.jwk.thumbprint()),
                KeyAct::Retire { thumbprint } => ("key.retired", thumbprint.clone()),
                KeyAct::Revoke { thumbprint } => ("key.revoked", thumbprint.clone()),
                KeyAct::Compromise { thumbprint, .. } => ("key.compromised", thumbprint.clone()),
            };
            let more = json!({"thumbprint": thumbprint});
            let mut all = vec![about_participant(topic, &event.participant, index, more)];
            all.extend(stopped(after, index));
            all
        }
        Body::DatasetRegistered { offer } => {
            let offer = offer.read_unverified()?;
            let data = json!({"dataset_id": offer.dataset_id, "version": offer.version,
                "offer_version": offer.offer_version, "index": index});
            let subject = offer.dataset_id.to_string();
            vec![Message { topic: "dataset.registered", subject, audience: vec![offer.provider.to_string()], data }]
        }
        Body::DatasetChanged { act } => {
            let act = act.read_unverified()?;
            let topic = match act.act {
                DatasetActKind::Suspend => "dataset.suspended",
                DatasetActKind::Resume => "dataset.resumed",
                DatasetActKind::Withdraw => "dataset.withdrawn",
            };
            let data =
                json!({"dataset_id": act.dataset_id, "version": act.version, "reason": act.reason, "index": index});
            let provider = after.latest_offer(&act.dataset_id).map(|row| row.offer.provider.to_string());
            // Who is still asked to sign learns of it too: no run begins under that contract.
            let audience = users(after, provider, |row, d| {
                row.state(at) != ContractState::Lapsed && d.dataset_id == act.dataset_id && d.version == act.version
            });
            vec![Message { topic, subject: act.dataset_id.to_string(), audience, data }]
        }
        Body::BudgetRenewed { renewal } => {
            let renewal = renewal.read_unverified()?;
            let data = json!({"dataset_id": renewal.dataset_id, "family": renewal.family, "tdc": renewal.tdc,
                "number": renewal.number, "epsilon": renewal.epsilon, "reason": renewal.reason, "index": index});
            let audience = users(after, Some(renewal.provider.to_string()), |row, d| {
                row.executed.is_some() && d.offer_sha256 == renewal.offer_sha256
            });
            vec![Message { topic: "budget.renewed", subject: renewal.dataset_id.to_string(), audience, data }]
        }
        Body::ContractProposed { contract: envelope } => {
            let document = envelope.read_unverified()?;
            let reference = ContractRef { id: document.contract_id.clone(), sha256: envelope.digest() };
            let mut all = vec![contract("contract.proposed", &reference, json!({"version": document.version}))?];
            all.extend(superseded(before, after, &document, index)?);
            all
        }
        Body::ContractSigned { contract: reference, signature } => {
            vec![contract("contract.signed", reference, json!({"by": signature.kid.holder}))?]
        }
        Body::ContractExecuted { contract: envelope } => {
            // As the fold holds it: its bytes were read when it was proposed.
            let sha256 = envelope.digest();
            let row = after.contract(&sha256).ok_or_else(|| corrupt("an executed contract"))?;
            let document = &row.contract;
            let reference = ContractRef { id: document.contract_id.clone(), sha256 };
            let more = json!({"effective_from": document.effective_from, "expires_at": document.expires_at});
            let begun = document.effective_from <= at;
            let topic = if begun { "contract.activated" } else { "contract.scheduled" };
            let mut all = vec![contract(topic, &reference, more)?];
            all.extend(superseded(before, after, document, index)?);
            all
        }
        Body::ContractDeclined { decline } => {
            let act = decline.read_unverified()?;
            vec![contract("contract.declined", &act.contract, json!({"reason": act.reason}))?]
        }
        Body::ContractWithdrawn { withdraw } => {
            let act = withdraw.read_unverified()?;
            vec![contract("contract.withdrawn", &act.contract, json!({"reason": act.reason}))?]
        }
        Body::ContractSuspended { suspend } => {
            let act = suspend.read_unverified()?;
            vec![contract("contract.suspended", &act.contract, json!({"cause": act.cause, "reason": act.reason}))?]
        }
        Body::ContractResumed { resume } => {
            let act = resume.read_unverified()?;
            vec![contract("contract.resumed", &act.contract, json!({"reason": act.reason}))?]
        }
        Body::ContractRevoked { revoke } => {
            let act = revoke.read_unverified()?;
            let ended = after.contract_of(&act.contract)?.ended.is_some();
            let topic = if ended { "contract.revoked" } else { "contract.noticed" };
            let effect = after.contract_of(&act.contract)?.revokes_at.filter(|_| !ended).unwrap_or(at);
            let more = json!({"cause": act.cause, "reason": act.reason, "revokes_at": effect});
            vec![contract(topic, &act.contract, more)?]
        }
        Body::ContractTerminated { terminate } => {
            let act = terminate.read_unverified()?;
            vec![contract("contract.revoked", &act.contract, json!({"terminated": true, "reason": act.reason}))?]
        }
        Body::ContractTimed { contract: reference, state } => {
            let topic = match state {
                ContractState::Active => "contract.activated",
                ContractState::Lapsed => "contract.lapsed",
                ContractState::Revoked => "contract.revoked",
                _ => "contract.expired",
            };
            vec![contract(topic, reference, json!({}))?]
        }
        Body::ContractCompleted { contract: reference, reason } => {
            vec![contract("contract.completed", reference, json!({"reason": reason}))?]
        }
        Body::RunCheckedIn { run_id, .. } => vec![run("run.attested", run_id)?],
        Body::RunReported { event } => {
            let event = event.read_unverified()?;
            let topic = match event.event {
                RunEventKind::KeysReleased {} => "run.keys_released",
                RunEventKind::Training {} => "run.training",
                RunEventKind::Aborted { .. } => "run.aborted",
            };
            vec![run(topic, &event.run_id)?]
        }
        Body::RunAborted { abort } => vec![run("run.aborted", &abort.read_unverified()?.run_id)?],
        Body::RunLost { run_id } => vec![run("run.aborted", run_id)?],
        Body::RunCompleted { completion, .. } => vec![completed(after, index, completion)?],
        Body::ModelHandedOver { run_id } => vec![run("run.delivered", run_id)?],
        Body::PaymentAnswered { callback } => {
            let id = DisputeId::derived(&callback.digest());
            about_dispute(after, "dispute.opened", &id, index).into_iter().collect()
        }
        Body::PaymentUnmatched { unmatched } => {
            let id = DisputeId::derived(&unmatched.digest());
            about_dispute(after, "dispute.opened", &id, index).into_iter().collect()
        }
        Body::DisputeOpened { dispute } => {
            about_dispute(after, "dispute.opened", &dispute.read_unverified()?.dispute_id, index).into_iter().collect()
        }
        Body::DisputeRuled { ruling } => {
            about_dispute(after, "dispute.ruled", &ruling.read_unverified()?.dispute_id, index).into_iter().collect()
        }
        _ => Vec::new(),
    })
}

fn about_participant(topic: &'static str, did: &Did, index: u64, more: Value) -> Message {
    let data = merged(json!({"participant": did, "index": index}), more);
    Message { topic, subject: did.to_string(), audience: vec![did.to_string()], data }
}

fn about_contract(state: &State, topic: &'static str, reference: &ContractRef, index: u64, more: Value) -> R<Message> {
    let row = state.contract_of(reference)?;
    let data = merged(json!({"contract": reference, "index": index}), more);
    Ok(Message { topic, subject: reference.id.to_string(), audience: parties(&row.contract), data })
}

/// Contracts that this entry stopped by the rules.
fn stopped(after: &State, index: u64) -> Vec<Message> {
    let tell = |row: &ContractRow| {
        let cause = row.suspended.as_ref().map(|s| s.cause);
        let data = json!({"contract": row.reference(), "cause": cause, "index": index});
        let (subject, audience) = (row.contract.contract_id.to_string(), parties(&row.contract));
        Message { topic: "contract.suspended", subject, audience, data }
    };
    after.contracts_stopped_at(index).map(tell).collect()
}

/// The provider and the parties of the contracts that have not ended and have such a dataset, each once.
fn users(after: &State, provider: Option<String>, has: impl Fn(&ContractRow, &ContractDataset) -> bool) -> Vec<String> {
    let uses = |row: &&ContractRow| row.ended.is_none() && row.contract.datasets.iter().any(|d| has(row, d));
    let mut all: Vec<String> = provider.into_iter().collect();
    all.extend(after.contracts().filter(uses).flat_map(|row| parties(&row.contract)));
    all.sort();
    all.dedup();
    all
}

/// The version whose place this entry's contract took, if it did.
fn superseded(before: &State, after: &State, contract: &Contract, index: u64) -> R<Option<Message>> {
    let Some(row) = contract.supersedes.as_ref().and_then(|sha256| after.contract(sha256)) else { return Ok(None) };
    let now = row.ended.is_some_and(|end| end.state == ContractState::Superseded && end.index == index);
    let new = now && before.contract(&row.sha256).is_some_and(|old| old.ended.is_none());
    new.then(|| about_contract(after, "contract.superseded", &row.reference(), index, json!({}))).transpose()
}

fn about_run(state: &State, topic: &'static str, id: &RunId, index: u64) -> R<Message> {
    let job = state.job_of(state.require_run(id)?)?;
    let data = json!({"run_id": id, "contracts": job.contracts, "index": index});
    Ok(Message { topic, subject: id.to_string(), audience: all_parties(state, &job.contracts)?, data })
}

/// What an entry brought to obligations: instructions to the payment provider, how far they are, and how they ended.
fn payments(before: &State, after: &State, index: u64) -> R<Vec<Message>> {
    let mut all = Vec::new();
    for (was, row) in after.payments_touched(before, index) {
        let told = |row: &PaymentRow| (row.act, row.attempt);
        let stood = was.map(|row| row.state);
        let moved = stood != Some(row.state);
        let wants = matches!(row.state, PaymentState::Asked | PaymentState::Instructed | PaymentState::Refunding);
        if wants && row.again_at.is_none() && (moved || was.map(told) != Some(told(row))) {
            all.push(about_payment(after, "payment.instructed", row, true)?);
        }
        let failed = row.again_at.is_some() && was.is_some_and(|was| was.again_at.is_none());
        let topic = match row.state {
            PaymentState::Settled if moved => "payment.settled",
            PaymentState::Blocked if moved => "payment.blocked",
            PaymentState::Refunded if moved => "payment.refunded",
            PaymentState::Due if stood == Some(PaymentState::Settled) => "payment.returned",
            PaymentState::Due if moved => "payment.failed",
            _ if failed => "payment.failed",
            _ if was.map(|was| was.standing) == Some(row.standing) => continue,
            _ => match row.standing {
                Standing::Submitted => "payment.submitted",
                Standing::Accepted => "payment.accepted",
                _ => continue,
            },
        };
        // What a provider was told to pay and a ruling refunds is not to be paid any more.
        let withdrawn = topic == "payment.refunded" && stood == Some(PaymentState::Instructed);
        all.push(about_payment(after, topic, row, withdrawn)?);
    }
    Ok(all)
}

fn about_payment(state: &State, topic: &'static str, row: &PaymentRow, psp: bool) -> R<Message> {
    let (mut o, instruction_id) = (row.obligation.clone(), row.instruction_id()?);
    // What a ruling makes the payee owe back is a payment the other way; nothing of it is blocked.
    let back = state.books().is_owed_back(&o.instruction_id);
    if back {
        std::mem::swap(&mut o.payer, &mut o.payee);
    }
    let mut audience = vec![o.payer.to_string(), o.payee.to_string()];
    audience.extend(psp.then(|| PSP.to_owned()));
    let data = PaymentInstruction {
        obligation_id: Some(o.instruction_id.clone()).filter(|id| *id != instruction_id),
        act: Some(row.act).filter(|act| *act != Act::Pay && !back).map(|act| act.as_str().to_owned()),
        from_block: row.blocked_by.clone().filter(|_| row.act != Act::Block),
        attempt: row.attempt,
        due_at: row.due_at,
        contract: o.contract,
        run_id: o.run_id.or(row.run.clone()),
        job_sha256: o.job_sha256,
        period: o.period,
        term_id: o.term_id,
        line: o.line,
        payer: o.payer,
        payee: o.payee,
        currency: o.currency,
        amount_minor: o.amount_minor,
        instruction_id: instruction_id.clone(),
    };
    let data = serde_json::to_value(data).map_err(|_| corrupt("instruction"))?;
    Ok(Message { topic, subject: instruction_id, audience, data })
}

/// A dispute, to the parties of its contract and to who opened it; none for an answer that opened none.
fn about_dispute(state: &State, topic: &'static str, id: &DisputeId, index: u64) -> Option<Message> {
    let row = state.dispute(id)?;
    let payment = state.paid_for(row).map(|row| &row.obligation);
    let contract = payment.and_then(|owed| state.contract(&owed.contract.sha256));
    let mut audience = contract.map(|row| parties(&row.contract)).unwrap_or_default();
    audience.push(row.opener.to_string());
    audience.sort();
    audience.dedup();
    let (currency, amount) = match &row.about {
        About::Suspense(suspense) => (suspense.currency, suspense.amount),
        About::Obligation(..) => payment.map(|owed| (owed.currency, owed.amount_minor))?,
    };
    let data = json!({
        "dispute_id": id, "contract": payment.map(|owed| &owed.contract), "instruction_id": row.instruction_id(),
        "suspense": matches!(row.about, About::Suspense(_)), "currency": currency, "amount_minor": amount,
        "ruling": row.ruling, "index": index,
    });
    Some(Message { topic, subject: id.to_string(), audience, data })
}

fn completed(state: &State, index: u64, envelope: &Envelope<Completion>) -> R<Message> {
    let completion = envelope.read_unverified()?;
    let audience = all_parties(state, &completion.contracts)?;
    let data = json!({
        "run_id": completion.run_id, "job_sha256": completion.job_sha256, "contracts": completion.contracts,
        "output": {"sha256": completion.output.sha256, "bytes": completion.output.bytes, "url": completion.output.url},
        "index": index,
    });
    Ok(Message { topic: "run.completed", subject: completion.run_id.to_string(), audience, data })
}

fn all_parties(state: &State, contracts: &[ContractRef]) -> R<Vec<String>> {
    let mut audience = Vec::new();
    for reference in contracts {
        audience.extend(parties(&state.contract_of(reference)?.contract));
    }
    audience.sort();
    audience.dedup();
    Ok(audience)
}

fn parties(contract: &Contract) -> Vec<String> {
    contract.parties.iter().map(|p| Did::to_string(&p.did)).collect()
}

/// The members of both.
fn merged(mut data: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (data.as_object_mut(), more) {
        members.extend(more);
    }
    data
}
