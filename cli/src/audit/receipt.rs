//! One receipt, verified offline: the document stands in the log under a signed checkpoint.

use schemas::bundle::{Logged, LoggedDocument};
use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::event::{Body, RunEvent};
use schemas::evidence::ImageSet;
use schemas::log::{CheckpointRef, Receipt};
use schemas::party::ParticipantDecision;
use schemas::{Code, Document, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::Trust;

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
    /// The kind of entry.
    pub kind: String,
    /// Its index.
    pub index: u64,
    /// When it was entered.
    pub at: Timestamp,
    /// The log under whose checkpoint it stands.
    pub log: CheckpointRef,
}

/// Verifies a file that holds a document or a body with its receipt. The document's own signatures are the business of
/// `depa audit verify-contract`; the log took none that did not verify.
pub fn verify(json: &[u8], trust: &Trust) -> R<Proved> {
    let value = canonical::parse_value(json)?;
    if value.get("body").is_some() {
        let with: WithBody = serde_json::from_value(value).map_err(form)?;
        return prove(&with.body, &with.receipt, trust);
    }
    // The payload's own schema says which document it is; the receipt then proves it as that kind only.
    let untyped: Logged<serde_json::Value> = serde_json::from_value(value.clone()).map_err(form)?;
    let payload = canonical::parse_value(&untyped.envelope.payload.0)?;
    match payload.get("schema").and_then(|s| s.as_str()) {
        Some(Contract::SCHEMA) => document::<Contract>(value, trust),
        Some(DatasetOffer::SCHEMA) => document::<DatasetOffer>(value, trust),
        Some(ParticipantDecision::SCHEMA) => document::<ParticipantDecision>(value, trust),
        Some(ImageSet::SCHEMA) => document::<ImageSet>(value, trust),
        Some(RunEvent::SCHEMA) => document::<RunEvent>(value, trust),
        other => {
            let sentence = format!("{} has no entry of its own", other.unwrap_or("this document"));
            Err(Refusal::new(Code::ReceiptMismatch, sentence))
        }
    }
}

fn document<T: LoggedDocument>(value: serde_json::Value, trust: &Trust) -> R<Proved> {
    let logged: Logged<T> = serde_json::from_value(value).map_err(form)?;
    prove(&T::body(logged.envelope), &logged.receipt, trust)
}

fn prove(body: &Body, receipt: &Receipt, trust: &Trust) -> R<Proved> {
    let log = signing::verify_receipt(receipt, body, &trust.origin, &trust.registry_jwk)?;
    Ok(Proved { kind: receipt.record.kind.clone(), index: receipt.index, at: receipt.record.at, log })
}

fn form(e: serde_json::Error) -> Refusal {
    Refusal::new(Code::ReceiptMismatch, format!("not a document with its receipt: {e}"))
}
