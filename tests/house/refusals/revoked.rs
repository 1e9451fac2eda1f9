//! A contract that ends early: before a run, between challenge and release, and while a room trains.

use std::path::Path;

use ccr_runtime::Progress;
use demo::actors::Person;
use schemas::contract::{ContractRef, ContractState};
use schemas::event::RunEventKind;
use schemas::id::ImageSetId;
use schemas::rules::ImageSetRevocation;
use schemas::{Code, Digest, R};

use super::probe::Probe;
use super::scene::{Deal, Scene, calm, real, refuses, to_folder};

fn revoke(scene: &Scene, contract: &ContractRef, people: &[&Person]) -> R<ContractState> {
    let person = people[0];
    let mut document = depa::contract::draft_revoke(contract, "Enough.", &scene.house.trust, person.now())?;
    for signer in people {
        document = depa::contract::sign_revoke(&document, &signer.key, person.now())?;
    }
    Ok(depa::contract::revoke(person.desk()?, &document)?.state)
}

fn first_tdp(scene: &Scene) -> &Person {
    &scene.house.tdps[0].person
}

/// Asks a key service for the key of its reservation under the Admission at hand.
fn release_at_first(scene: &Scene, probe: &Probe, all: &[schemas::Envelope<schemas::release::KmsReceipt>]) -> R<()> {
    probe.release(&scene.house.tdps[0].kms, all).map(drop)
}

#[test]
fn only_those_revoke_who_may_and_then_nothing_starts() {
    let scene = calm();
    let house = &scene.house;
    let deal = scene.deal();
    let waiting = Probe::arrives(&scene, &scene.again(&deal)).unwrap();
    // Not the clean-room provider, not the consumer, not one SRO person alone.
    refuses(Code::SignerNotParty, revoke(&scene, &deal.contract, &[&house.psp.person]));
    refuses(Code::SignerNotParty, revoke(&scene, &deal.contract, &[&house.ccrp.person]));
    refuses(Code::TwoPeopleNeeded, revoke(&scene, &deal.contract, &[&house.sro.people[0]]));
    assert_eq!(scene.state(&deal.contract), ContractState::Active);
    let [asha, bela] = &house.sro.people;
    assert_eq!(revoke(&scene, &deal.contract, &[asha, bela]).unwrap(), ContractState::Revoked);
    refuses(Code::StateTransition, revoke(&scene, &deal.contract, &[first_tdp(&scene)]));

    refuses(Code::ContractRevoked, house.job_with(&deal.contract.id, |_| {}));
    refuses(Code::ContractRevoked, scene.desk().order_run(&deal.bundle));
    refuses(Code::ContractRevoked, scene.desk().check_in(&waiting.check_in(|_| {})));
    // What was ordered before is refused to the room at check-in.
    let (done, told) = scene.run(&waiting.bundle, &scene.room());
    refuses(Code::ContractRevoked, done);
    assert_eq!(told.len(), 1, "{told:?}");
    scene.nothing_came_of(&deal);
}

#[test]
fn revoked_between_challenge_and_release_no_key_leaves_after_a_minute() {
    let scene = Scene::new();
    let deal = scene.deal();
    let mut probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let all = probe.reserve_all();
    let kms = scene.house.tdps[0].kms.clone();
    let before = probe.admission.clone();
    revoke(&scene, &deal.contract, &[first_tdp(&scene)]).unwrap();
    // A fresh Admission is refused at once, and the old one after its minute.
    refuses(Code::ContractRevoked, probe.refresh());
    scene.clock.advance(61);
    probe.admission = before;
    refuses(Code::AdmissionStale, release_at_first(&scene, &probe, &all));
    // Even a fresh Admission, were there one, would say that the contract is revoked.
    let mut said = probe.admission.clone().unwrap().read_unverified().unwrap();
    said.issued_at = scene.clock.now();
    said.contracts[0].state = ContractState::Revoked;
    probe.admission = Some(signing::sign(&said, &scene.registry_key(), scene.clock.now()).unwrap());
    refuses(Code::ContractRevoked, probe.release(&kms, &all));
    assert_eq!(scene.states(&deal.contract), [["reserved"]; 3], "no key has left");
    scene.clock.advance(600);
    scene.nothing_came_of(&deal);
}

#[test]
fn revoked_while_keys_are_held_no_lease_and_no_output() {
    let scene = Scene::new();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let all = probe.reserve_all();
    probe.release_all(&all);
    probe.reports(RunEventKind::KeysReleased {}).unwrap();
    let kms = scene.house.tdps[0].kms.clone();
    let before = scene.desk().status_list().unwrap();
    probe.renew(&kms, before.clone()).unwrap();
    revoke(&scene, &deal.contract, &[first_tdp(&scene)]).unwrap();
    refuses(Code::ContractRevoked, probe.renew(&kms, scene.desk().status_list().unwrap()));
    scene.clock.advance(31);
    for tdp in &scene.house.tdps {
        refuses(Code::LeaseExpired, probe.commit(&tdp.kms, Digest::of(b"model")));
    }
    scene.clock.advance(31);
    refuses(Code::StatusListStale, probe.renew(&kms, before));
    // Keys have left, so the charge stays, and nothing else came of it.
    assert_eq!(scene.states(&deal.contract), [["charged"]; 3]);
    scene.key_is_withheld(&probe.run_id);
    scene.nothing_left(&deal);
}

/// Two SRO people withdraw their approval of an image set.
fn withdraw(scene: &Scene, id: &ImageSetId) {
    let document = ImageSetRevocation {
        schema: "image-set-revocation.v1".into(),
        registry: scene.house.trust.registry.clone(),
        image_set_id: id.clone(),
        reason: "A hole was found.".into(),
        at: scene.clock.now(),
    };
    let by = |person: &Person| {
        let signed = signing::sign(&document, &*person.key, person.now()).unwrap();
        person.desk().unwrap().revoke_image_set(&signed).unwrap().receipt
    };
    let [asha, bela] = &scene.house.sro.people;
    assert!(by(asha).is_none(), "one person alone");
    assert!(by(bela).is_some());
}

/// The contract stands, since it names another room too; what runs in the withdrawn one does not.
#[test]
fn an_image_set_withdrawn_after_check_in_ends_its_runs() {
    let scene = Scene::new();
    let house = &scene.house;
    let other = house.ccrp.image_set(&house.ccrp.measure_here().unwrap()).unwrap();
    house.sro.approve(&other).unwrap();
    let (own, other) = (house.image_set().unwrap().clone(), other.read_unverified().unwrap().image_set_id);
    let both = |form: &mut depa::contract::form::ContractForm| {
        form.compute.image_sets.push(other.clone());
        form.compute.image_sets.sort();
    };
    let (contract, upload) = (house.signed_contract(both).unwrap(), scene.upload_folder());
    let part = || {
        let small = |form: &mut depa::job::form::JobForm| {
            to_folder(form, &upload);
            form.training.epsilon = Some(real("0.3"));
        };
        house.job_with(&contract.id, small).unwrap().bundle
    };
    let holder = Probe::admitted(&scene, &part()).unwrap();
    holder.release_all(&holder.reserve_all());
    let again = part();
    let waiting = Probe::admitted(&scene, &again).unwrap();
    let reserved = waiting.reserve_all();
    let late = Probe::arrives(&scene, &part()).unwrap();
    let deal = Deal { bundle: again.clone(), contract: contract.clone(), upload: upload.clone() };
    let [first, second, _] = [0, 1, 2].map(|at| house.tdps[at].kms.clone());
    holder.renew(&first, scene.desk().status_list().unwrap()).unwrap();

    withdraw(&scene, &own);
    let list = scene.desk().status_list().unwrap();
    assert_eq!(list.read_unverified().unwrap().image_sets_revoked, [own]);
    assert_eq!(scene.state(&deal.contract), ContractState::Active);
    refuses(Code::ImageSetRevoked, scene.desk().check_in(&late.check_in(|_| {})));
    refuses(Code::ImageSetRevoked, holder.refresh());
    refuses(Code::ImageSetRevoked, holder.renew(&first, list.clone()));
    // The Admission of before is fresh still: a key service that has heard refuses it all the same, and another one
    // does so once it has heard.
    refuses(Code::ImageSetRevoked, waiting.release(&first, &reserved));
    let mut unseen = Probe::unseen(&scene, &again);
    unseen.forges_admission();
    refuses(Code::ImageSetRevoked, unseen.reserve(&first));
    refuses(Code::ImageSetRevoked, holder.renew(&second, list));
    refuses(Code::ImageSetRevoked, waiting.release(&second, &reserved));
    scene.clock.advance(61);
    refuses(Code::AdmissionStale, waiting.release(&house.tdps[2].kms, &reserved));
    for tdp in &house.tdps {
        refuses(Code::LeaseExpired, holder.commit(&tdp.kms, Digest::of(b"model")));
    }
    assert_eq!(scene.states(&deal.contract), [["charged", "reserved"]; 3]);
    scene.nothing_left(&deal);
}

/// Runs with a worker that has begun to train and goes on for long; `stop` is called once it has begun.
fn stopped(scene: &Scene, deal: &Deal, stop: impl FnOnce(&schemas::id::RunId)) -> (Code, schemas::id::RunId) {
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let mut room = scene.room();
    room.config.trainer = Path::new(env!("CARGO_BIN_EXE_slow-worker")).to_owned();
    let (mut run_id, mut stop, mut told) = (None, Some(stop), Vec::new());
    let done = ccr_runtime::run(deal.bundle.clone(), &room, &mut |progress| {
        if let Progress::CheckedIn { run } = &progress {
            run_id = Some(run.clone());
        }
        if let (Progress::Training { .. }, Some(stop)) =
            (&progress, stop.take_if(|_| matches!(progress, Progress::Training { .. })))
        {
            stop(run_id.as_ref().unwrap());
        }
        told.push(progress);
    });
    assert!(!told.iter().any(|p| matches!(p, Progress::Committed { .. } | Progress::Uploaded { .. })), "{told:?}");
    (done.unwrap_err().code, run_id.unwrap())
}

#[test]
fn a_room_that_trains_is_stopped_at_its_next_renewal() {
    let scene = calm();
    let deal = scene.deal();
    let revoked = |_: &schemas::id::RunId| assert!(revoke(&scene, &deal.contract, &[first_tdp(&scene)]).is_ok());
    let (code, run) = stopped(&scene, &deal, revoked);
    assert_eq!(code, Code::ContractRevoked);
    // Steps were run, so the charge stays: privacy that may be lost is not given back.
    assert_eq!(scene.states(&deal.contract), [["charged"]; 3]);
    assert_eq!(scene.house.tdc.person.desk().unwrap().run(&run).unwrap().state, "aborted");
    scene.key_is_withheld(&run);
    scene.nothing_left(&deal);
}

/// A worker that trains longer than a lease is renewed: the stand-in that learns nothing, after twelve seconds.
fn patient_worker(scene: &Scene) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = scene.house.dir.join(format!("patient-worker-{}", uuid::Uuid::new_v4()));
    let echo = crate::echo_worker();
    let text = format!("#!/bin/sh\n[ \"$1\" = --library-paths ] || /bin/sleep 12\nexec '{}' \"$@\"\n", echo.display());
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

/// The same revocation, under a contract that lets its runs finish: the room that holds the keys goes on over its next
/// renewal, commits, completes and is paid; nothing new begins.
#[test]
fn a_room_finishes_where_the_contract_lets_it() {
    let scene = Scene::new();
    let deal = scene.deal_with(|form| form.running = schemas::contract::Running::LetFinish);
    let late = scene.again(&deal);
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let mut room = scene.room();
    room.config.trainer = patient_worker(&scene);
    let mut told = Vec::new();
    let done = ccr_runtime::run(deal.bundle.clone(), &room, &mut |progress| {
        if let Progress::Opened { .. } = &progress {
            assert_eq!(revoke(&scene, &deal.contract, &[first_tdp(&scene)]).unwrap(), ContractState::Revoked);
        }
        told.push(progress);
    });
    let completed = done.unwrap();
    assert!(told.iter().any(|p| matches!(p, Progress::Opened { .. })), "{told:?}");
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    assert_eq!(scene.house.tdc.person.desk().unwrap().run(&completed.run_id).unwrap().state, "completed");
    assert!(!scene.payments(&deal.contract).is_empty());
    refuses(Code::ContractRevoked, scene.desk().order_run(&late));
}

#[test]
fn a_run_that_a_provider_aborts_is_stopped_at_its_next_renewal() {
    let scene = calm();
    let deal = scene.deal();
    let abort = |run: &schemas::id::RunId| {
        let person = first_tdp(&scene);
        let document = schemas::event::Abort {
            schema: "abort.v1".into(),
            registry: scene.house.trust.registry.clone(),
            run_id: run.clone(),
            reason: "Enough.".into(),
            at: person.now(),
        };
        let by = |who: &Person| signing::sign(&document, &*who.key, who.now()).unwrap();
        refuses(Code::SignerNotParty, scene.desk().abort_run(run, &by(&scene.house.psp.person)));
        scene.desk().abort_run(run, &by(person)).unwrap();
    };
    let (code, run) = stopped(&scene, &deal, abort);
    assert_eq!(code, Code::RunState);
    assert_eq!(scene.states(&deal.contract), [["charged"]; 3]);
    scene.key_is_withheld(&run);
    scene.nothing_left(&deal);
}
