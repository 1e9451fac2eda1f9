//! A model and its proof: everything from the bundle to the log entry holds, or the model is not what it claims.

use depa::model::{self, Proof};
use schemas::bundle::JobBundle;
use schemas::event::Body;
use schemas::{Code, Digest, Signer as _};

use crate::house::House;
use crate::receipts::bundle;
use crate::trust;

const MODEL: &[u8] = b"weights";

/// A house in which a run completed with [`MODEL`]; its bundle and the proof that the TDC keeps.
fn made(spoil: impl Fn(&mut schemas::event::Completion)) -> (House, JobBundle, Proof) {
    let mut house = House::furnished();
    let run = house.running();
    let mut completion = house.completion(&run);
    let mut certificate = completion.certificate.read_unverified().unwrap();
    certificate.model_sha256 = Digest::of(MODEL);
    certificate.model_bytes = MODEL.len() as u64;
    completion.certificate = house.sign(&certificate, &run.key);
    spoil(&mut completion);
    let entry = house.complete(&run, &completion).unwrap();
    let Body::RunCompleted { completion, .. } = entry.body else { panic!("another body") };
    let around = bundle(&house);
    let bundle = JobBundle {
        job: run.job.clone(),
        contracts: around.contracts,
        offers: around.offers,
        participants: around.participants,
        image_set: around.image_sets[0].clone(),
        renewals: around.renewals.clone(),
        log_keys: None,
    };
    (house, bundle, Proof { run_jwk: run.key.jwk().clone(), completion, receipt: entry.receipt, listed: Vec::new() })
}

#[test]
fn a_model_verifies_offline_with_its_proof() {
    let (house, bundle, proof) = made(|_| {});
    let certificate = model::verify(MODEL, &proof, &bundle, &trust(&house)).unwrap();
    assert_eq!(certificate.model_sha256, Digest::of(MODEL));
    assert_eq!(certificate.datasets.len(), 2);
}

#[test]
fn another_model_key_entry_or_bundle_is_refused() {
    let (house, bundle, proof) = made(|_| {});
    let trust = trust(&house);
    let code =
        |model: &[u8], proof: &Proof, bundle: &JobBundle| model::verify(model, proof, bundle, &trust).unwrap_err().code;
    assert_eq!(code(b"weightz", &proof, &bundle), Code::CompletionMismatch);

    let mut other_key = proof.clone();
    other_key.run_jwk = house.tdc.jwk().clone();
    assert_eq!(code(MODEL, &other_key, &bundle), Code::SignerUnknown);

    // A contract service that makes up a run of its own cannot have key services attest its key.
    let stranger = signing::FileKey::from_seed(proof.completion.read_unverified().unwrap().run_id.as_str(), &[3; 32]);
    let mut made_up = proof.completion.read_unverified().unwrap();
    made_up.certificate = house.sign(&made_up.certificate.read_unverified().unwrap(), &stranger);
    let forged = Proof {
        run_jwk: stranger.jwk().clone(),
        completion: house.sign(&made_up, &stranger),
        receipt: proof.receipt.clone(),
        listed: Vec::new(),
    };
    assert_eq!(code(MODEL, &forged, &bundle), Code::CompletionReceipts);

    let mut not_entered = proof.clone();
    not_entered.receipt = house.registry.receipt(3).unwrap();
    assert_eq!(code(MODEL, &not_entered, &bundle), Code::ReceiptMismatch);

    let mut unsigned = bundle.clone();
    unsigned.contracts[0].envelope.signatures.pop();
    assert_eq!(code(MODEL, &proof, &unsigned), Code::ReceiptMismatch);
    let mut other_job = house.job(&schemas::contract::ContractRef {
        id: bundle.contracts[0].envelope.read_unverified().unwrap().contract_id,
        sha256: bundle.contracts[0].envelope.digest(),
    });
    other_job.purpose = "TRAINING".into();
    let other_job = JobBundle { job: house.sign(&other_job, &house.tdc), ..bundle };
    assert_eq!(code(MODEL, &proof, &other_job), Code::CompletionMismatch);
}

/// A completion that points elsewhere would make the TDC read files of the service's choice.
#[test]
fn the_sealed_model_lies_where_the_job_wanted_it() {
    for url in ["file:///etc/passwd", "file:///outer/model", "http://127.0.0.1/model"] {
        let (house, bundle, proof) = made(|completion| completion.output.url = url.into());
        let refusal = model::verify(MODEL, &proof, &bundle, &trust(&house)).unwrap_err();
        assert_eq!(refusal.code, Code::AddressRefused, "{url}");
    }
}
