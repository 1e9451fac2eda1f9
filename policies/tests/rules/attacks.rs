//! The seven attacks that the reference's rule lets through (`depa-spec.md` 7.2): each starts from the correct job, spoils
//! one thing, and is refused by its own code, by the gate and the pipeline rule that room and key services share.

use policies::{Code, R};
use schemas::Envelope;
use schemas::job::JobSpec;
use schemas::pipeline::Stage;
use serde_json::json;

use crate::fixtures::{House, expect, now, read, real};

/// What a key service asks before it reserves.
fn judge(house: &House) -> R<()> {
    house.judge(|facts| {
        policies::gate::job(facts, &house.statuses(), now())?;
        policies::privacy::plan(facts).map(drop)
    })
}

fn refused(code: Code, what: &str, spoil: impl FnOnce(&mut House)) {
    let mut house = House::new();
    spoil(&mut house);
    house.link();
    let judged = judge(&house);
    println!("{what}: {judged:?}");
    expect(judged, code, what);
}

#[test]
fn the_seven_attacks_are_refused_each_by_its_code() {
    assert_eq!(judge(&House::new()), Ok(()), "the correct job");
    refused(Code::PipelineRawOutput, "1 the raw join to the consumer's output", |h| h.output().input = "joined".into());
    refused(Code::PipelineNotPrivate, "2 a training stage without privacy before the private one", |h| {
        let mut open = h.training().clone();
        open.private = false;
        open.name = "open".into();
        h.job.stages.insert(1, Stage::Train(open));
    });
    refused(Code::DeltaTooLarge, "3 δ of 1", |h| h.training().delta = Some(real("0.99")));
    refused(Code::ContractExpired, "4 a contract that expired in 2020", |h| {
        h.contracts[0].effective_from = crate::fixtures::at("2019-01-01T00:00:00Z");
        h.contracts[0].expires_at = crate::fixtures::at("2020-01-01T00:00:00Z");
    });
    // There is one signed job and no second copy; what a decoy would need is no member of it.
    let mut decoy = serde_json::to_value(&House::new().job).unwrap();
    decoy["azure_filesystems"] = json!([{"mount_point": "/mnt/remote/output", "read_write": true}]);
    let signed = Envelope::<JobSpec>::new(schemas::canonical::to_bytes(&decoy).unwrap(), vec![]);
    expect(signed.read_unverified().map(drop), Code::SchemaMismatch, "5 a decoy beside the pipeline");
    refused(Code::SignatureMissing, "6 a forged contract without a clause that its provider never signed", |h| {
        h.absent = Some("did:web:tdp0.example");
    });
    refused(Code::PipelineInvalid, "7 a join of a table with itself", |h| {
        let step = read(json!({"handle": "icmr", "kind": "inner", "left": {"handle": "icmr", "column": "mobno"},
            "right": {"handle": "icmr", "column": "mobno"}}));
        h.join().steps.push(step);
    });
}
