//! The log witness: cosigns what continues, refuses what forks, and remembers across restarts.

use contract_service::witness::{Conflict, Fault, RunningWitness};
use contract_service::{Config, WitnessConfig, WitnessPeer, init_witness, keep, system_clock};
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, Digest, Signer};
use signing::{FileKey, note};

use crate::catcher::eventually;
use crate::house::House;
use crate::wire::{hear, http};

const NAME: &str = "witness.example/w1";

struct Watched {
    house: House,
    witness: RunningWitness,
    config: WitnessConfig,
}

fn watched() -> Watched {
    let mut made = None;
    let house = House::with(|config| made = Some(add_witness(config)));
    let (config, witness) = made.unwrap();
    Watched { house, witness, config }
}

fn add_witness(config: &mut Config) -> (WitnessConfig, RunningWitness) {
    let sro = config.key_file.parent().unwrap();
    let (witness, jwk) = init_witness(&sro.join("witness"), NAME, &[&sro.join("trust.json")]).unwrap();
    let running = RunningWitness::start(&witness, system_clock()).unwrap();
    config.witnesses = vec![WitnessPeer { url: running.url.clone(), name: NAME.into(), jwk }];
    (witness, running)
}

/// The checkpoint, once the witness has cosigned it.
fn cosigned(watched: &Watched) -> Checkpoint {
    let read = || Checkpoint::parse(&watched.house.client.checkpoint().unwrap()).unwrap();
    let trust = watched.house.trust();
    assert!(eventually(|| note::verify_cosignature(&read(), NAME, &watched.witness.jwk).is_ok()));
    note::verify_checkpoint(&read().text(), &trust.origin, &trust.registry_jwk).unwrap()
}

/// Asks a witness over bare HTTP.
fn ask(url: &str, body: String) -> (u16, String, String) {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let response = client.post(format!("{url}/add-checkpoint")).body(body).send().unwrap();
    let media = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), media, response.text().unwrap())
}

#[test]
fn checkpoints_are_published_with_cosignatures() {
    let watched = watched();
    let first = cosigned(&watched).head;
    let house = &watched.house;
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    let second = cosigned(&watched).head;
    assert!(second.size > first.size && second.root != first.root);
    // Receipts need no witness; the cosigned note verifies beside them.
    house.client.ready().unwrap();
}

#[test]
fn forks_are_refused_with_the_status_of_the_specification() {
    let watched = watched();
    let n = cosigned(&watched).head.size;
    let Watched { house, witness, config } = watched;
    let key = FileKey::load(&house.config.key_file).unwrap();
    let origin = house.trust().origin.clone();
    let fork = |size: u64, root: u8, signer: &dyn Signer, origin: &str| {
        note::sign_checkpoint(origin, &CheckpointRef { size, root: Digest([root; 32]) }, signer).unwrap().text()
    };
    let url = witness.url.clone();
    let status = |body: String| ask(&url, body).0;
    let told = (409, "text/x.tlog.size".to_owned(), format!("{n}\n"));
    assert_eq!(ask(&url, format!("old 0\n\n{}", fork(n, 7, &key, &origin))), told);
    assert_eq!(status(format!("old {n}\n\n{}", fork(n, 7, &key, &origin))), 409, "same size, other root");
    assert_eq!(status(format!("old {n}\n\n{}", fork(n + 1, 7, &key, &origin))), 422, "no proof");
    let wrong = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    assert_eq!(status(format!("old {n}\n{wrong}\n\n{}", fork(n + 1, 7, &key, &origin))), 422, "wrong proof");
    assert_eq!(status(format!("old {}\n\n{}", n + 2, fork(n + 1, 7, &key, &origin))), 400, "old above size");
    assert_eq!(status(format!("old {n}\n\n{}", fork(n + 1, 7, &key, "other.example/log"))), 404);
    let stranger = FileKey::generate().unwrap();
    assert_eq!(status(format!("old {n}\n\n{}", fork(n + 1, 7, &stranger, &origin))), 403);
    assert_eq!(status(format!("old {n}\nrubbish")), 400);

    // Both heads of a fork are kept, each once, as the log signed them; what a stranger signed is not.
    let kept = |url: &str| -> Vec<Conflict> {
        let text = hear(http().get(format!("{url}/conflicts"))).body;
        let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    };
    let conflicts = kept(&url);
    let faults: Vec<Fault> = conflicts.iter().map(|c| c.fault).collect();
    assert_eq!(faults, [Fault::TwoRoots, Fault::NoContinuation]);
    for conflict in &conflicts {
        let trust = house.trust();
        let first = note::verify_checkpoint(conflict.first.as_ref().unwrap(), &origin, &trust.registry_jwk).unwrap();
        let second = note::verify_checkpoint(&conflict.second, &origin, &trust.registry_jwk).unwrap();
        assert!(first.head.size == n && second.head.root == Digest([7; 32]));
    }

    // The same again after a restart: what was cosigned and what was wrong is on the disk.
    drop(witness);
    let again = RunningWitness::start(&config, system_clock()).unwrap();
    assert_eq!(ask(&again.url, format!("old 0\n\n{}", fork(n, 7, &key, &origin))).2, format!("{n}\n"));
    assert_eq!(kept(&again.url), conflicts);
}

#[test]
fn one_witness_follows_several_logs() {
    let mut made = None;
    let one = House::with(|config| made = Some(config.key_file.with_file_name("trust.json")));
    let mut other_trust = None;
    let other = House::with(|config| other_trust = Some(config.key_file.with_file_name("trust.json")));
    let dir = one.dir.join("witness");
    let files = [made.unwrap(), other_trust.unwrap()];
    let (config, _) = init_witness(&dir, NAME, &[&files[0], &files[1]]).unwrap();
    let witness = RunningWitness::start(&config, system_clock()).unwrap();
    for house in [&one, &other] {
        let note = house.client.checkpoint().unwrap();
        let (status, _, line) = ask(&witness.url, format!("old 0\n\n{note}"));
        assert_eq!(status, 200, "{line}");
        let cosigned = Checkpoint::parse(&format!("{note}{line}")).unwrap();
        note::verify_cosignature(&cosigned, NAME, &witness.jwk).unwrap();
    }
}

#[test]
fn the_newest_cosigned_note_is_served_and_the_trust_names_the_witness() {
    let mut made = None;
    let house = House::with(|config| {
        made = Some(add_witness(config));
        config.witness_quorum = 1;
    });
    let (_, witness) = made.unwrap();
    let served = || hear(http().get(format!("{}/log/checkpoint/cosigned", house.url())));
    assert!(eventually(|| served().status == 200));
    let cosigned = Checkpoint::parse(std::str::from_utf8(&served().body).unwrap()).unwrap();
    note::verify_cosignature(&cosigned, NAME, &witness.jwk).unwrap();
    let trust = house.client.trust().unwrap();
    assert_eq!((trust.quorum, trust.witnesses.len()), (1, 1));
    assert_eq!((trust.witnesses[0].name.as_str(), &trust.witnesses[0].jwk), (NAME, &witness.jwk));
    // A witness that has gone away holds up no write, and its last word grows old.
    drop(witness);
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    house.skip(601);
    assert_eq!(served().status, 404);
}

#[test]
fn a_service_behind_its_witness_reads_and_does_not_write() {
    let mut made = None;
    let mut house = House::with(|config| made = Some(add_witness(config)));
    let (_, witness) = made.unwrap();
    let backup = house.dir.join("backup.db");
    // A database of the first day, put back after the log has grown under the witness's eyes.
    keep::backup(&house.config, &backup).unwrap();
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    let read = || Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap();
    assert!(eventually(|| note::verify_cosignature(&read(), NAME, &witness.jwk).is_ok()));
    drop(house.running.take());
    for file in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{file}", house.config.database().display())));
    }
    house.config.database = crate::database::url();
    keep::restore(&house.config, &backup).unwrap();
    house.restart();
    let application =
        house.sign(&crate::papers::participant(&house, &house.tdps[1], schemas::party::Kind::Tdp), &house.tdps[1]);
    assert_eq!(house.client.apply(&application).unwrap_err().code, Code::ReadOnly);
    assert_eq!(house.client.ready().unwrap_err().code, Code::ReadOnly);
    assert_eq!(house.client.status_list().unwrap_err().code, Code::ReadOnly, "it does not know what was revoked since");
    house.client.checkpoint().unwrap();
}

#[test]
fn a_witness_under_another_key_is_not_published() {
    let mut made = None;
    let house = House::with(|config| {
        made = Some(add_witness(config));
        config.witnesses[0].jwk = FileKey::generate().unwrap().jwk().clone();
    });
    std::thread::sleep(std::time::Duration::from_millis(800));
    assert_eq!(Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().signatures.len(), 1);
}
