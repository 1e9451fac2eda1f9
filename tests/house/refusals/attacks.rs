//! The seven attacks that the reference's rule lets through (`depa-spec.md` 7.2), each through the house: proposed,
//! ordered and brought before every key service over HTTP, and refused by its own code. `policies/tests/rules/attacks.rs`
//! has them at the rule.

use schemas::bundle::JobBundle;
use schemas::contract::{Contract, ContractRef};
use schemas::envelope::{Form, PartySignature};
use schemas::id::ContractId;
use schemas::pipeline::{ColumnRef, JoinKind, JoinStep, Stage, Training};
use schemas::text::Bytes;
use schemas::{Code, Envelope, Signer as _, Timestamp, canonical};
use serde_json::{Value, json};

use super::judges::{each_kms_refuses, each_refuses};
use super::pipeline::{join, output, training};
use super::probe::Probe;
use super::scene::{Deal, Scene, calm, real, reference, refuses};
use super::signatures::entered_all_the_same;
use super::wire;

/// A contract of a deal changed behind the back of the rules, signed by everybody but those left out.
fn signed(
    scene: &Scene,
    deal: &Deal,
    without: Option<usize>,
    change: impl FnOnce(&mut Contract),
) -> (Envelope<Contract>, ContractRef) {
    let mut contract = deal.bundle.contracts[0].envelope.read_unverified().unwrap();
    contract.contract_id = ContractId::new(uuid::Uuid::now_v7());
    change(&mut contract);
    let mut envelope = Envelope::draft(&contract).unwrap();
    for (at, person) in scene.house.signers().into_iter().enumerate() {
        if Some(at) != without {
            let signature = signing::countersign(&envelope, &*person.key, person.now()).unwrap();
            envelope.signatures.push(signature);
        }
    }
    let meant = reference(&envelope);
    (envelope, meant)
}

/// A job of the consumer under a contract that a registry which was taken over has entered.
fn under(scene: &Scene, deal: &Deal, contract: Envelope<Contract>, meant: ContractRef) -> JobBundle {
    let mut bundle = scene.forged(deal, |job| job.contracts = vec![meant]);
    bundle.contracts[0] = entered_all_the_same(scene, contract);
    bundle
}

/// The front desk takes no such contract as the proposal of its consumer.
fn is_not_proposed(scene: &Scene, contract: &Envelope<Contract>, code: Code) {
    let consumer = &scene.house.tdc.person;
    let first = signing::countersign(contract, &*consumer.key, consumer.now()).unwrap();
    let alone = Envelope::new(contract.payload.0.clone(), vec![first]);
    refuses(code, wire_propose(scene, &alone));
}

fn wire_propose(scene: &Scene, contract: &Envelope<Contract>) -> schemas::R<()> {
    scene.house.tdc.person.desk().unwrap().propose(contract).map(drop)
}

#[test]
fn one_the_raw_join_to_the_consumers_output() {
    let scene = calm();
    let deal = scene.deal();
    let spoilt = scene.forged(&deal, |job| output(job).input = join(job).name.clone());
    each_refuses(&scene, &spoilt, Code::PipelineRawOutput);
    scene.nothing_came_of(&deal);
}

#[test]
fn two_a_training_without_privacy_before_the_private_one() {
    let scene = calm();
    let deal = scene.deal();
    let spoilt = scene.forged(&deal, |job| {
        let open = Training { private: false, name: "open".into(), ..training(job).clone() };
        job.stages.insert(1, Stage::Train(open));
    });
    each_refuses(&scene, &spoilt, Code::PipelineNotPrivate);
    scene.nothing_came_of(&deal);
}

#[test]
fn three_a_delta_near_one() {
    let scene = calm();
    let deal = scene.deal();
    let spoilt = scene.forged(&deal, |job| training(job).delta = Some(real("0.99")));
    each_refuses(&scene, &spoilt, Code::DeltaTooLarge);
    let (contract, _) =
        signed(&scene, &deal, None, |c| c.datasets.iter_mut().for_each(|d| d.privacy.delta = real("0.99")));
    is_not_proposed(&scene, &contract, Code::DeltaTooLarge);
    scene.nothing_came_of(&deal);
}

#[test]
fn four_a_contract_that_expired_in_2020() {
    let scene = calm();
    let deal = scene.deal();
    let (contract, meant) = signed(&scene, &deal, None, |c| {
        c.effective_from = Timestamp::parse("2019-01-01T00:00:00Z").unwrap();
        c.expires_at = Timestamp::parse("2020-01-01T00:00:00Z").unwrap();
    });
    is_not_proposed(&scene, &contract, Code::ContractPeriod);
    // Signed by all, and entered by a registry that was taken over.
    let spoilt = under(&scene, &deal, contract, meant.clone());
    refuses(Code::ContractExpired, scene.run(&spoilt, &scene.room()).0);
    each_kms_refuses(&scene, &spoilt, Code::ContractExpired);
    // An honest front desk has never heard of it.
    refuses(Code::ContractUnknown, scene.desk().order_run(&spoilt));
    assert_eq!(scene.spent(&meant), [0, 0, 0]);
    scene.nothing_came_of(&deal);
}

/// The reference's decoy works because the rule reads one copy and the mount another. Here there is one signed job, and
/// a second copy fits neither in it nor beside it.
#[test]
fn five_a_decoy_beside_the_pipeline() {
    let scene = calm();
    let deal = scene.deal();
    let decoy = json!([{"mount_point": "/mnt/remote/output", "read_write": true}]);
    let mut words: Value = serde_json::from_slice(&deal.bundle.job.payload.0).unwrap();
    words["azure_filesystems"] = decoy.clone();
    let mut spoilt = deal.bundle.clone();
    spoilt.job = signed_bytes(&scene, &deal.bundle.job.signatures, canonical::to_bytes(&words).unwrap());
    refuses(Code::SchemaMismatch, depa::job::estimate(&spoilt, None, &scene.house.trust, scene.clock.now()));
    refuses(Code::SchemaMismatch, scene.run(&spoilt, &scene.room()).0);
    refuses(Code::SchemaMismatch, scene.desk().order_run(&spoilt));
    for tdp in &scene.house.tdps {
        let mut probe = Probe::unseen(&scene, &deal.bundle);
        probe.forges_admission();
        let mut words = probe.reserve_words(&tdp.kms);
        words.bundle.job = spoilt.job.clone();
        refuses(Code::SchemaMismatch, probe.send_reserve(&tdp.kms, &words));
        // Beside the job, where nobody signed it.
        let mut beside = serde_json::to_value(probe.reserve_words(&tdp.kms)).unwrap();
        beside["bundle"]["azure_filesystems"] = decoy.clone();
        let url = format!("{}/v1/reservations", tdp.kms);
        let bytes = serde_json::to_vec(&beside).unwrap();
        refuses(Code::SchemaMismatch, wire::post::<Value>(&url, bytes, "application/json"));
    }
    scene.nothing_came_of(&deal);
}

/// Other bytes under the consumer's own signature: what a consumer with a tool of its own sends. The header is that of an
/// honest document of this type.
fn signed_bytes<T>(scene: &Scene, honest: &[PartySignature], payload: Vec<u8>) -> Envelope<T> {
    let consumer = &scene.house.tdc.person;
    let honest = honest.iter().find(|s| s.kid.holder == consumer.did.as_str()).unwrap();
    let (protected, payload) = (honest.protected.clone(), Bytes(payload));
    let input = format!("{}.{}", protected.text(), payload.text());
    let sig = consumer.key.sign_bytes(input.as_bytes()).unwrap();
    let signature = PartySignature { form: Form::Jws, protected, kid: honest.kid.clone(), sig: Bytes(sig.to_vec()) };
    Envelope::new(payload.0, vec![signature])
}

#[test]
fn six_a_contract_without_the_clause_that_its_provider_signed() {
    let scene = calm();
    let deal = scene.deal();
    // Everybody but the first provider signs that its data may be used without bounds.
    let wide = |c: &mut Contract| c.datasets[0].privacy.epsilon = real("800");
    let (contract, meant) = signed(&scene, &deal, Some(1), wide);
    each_refuses(&scene, &under(&scene, &deal, contract.clone(), meant.clone()), Code::SignatureMissing);
    // The provider's signature under the contract that it did sign.
    let mut lifted = contract;
    let first = &scene.house.tdps[0].person;
    let theirs = deal.bundle.contracts[0].envelope.signatures.iter().find(|s| s.kid.holder == first.did.as_str());
    lifted.signatures.push(theirs.unwrap().clone());
    each_refuses(&scene, &under(&scene, &deal, lifted, meant.clone()), Code::SignatureInvalid);
    // Without any clause it is no contract.
    let honest = &deal.bundle.contracts[0].envelope;
    let mut words: Value = serde_json::from_slice(&honest.payload.0).unwrap();
    words["datasets"][0].as_object_mut().unwrap().remove("privacy");
    let bare = signed_bytes(&scene, &honest.signatures, canonical::to_bytes(&words).unwrap());
    refuses(Code::SchemaMismatch, wire_propose(&scene, &bare));
    assert_eq!(scene.spent(&meant), [0, 0, 0]);
    scene.nothing_came_of(&deal);
}

#[test]
fn seven_a_join_of_a_table_with_itself() {
    let scene = calm();
    let deal = scene.deal();
    let spoilt = scene.forged(&deal, |job| {
        let key = |column: &str| ColumnRef { handle: "icmr".into(), column: column.into() };
        let own = key("icmr_patient_mobilenumber");
        join(job).steps.push(JoinStep { handle: "icmr".into(), kind: JoinKind::Inner, left: own.clone(), right: own });
    });
    each_refuses(&scene, &spoilt, Code::PipelineInvalid);
    scene.nothing_came_of(&deal);
}
