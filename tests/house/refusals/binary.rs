//! Changed code gets no key: a room that is not the approved one, by any of the things that are measured.

use std::sync::Arc;

use attestation::software::{SoftwareAttester, SoftwareRoot};
use schemas::contract::Assurance;
use schemas::evidence::EvidenceKind;
use schemas::{Code, Digest};

use super::judges::each_kms_refuses;
use super::probe::Probe;
use super::scene::{Scene, Shown, calm, real, refuses};

/// The front desk refuses the room at check-in, and every key service refuses it although the registry's key admits it.
fn nobody_takes(scene: &Scene, attester: Arc<SoftwareAttester>, code: Code) {
    let deal = scene.deal();
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let mut room = scene.room();
    room.attester = Box::new(Shown(attester.clone()));
    let (done, told) = scene.run(&deal.bundle, &room);
    refuses(code, done);
    assert_eq!(told.len(), 1, "nothing but its own admission: {told:?}");
    for tdp in &scene.house.tdps {
        let mut probe = Probe::unseen(scene, &deal.bundle);
        probe.attester = attester.clone();
        probe.forges_admission();
        refuses(code, probe.reserve(&tdp.kms));
    }
    scene.nothing_came_of(&deal);
}

#[test]
fn another_measurement() {
    let scene = calm();
    let root = SoftwareRoot::load(&scene.house.ccrp.root).unwrap();
    let other = SoftwareAttester::new(root, Digest::of(b"other code")).unwrap();
    nobody_takes(&scene, Arc::new(other), Code::EvidenceRefused);
}

/// One byte more in the worker's file changes what the room measures to, and that is what the evidence shows.
#[test]
fn a_worker_with_one_byte_more() {
    let scene = calm();
    let (house, ccrp) = (&scene.house, &scene.house.ccrp);
    let worker = house.ccrp.person.dir.join(format!("worker-{}", uuid::Uuid::new_v4()));
    std::fs::copy(&ccrp.trainer, &worker).unwrap();
    let measured = |worker: &std::path::Path| {
        let (mut config, _) = ccr_runtime::Config::load(&ccrp.config_file()).unwrap();
        config.trainer = worker.to_owned();
        ccr_runtime::measure::measurement_of(&ccrp.ccr, &config, &ccrp.config_file()).unwrap()
    };
    assert_eq!(Some(measured(&worker)), house.measurement, "an exact copy measures to the same");
    let mut bytes = std::fs::read(&worker).unwrap();
    bytes.push(0);
    std::fs::write(&worker, bytes).unwrap();
    let changed = measured(&worker);
    assert_ne!(Some(changed), house.measurement);
    let root = SoftwareRoot::load(&ccrp.root).unwrap();
    nobody_takes(&scene, Arc::new(SoftwareAttester::new(root, changed).unwrap()), Code::EvidenceRefused);
}

#[test]
fn the_right_code_vouched_for_by_a_root_that_nobody_pins() {
    let scene = calm();
    let root = SoftwareRoot::create_with(2048, scene.clock.now().whole()).unwrap();
    let attester = SoftwareAttester::new(root, scene.house.measurement.unwrap()).unwrap();
    nobody_takes(&scene, Arc::new(attester), Code::EvidenceRefused);
}

#[test]
fn a_kind_of_evidence_that_the_contract_does_not_accept() {
    let scene = calm();
    let deal = scene.deal_with(|form| form.compute.evidence = vec![EvidenceKind::AzureSnp]);
    refuses(Code::EvidenceNotAllowed, scene.order_and_run(&deal.bundle));
    each_kms_refuses(&scene, &deal.bundle, Code::EvidenceNotAllowed);
    scene.nothing_came_of(&deal);
}

/// A key that was imported for hardware evidence is not released to the software attester, whatever the contract says.
#[test]
fn a_key_that_asks_for_hardware() {
    let scene = Scene::with(|tdp, tables| {
        let change = |d: &mut depa::dataset::form::Description| {
            d.cap.epsilon = real("900");
            d.min_assurance = Assurance::Hardware;
        };
        tdp.offers_with(tables.of(tdp.kind), change).unwrap()
    });
    // Not even a contract that accepts nothing else can be drafted.
    refuses(Code::AssuranceTooLow, scene.house.contract_with(|_| {}));
    let either = vec![EvidenceKind::Software, EvidenceKind::AzureSnp];
    let deal = scene.deal_with(|form| form.compute.evidence = either);
    refuses(Code::AssuranceTooLow, scene.order_and_run(&deal.bundle));
    each_kms_refuses(&scene, &deal.bundle, Code::AssuranceTooLow);
    scene.nothing_came_of(&deal);
}
