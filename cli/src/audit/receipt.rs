//! One receipt, verified offline: the document stands in the log under a signed checkpoint. Four forms are understood: a
//! document or body with our JSON receipt, the receipt of a contract, a tlog-proof, and COSE receipts over either tree.

mod cose;

use schemas::bundle::{Logged, LoggedDocument};
use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::desk::ContractReceipt;
use schemas::event::{Body, RunEvent};
use schemas::evidence::ImageSet;
use schemas::jwk::Jwk;
use schemas::log::{Checkpoint, CheckpointRef, Receipt, Record, leaf_hash};
use schemas::party::ParticipantDecision;
use schemas::{Code, Document, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::Trust;
use signing::tlog_proof::TlogProof;

use super::policy::Policy;
use super::quorum::{self, Cosigned};

/// A body with the receipt of its entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithBody {
    /// The body.
    pub body: Body,
    /// The receipt.
    pub receipt: Receipt,
}

/// What a receipt proves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Proved {
    /// The kind of entry; `statement` for a SCITT statement whose record is not at hand.
    pub kind: String,
    /// Its index.
    pub index: u64,
    /// When it was entered, where the record is at hand.
    pub at: Option<Timestamp>,
    /// The log under whose checkpoint it stands; none for a receipt over the second tree, which names a root alone.
    pub log: Option<CheckpointRef>,
    /// Whose cosignatures the checkpoint carries.
    pub cosigned: Vec<Cosigned>,
}

/// What else a verifier has at hand.
#[derive(Default)]
pub struct With {
    /// Whose cosignatures are asked for; the quorum of the trust file where there is no policy.
    pub policy: Option<Policy>,
    /// What a COSE receipt is about: a public record, or a signed statement.
    pub about: Option<Vec<u8>>,
    /// The registry's ES256 key, for receipts over the second tree.
    pub receipt_key: Option<Jwk>,
}

/// Verifies a file of any form. A document's own signatures are the business of `depa audit verify-contract`; the log took
/// none that did not verify.
pub fn verify(bytes: &[u8], trust: &Trust) -> R<Proved> {
    verify_with(bytes, &With::default(), trust)
}

/// [`verify`] with what else is at hand.
pub fn verify_with(bytes: &[u8], with: &With, trust: &Trust) -> R<Proved> {
    match bytes {
        [b'{', ..] => json(bytes, with, trust),
        [b'c', b'2', b's', b'p', ..] => text(bytes, with, trust),
        _ => cose::verify(bytes, with, trust),
    }
}

fn json(json: &[u8], with: &With, trust: &Trust) -> R<Proved> {
    let value = canonical::parse_value(json)?;
    if value.get("body").is_some() {
        let found: WithBody = serde_json::from_value(value).map_err(form)?;
        return prove(&found.body, &found.receipt, with, trust);
    }
    if value.get("applications").is_some() {
        let found: ContractReceipt = serde_json::from_value(value).map_err(form)?;
        let cosigned = crate::contract::bundle::verify_receipt(&found, trust)?.cosigned;
        let receipt = found.contract.receipt.clone();
        // The policy may be satisfied by the cosigned checkpoint, which continues that of the receipt or the reverse.
        let judged = match (&with.policy, &found.cosigned) {
            (Some(policy), Some(text)) => policy.require(&Checkpoint::parse(text)?)?,
            (Some(policy), None) => policy.require(&Checkpoint::parse(&receipt.checkpoint)?)?,
            (None, _) => cosigned,
        };
        let open = With { policy: Some(Policy::parse("quorum none")?), ..With::default() };
        let proved = prove(&Contract::body(found.contract.envelope), &receipt, &open, trust)?;
        return Ok(Proved { cosigned: judged, ..proved });
    }
    // The payload's own schema says which document it is; the receipt then proves it as that kind only.
    let untyped: Logged<serde_json::Value> = serde_json::from_value(value.clone()).map_err(form)?;
    let payload = canonical::parse_value(&untyped.envelope.payload.0)?;
    match payload.get("schema").and_then(|s| s.as_str()) {
        Some(Contract::SCHEMA) => document::<Contract>(value, with, trust),
        Some(DatasetOffer::SCHEMA) => document::<DatasetOffer>(value, with, trust),
        Some(ParticipantDecision::SCHEMA) => document::<ParticipantDecision>(value, with, trust),
        Some(ImageSet::SCHEMA) => document::<ImageSet>(value, with, trust),
        Some(RunEvent::SCHEMA) => document::<RunEvent>(value, with, trust),
        other => {
            let sentence = format!("{} has no entry of its own", other.unwrap_or("this document"));
            Err(Refusal::new(Code::ReceiptMismatch, sentence))
        }
    }
}

fn document<T: LoggedDocument>(value: serde_json::Value, with: &With, trust: &Trust) -> R<Proved> {
    let logged: Logged<T> = serde_json::from_value(value).map_err(form)?;
    prove(&T::body(logged.envelope), &logged.receipt, with, trust)
}

fn prove(body: &Body, receipt: &Receipt, with: &With, trust: &Trust) -> R<Proved> {
    let log = signing::verify_receipt(receipt, body, &trust.origin, trust)?;
    let cosigned = judge(&Checkpoint::parse(&receipt.checkpoint)?, with, trust)?;
    let (kind, at) = (receipt.record.kind.clone(), Some(receipt.record.at));
    Ok(Proved { kind, index: receipt.index, at, log: Some(log), cosigned })
}

/// A tlog-proof: its record stands in the `extra` line, or is given beside it.
fn text(bytes: &[u8], with: &With, trust: &Trust) -> R<Proved> {
    let utf8 = |_| Refusal::new(Code::InclusionInvalid, "tlog-proof: not UTF-8");
    let proof = TlogProof::parse(std::str::from_utf8(bytes).map_err(utf8)?)?;
    let missing = || Refusal::new(Code::InclusionInvalid, "the proof carries no record; pass the record with --about");
    let data = with.about.as_deref().or(proof.extra.as_deref()).ok_or_else(missing)?;
    let checkpoint = proof.verify(leaf_hash(data), &trust.origin, trust)?;
    let record: Record = canonical::parse_canonical(data)?;
    let cosigned = judge(&checkpoint, with, trust)?;
    Ok(Proved { kind: record.kind, index: proof.index, at: Some(record.at), log: Some(checkpoint.head), cosigned })
}

/// The cosignatures of a checkpoint, as policy or trust file ask for them.
fn judge(checkpoint: &Checkpoint, with: &With, trust: &Trust) -> R<Vec<Cosigned>> {
    match &with.policy {
        Some(policy) => policy.require(checkpoint),
        None => quorum::require(checkpoint, trust),
    }
}

fn form(e: serde_json::Error) -> Refusal {
    Refusal::new(Code::ReceiptMismatch, format!("not a document with its receipt: {e}"))
}
