//! What an entry must tell, as outbox rows of its own transaction: `payment.instructed`, `run.completed`,
//! `contract.activated`, `contract.revoked`.

use diesel::prelude::*;
use policies::lifecycle::State;
use schemas::contract::Contract;
use schemas::envelope::Envelope;
use schemas::event::{Body, Completion, Obligation};
use schemas::id::Did;
use schemas::{Digest, R, Timestamp, canonical};
use serde_json::{Value, json};

use crate::conn::Db;
use crate::error::{Fault, corrupt};
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

/// Writes the outbox rows of an entry. The id of a row follows from its topic and cause, so it exists once.
pub(crate) fn tell(db: &mut Db, state: &State, index: u64, at: Timestamp, body: &Body) -> Result<(), Fault> {
    for message in messages(state, index, body)? {
        let dedupe_key = format!("{}:{}", message.topic, message.subject);
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
        );
        diesel::insert_into(outbox::table).values(row).execute(db)?;
    }
    Ok(())
}

fn messages(state: &State, index: u64, body: &Body) -> R<Vec<Message>> {
    match body {
        Body::ContractExecuted { contract } => Ok(vec![activated(index, contract)?]),
        Body::ContractRevoked { revoke } => {
            let revoke = revoke.read_unverified()?;
            let contract = &state.contract_of(&revoke.contract)?.contract;
            let data = json!({"contract": revoke.contract, "reason": revoke.reason, "index": index});
            Ok(vec![Message {
                topic: "contract.revoked",
                subject: revoke.contract.id.to_string(),
                audience: parties(contract),
                data,
            }])
        }
        Body::RunCompleted { completion, obligations } => {
            let mut all: Vec<Message> = obligations.iter().map(instructed).collect::<R<_>>()?;
            all.push(completed(state, index, completion)?);
            Ok(all)
        }
        _ => Ok(Vec::new()),
    }
}

fn activated(index: u64, envelope: &Envelope<Contract>) -> R<Message> {
    let contract = envelope.read_unverified()?;
    let data = json!({
        "contract": {"id": contract.contract_id, "sha256": envelope.digest()}, "index": index,
        "effective_from": contract.effective_from, "expires_at": contract.expires_at,
    });
    Ok(Message {
        topic: "contract.activated",
        subject: contract.contract_id.to_string(),
        audience: parties(&contract),
        data,
    })
}

fn instructed(obligation: &Obligation) -> R<Message> {
    let data = serde_json::to_value(obligation).map_err(|_| corrupt("obligation"))?;
    let audience = vec![obligation.payer.to_string(), obligation.payee.to_string(), PSP.to_owned()];
    Ok(Message { topic: "payment.instructed", subject: obligation.instruction_id.clone(), audience, data })
}

fn completed(state: &State, index: u64, envelope: &Envelope<Completion>) -> R<Message> {
    let completion = envelope.read_unverified()?;
    let mut audience = Vec::new();
    for reference in &completion.contracts {
        audience.extend(parties(&state.contract_of(reference)?.contract));
    }
    audience.sort();
    audience.dedup();
    let data = json!({
        "run_id": completion.run_id, "job_sha256": completion.job_sha256, "contracts": completion.contracts,
        "output": {"sha256": completion.output.sha256, "bytes": completion.output.bytes, "url": completion.output.url},
        "index": index,
    });
    Ok(Message { topic: "run.completed", subject: completion.run_id.to_string(), audience, data })
}

fn parties(contract: &Contract) -> Vec<String> {
    contract.parties.iter().map(|p| Did::to_string(&p.did)).collect()
}
