//! A service restored from an old backup: it notices through its witness, stays read-only, and comes back by a mirror or
//! by a succession that two SRO people signed; what was revoked meanwhile stays revoked.

use std::path::PathBuf;

use contract_service::witness::RunningWitness;
use contract_service::{WitnessPeer, init_witness, keep, system_clock};
use schemas::contract::{ContractRef, ContractState};
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::party::Kind;
use schemas::{Code, canonical};
use signing::note;

use crate::catcher::eventually;
use crate::house::House;
use crate::papers;

const NAME: &str = "witness.example/w1";

/// A house with a witness, a contract in force, and a backup of that day.
struct Lost {
    house: House,
    _witness: RunningWitness,
    backup: PathBuf,
    contract: ContractRef,
}

fn head(house: &House) -> CheckpointRef {
    Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head
}

fn witnessed(house: &House) -> bool {
    let note = Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap();
    note::verify_cosignature(&note, NAME, &house.config.witnesses[0].jwk).is_ok()
}

/// Everything that an auditor's mirror holds: a checkpoint and the entries with bodies.
fn mirror(house: &House) -> PathBuf {
    let dir = house.dir.join("mirror");
    std::fs::create_dir_all(dir.join("entries")).unwrap();
    let page = house.as_(&house.sro[0]).export(0, 1000).unwrap();
    // The export itself is an entry, and stands in what it brings.
    let lines: Vec<String> = page
        .entries
        .iter()
        .map(|entry| String::from_utf8(canonical::to_bytes(entry).unwrap()).unwrap() + "\n")
        .collect();
    std::fs::write(dir.join("entries/000000000.jsonl"), lines.concat()).unwrap();
    std::fs::write(dir.join("checkpoint"), page.checkpoint).unwrap();
    dir
}

fn lost(revoke: bool) -> (Lost, CheckpointRef, PathBuf) {
    let mut made = None;
    let mut house = House::with(|config| {
        let sro = config.key_file.parent().unwrap().to_owned();
        let (witness, jwk) = init_witness(&sro.join("witness"), NAME, &[&sro.join("trust.json")]).unwrap();
        let running = RunningWitness::start(&witness, system_clock()).unwrap();
        config.witnesses = vec![WitnessPeer { url: running.url.clone(), name: NAME.into(), jwk }];
        made = Some(running);
    })
    .furnish();
    let contract = house.executed();
    let backup = house.dir.join("day.backup");
    keep::backup(&house.config, &backup).unwrap();
    if revoke {
        let act = papers::revoke(&house, &contract);
        house.client.revoke(&contract.id, &house.sign(&act, &house.tdps[0])).unwrap();
    }
    let mirror = mirror(&house);
    assert!(eventually(|| witnessed(&house)));
    let then = head(&house);
    // The disk is lost and the old backup put back.
    drop(house.running.take());
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{suffix}", house.config.database().display())));
    }
    let old = keep::restore(&house.config, &backup).unwrap();
    assert!(old.size < then.size);
    (Lost { house, _witness: made.unwrap(), backup, contract }, then, mirror)
}

fn writes(house: &House) -> Result<(), Code> {
    let who = signing::FileKey::generate().unwrap();
    let application = house.sign(&papers::participant(house, &who, Kind::Tdp), &who);
    house.client.apply(&application).map(drop).map_err(|refusal| refusal.code)
}

#[test]
fn an_old_backup_is_noticed_and_a_mirror_brings_the_rest() {
    let (mut lost, then, mirror) = lost(true);
    lost.house.restart();
    assert_eq!(writes(&lost.house), Err(Code::ReadOnly));
    assert_eq!(lost.house.client.ready().unwrap_err().code, Code::ReadOnly);
    let state = |house: &House| house.as_(&house.tdc).contract(&lost.contract.id).unwrap().state;
    assert_eq!(state(&lost.house), ContractState::Active, "the backup knows nothing of the revocation");

    drop(lost.house.running.take());
    let mirrored = Checkpoint::parse(&std::fs::read_to_string(mirror.join("checkpoint")).unwrap()).unwrap().head;
    assert_eq!(keep::restore_from_mirror(&lost.house.config, &mirror).unwrap(), mirrored);
    assert_eq!(keep::verify_store(&lost.house.config, lost.house.now()).unwrap(), mirrored);
    lost.house.restart();
    assert_eq!(head(&lost.house), then, "equal roots");
    assert_eq!(state(&lost.house), ContractState::Revoked, "what was revoked stays revoked");
    assert_eq!(writes(&lost.house), Ok(()));
}

#[test]
fn without_a_mirror_only_a_succession_by_two_people_opens_the_log() {
    let (mut lost, _, _) = lost(false);
    let (house, now) = (&mut lost.house, lost.backup.clone());
    assert!(now.exists());
    let at = house.now();
    let origin = format!("{}2", house.config.origin().unwrap());
    let draft = keep::draft_succession(&house.config, &origin, "The disk was lost", at).unwrap();
    let by = |n: usize| {
        let mut signed = draft.clone();
        signed.signatures = vec![signing::countersign(&draft, &*house.sro[n], at).unwrap()];
        signed
    };
    let (asha, bela) = (by(0), by(1));
    let alone = keep::succeed(&house.config, std::slice::from_ref(&asha), at).map(drop).unwrap_err();
    assert_eq!(alone.code, Code::TwoPeopleNeeded);
    let same = keep::succeed(&house.config, &[asha.clone(), asha.clone()], at).map(drop).unwrap_err();
    assert_eq!(same.code, Code::TwoPeopleNeeded);
    let (opened, config) = keep::succeed(&house.config, &[asha, bela], at).unwrap();
    assert_eq!(config.origin().unwrap(), origin);
    // The old origin is closed: its witness does not follow the new one until it is told of it.
    house.config = contract_service::Config { witnesses: Vec::new(), ..config };
    house.restart();
    assert_eq!(head(house), opened);
    let note = Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap();
    assert_eq!(note.origin, origin);
    let view = house.as_(&house.tdc).contract(&lost.contract.id).unwrap();
    assert_eq!(view.state, ContractState::Active, "what the backup holds goes on");
    assert_eq!(writes(house), Ok(()));
}

#[test]
fn a_backup_that_was_changed_is_not_put_back() {
    let house = House::empty();
    let backup = house.dir.join("day.backup");
    let head = keep::backup(&house.config, &backup).unwrap();
    assert_eq!(keep::backup(&house.config, &backup).unwrap_err().code, Code::ConfigInvalid, "never overwritten");
    let elsewhere = contract_service::Config { data_dir: house.dir.join("elsewhere"), ..house.config.clone() };
    assert_eq!(keep::restore(&elsewhere, &backup).unwrap(), head);
    assert_eq!(keep::restore(&elsewhere, &backup).unwrap_err().code, Code::ConfigInvalid, "never over a database");
    let none = contract_service::Config { data_dir: house.dir.join("none"), ..house.config.clone() };
    assert_eq!(keep::verify_store(&none, house.now()).unwrap_err().code, Code::ConfigInvalid);
    assert_eq!(keep::restore_from_mirror(&none, &house.dir).unwrap_err().code, Code::ConfigInvalid);
}
