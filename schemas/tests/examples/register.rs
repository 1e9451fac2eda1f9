//! Golden documents about keys, datasets and the rules of the SRO.

use schemas::Envelope;
use schemas::dataset::DatasetAct;
use schemas::envelope::{Form, PartySignature};
use schemas::id::KeyId;
use schemas::party::{KeyEvent, KeyProof, ParticipantWithdrawal};
use schemas::renewal::BudgetRenewal;
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, LogSucceeded, Template};
use schemas::text::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{digest, ed, registry, tdp, uuid};

const AT: &str = "2026-12-01T10:00:00Z";

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub fn withdrawal() -> ParticipantWithdrawal {
    read(json!({"schema": "participant-withdrawal.v1", "registry": registry(), "participant": tdp(),
        "reason": "The hospital closes", "at": AT}))
}

pub fn key_proof() -> KeyProof {
    read(json!({"schema": "key-proof.v1", "registry": registry(), "holder": tdp(), "jwk": ed(), "at": AT}))
}

pub fn key_event() -> KeyEvent {
    let kid = KeyId::new(tdp(), ed().thumbprint());
    let signature = PartySignature { form: Form::Jws, protected: Bytes(b"{}".to_vec()), kid, sig: Bytes(vec![0; 64]) };
    let proof: Envelope<KeyProof> = Envelope::new(Envelope::draft(&key_proof()).unwrap().payload.0, vec![signature]);
    read(json!({"schema": "key-event.v1", "registry": registry(), "participant": tdp(),
        "event": {"act": "add", "proof": proof, "uses": ["document", "api"]}, "reason": "Yearly change", "at": AT}))
}

pub fn dataset_act() -> DatasetAct {
    read(json!({"schema": "dataset-act.v1", "registry": registry(), "dataset_id": format!("dst_{}", uuid(1)),
        "version": 1, "act": "suspend", "reason": "Consent is being renewed", "at": AT}))
}

pub fn budget_renewal() -> BudgetRenewal {
    read(json!({"schema": "budget-renewal.v1", "registry": registry(), "provider": tdp(),
        "family": format!("fam_{}", uuid(1)), "dataset_id": format!("dst_{}", uuid(1)), "offer_sha256": digest(11),
        "tdc": null, "number": 1, "epsilon": "0.5", "reason": "The second year of the study", "at": AT}))
}

pub fn template() -> Template {
    read(json!({"schema": "template.v1", "registry": registry(), "template": "oncology-v2", "title": "Oncology",
        "text_url": "https://sro.example/templates/oncology-v2.pdf", "text_sha256": digest(21),
        "purposes": ["TRAINING"], "jurisdictions": ["IN"], "max_days": 365, "lapse_days": 14,
        "sro_countersigns": true, "risk_statement": true, "at": AT}))
}

pub fn data_schema() -> DataSchema {
    read(json!({"schema": "data-schema.v1", "registry": registry(), "uri": "https://sro.example/schemas/tests",
        "title": "Laboratory tests", "at": AT, "columns": [
            {"name": "patient", "type": "text", "lower": null, "upper": null},
            {"name": "ct", "type": "number", "lower": "0", "upper": "40"}]}))
}

pub fn image_set_revocation() -> ImageSetRevocation {
    read(json!({"schema": "image-set-revocation.v1", "registry": registry(),
        "image_set_id": format!("img_{}", uuid(2)), "reason": "A weakness was found", "at": AT}))
}

pub fn erasure() -> Erasure {
    read(json!({"schema": "erasure.v1", "registry": registry(), "entries": [41, 44],
        "reason": "The applicant asked for it", "at": AT}))
}

pub fn log_key() -> LogKey {
    read(json!({"schema": "log-key.v1", "registry": registry(), "replaces": "B".repeat(43), "jwk": ed(),
        "overlap_until": "2027-01-01T00:00:00Z", "at": AT}))
}

pub fn log_succeeded() -> LogSucceeded {
    read(json!({"schema": "log-succeeded.v1", "registry": registry(), "old_origin": "sro.example/log",
        "old_checkpoint": "sro.example/log\n42\nAAAA\n", "kept": 42, "new_origin": "sro.example/log2", "new_key": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "reason": "The last hour was lost with its disk", "at": AT}))
}
