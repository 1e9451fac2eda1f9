//! The log witness: cosigns what continues, refuses what forks, and remembers across restarts.

use contract_service::witness::RunningWitness;
use contract_service::{Config, WitnessConfig, WitnessPeer, init_witness, system_clock};
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Digest, Signer};
use signing::{FileKey, note};

use crate::catcher::eventually;
use crate::house::House;

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
    assert!(second.size == first.size + 2 && second.root != first.root);
    // Receipts need no witness; the cosigned note verifies beside them.
    house.client.ready().unwrap();
}

#[test]
fn forks_are_refused_with_the_status_of_the_specification() {
    let Watched { house, witness, config } = {
        let watched = watched();
        cosigned(&watched);
        watched
    };
    let key = FileKey::load(&house.config.key_file).unwrap();
    let origin = house.trust().origin.clone();
    let fork = |size: u64, root: u8, signer: &dyn Signer, origin: &str| {
        note::sign_checkpoint(origin, &CheckpointRef { size, root: Digest([root; 32]) }, signer).unwrap().text()
    };
    let url = witness.url.clone();
    // The log has one entry, the genesis.
    let status = |body: String| ask(&url, body).0;
    assert_eq!(
        ask(&url, format!("old 0\n\n{}", fork(1, 7, &key, &origin))),
        (409, "text/x.tlog.size".into(), "1\n".into())
    );
    assert_eq!(status(format!("old 1\n\n{}", fork(1, 7, &key, &origin))), 409, "same size, other root");
    assert_eq!(status(format!("old 1\n\n{}", fork(2, 7, &key, &origin))), 422, "no proof");
    let wrong = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    assert_eq!(status(format!("old 1\n{wrong}\n\n{}", fork(2, 7, &key, &origin))), 422, "wrong proof");
    assert_eq!(status(format!("old 3\n\n{}", fork(2, 7, &key, &origin))), 400, "old above size");
    assert_eq!(status(format!("old 1\n\n{}", fork(2, 7, &key, "other.example/log"))), 404);
    let stranger = FileKey::generate().unwrap();
    assert_eq!(status(format!("old 1\n\n{}", fork(2, 7, &stranger, &origin))), 403);
    assert_eq!(status("old 1\nrubbish".into()), 400);

    // The same again after a restart: what was cosigned is on the disk.
    drop(witness);
    let again = RunningWitness::start(&config, system_clock()).unwrap();
    assert_eq!(ask(&again.url, format!("old 0\n\n{}", fork(1, 7, &key, &origin))).2, "1\n");
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
