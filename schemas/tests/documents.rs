//! The published JSON Schemas and golden examples equal what the types say. `UPDATE=1 cargo test -p schemas` rewrites.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod examples;
mod jcs;
mod spellings;

use std::fs;
use std::path::{Path, PathBuf};

use schemas::canonical;
use schemas::{Document, Envelope};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    assert!(stored == text, "{} is not what the types say; run UPDATE=1 cargo test -p schemas", path.display());
}

/// The same value with its members in order, whatever features of serde_json the rest of a build switches on.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn pretty(value: Value) -> String {
    serde_json::to_string_pretty(&sorted(value)).unwrap() + "\n"
}

/// Publishes schema and example of one document type, and shows that the example is one.
fn publish<T: Document + schemars::JsonSchema + PartialEq + std::fmt::Debug>(name: &str, example: &T) {
    let schema = serde_json::to_value(schemars::schema_for!(T)).unwrap();
    compare(&folder("json").join(format!("{name}.schema.json")), &pretty(schema));

    let bytes = canonical::to_bytes(example).unwrap();
    let shown = pretty(serde_json::from_slice(&bytes).unwrap());
    compare(&folder("examples").join(format!("{name}.json")), &shown);

    // The canonical bytes read back into the same document, and an envelope takes them.
    let back: T = canonical::parse_canonical(&bytes).unwrap();
    assert_eq!(&back, example);
    assert_eq!(example.schema(), T::SCHEMA);
    assert_eq!(Envelope::<T>::new(bytes.clone(), vec![]).read_unverified().unwrap(), *example);
    assert!(T::PAYLOAD_TYPE.starts_with("application/vnd.depa.") && T::PAYLOAD_TYPE.ends_with(".v1+json"));

    // An unknown member is refused everywhere.
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    value.as_object_mut().unwrap().insert("surprise".into(), Value::Null);
    assert!(serde_json::from_value::<T>(value).is_err(), "{name} takes unknown members");
}

#[test]
fn published_schemas_and_examples_are_current() {
    use examples::*;
    publish("participant", &participant());
    publish("participant-decision", &decision());
    publish("participant-withdrawal", &withdrawal());
    publish("key-proof", &key_proof());
    publish("key-event", &key_event());
    publish("dataset-act", &dataset_act());
    publish("budget-renewal", &budget_renewal());
    publish("template", &template());
    publish("data-schema", &data_schema());
    publish("image-set-revocation", &image_set_revocation());
    publish("erasure", &erasure());
    publish("log-key", &log_key());
    publish("log-succeeded", &log_succeeded());
    publish("image-set", &image_set());
    publish("platform-data", &platform_data());
    publish("dataset-offer", &offer());
    publish("contract", &contract());
    publish("contract-revoke", &revoke());
    publish("contract-decline", &decline());
    publish("contract-withdraw", &withdraw());
    publish("contract-suspend", &suspend());
    publish("contract-resume", &resume());
    publish("contract-terminate", &terminate());
    publish("job", &job());
    publish("kms-challenge", &challenge());
    publish("admission", &admission());
    publish("status-list", &status_list());
    publish("run-request", &run_request());
    publish("kms-receipt", &kms_receipt());
    publish("kms-release", &release());
    publish("kms-lease", &lease());
    publish("kms-key", &key_import());
    publish("weights-key", &weights_import());
    publish("weights-release", &weights_release());
    publish("own-release", &own_release());
    publish("run-event", &run_event());
    publish("abort", &abort());
    publish("certificate", &certificate());
    publish("completion", &completion());
    publish("payment-callback", &payment_callback());
    publish("revenue-statement", &revenue_statement());
    publish("dispute", &dispute());
    publish("dispute-answer", &dispute_answer());
    publish("dispute-ruling", &dispute_ruling());
    publish("dispute-close", &dispute_close());
    publish("payment-unmatched", &payment_unmatched());
    publish("payout-batch", &payout_batch());
}

#[test]
fn payload_types_are_unique() {
    use schemas::contract::{
        Contract, ContractDecline, ContractResume, ContractRevoke, ContractSuspend, ContractTerminate, ContractWithdraw,
    };
    use schemas::release::{Admission, KmsReceipt, Lease, Release, StatusList};
    let types = [
        Contract::PAYLOAD_TYPE,
        ContractDecline::PAYLOAD_TYPE,
        ContractRevoke::PAYLOAD_TYPE,
        ContractWithdraw::PAYLOAD_TYPE,
        ContractSuspend::PAYLOAD_TYPE,
        ContractResume::PAYLOAD_TYPE,
        ContractTerminate::PAYLOAD_TYPE,
        Admission::PAYLOAD_TYPE,
        KmsReceipt::PAYLOAD_TYPE,
        Lease::PAYLOAD_TYPE,
        Release::PAYLOAD_TYPE,
        StatusList::PAYLOAD_TYPE,
        schemas::job::JobSpec::PAYLOAD_TYPE,
        schemas::event::Completion::PAYLOAD_TYPE,
        schemas::event::Abort::PAYLOAD_TYPE,
        schemas::dataset::DatasetAct::PAYLOAD_TYPE,
        schemas::renewal::BudgetRenewal::PAYLOAD_TYPE,
        schemas::weights::WeightsImport::PAYLOAD_TYPE,
        schemas::weights::WeightsRelease::PAYLOAD_TYPE,
        schemas::own_release::OwnRelease::PAYLOAD_TYPE,
    ];
    let unique: std::collections::BTreeSet<_> = types.iter().collect();
    assert_eq!(unique.len(), types.len());
}
