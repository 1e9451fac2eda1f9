//! A service restored from an old backup: it notices through its witness, stays read-only, and comes back by a mirror or
//! by a succession that two SRO people signed; what was revoked meanwhile stays revoked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use contract_service::keep::Told;
use contract_service::witness::RunningWitness;
use contract_service::{Config, Service, WitnessPeer, init_witness, keep, succession, system_clock};
use schemas::contract::{ContractRef, ContractState};
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::party::Kind;
use schemas::rules::LogSucceeded;
use schemas::{Code, Envelope, Signer as _, Timestamp, canonical};
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
    lost_when(revoke, |_| {})
}

/// The same after something happened that the backup holds.
fn lost_after(act: impl FnOnce(&House)) -> (Lost, CheckpointRef, PathBuf) {
    lost_when(false, act)
}

fn lost_when(revoke: bool, act: impl FnOnce(&House)) -> (Lost, CheckpointRef, PathBuf) {
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
    act(&house);
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
    house.config.database = crate::database::url();
    let old = keep::restore(&house.config, &backup).unwrap();
    assert!(old.size < then.size);
    (Lost { house, _witness: made.unwrap(), backup, contract }, then, mirror)
}

/// The succession; on PostgreSQL into an empty database beside the old one, which must be named.
fn succeed_into(house: &House, signed: &[Envelope<LogSucceeded>], at: Timestamp) -> (CheckpointRef, Config) {
    let mut told = Vec::new();
    let mut succeed = |into: Option<&str>| {
        keep::succeed(&house.config, signed, into, at, &mut |now| {
            if let Told::Entries(taken) = now {
                told.push(taken);
            }
        })
    };
    let Some(into) = crate::database::url() else {
        assert_eq!(succeed(Some("postgres://sro@localhost/other")).map(drop).unwrap_err().code, Code::ConfigInvalid);
        let done = succeed(None).unwrap();
        assert!(told.last().is_some_and(|taken| *taken > 1), "progress: {told:?}");
        return done;
    };
    assert_eq!(succeed(None).map(drop).unwrap_err().code, Code::ConfigInvalid, "no database is named");
    let done = succeed(Some(&into)).unwrap();
    assert_eq!(done.1.database.as_ref(), Some(&into));
    done
}

/// A web server that gives out a folder, as an auditor's would.
struct Served {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn start(dir: &Path) -> Served {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mirror/", server.server_addr().to_ip().unwrap());
        let (asked, dir) = (Arc::new(Mutex::new(Vec::new())), dir.to_owned());
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for request in server.incoming_requests() {
                let path = request.url().to_owned();
                let file = std::fs::read(dir.join(path.strip_prefix("/mirror/").unwrap_or_default()));
                seen.lock().unwrap().push(path);
                let answer = match file {
                    Ok(bytes) => tiny_http::Response::from_data(bytes),
                    Err(_) => tiny_http::Response::from_data(Vec::new()).with_status_code(404),
                };
                drop(request.respond(answer));
            }
        });
        Served { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
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
    let served = Served::start(&mirror);
    let mirrored = Checkpoint::parse(&std::fs::read_to_string(mirror.join("checkpoint")).unwrap()).unwrap().head;
    assert_eq!(keep::restore_from_mirror(&lost.house.config, &served.url, &mut |_, _| {}).unwrap(), mirrored);
    assert!(served.asked().iter().any(|path| path == "/mirror/entries/000000000.jsonl"), "read over HTTP");
    let folder = mirror.to_str().unwrap();
    let mut told = Vec::new();
    let again = keep::restore_from_mirror(&lost.house.config, folder, &mut |at, of| told.push((at, of))).unwrap();
    assert_eq!((again, told), (mirrored.clone(), vec![(0, mirrored.size)]), "a folder does as well");
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
    let alone = keep::succeed(&house.config, std::slice::from_ref(&asha), None, at, &mut |_| {}).map(drop).unwrap_err();
    assert_eq!(alone.code, Code::TwoPeopleNeeded);
    let same =
        keep::succeed(&house.config, &[asha.clone(), asha.clone()], None, at, &mut |_| {}).map(drop).unwrap_err();
    assert_eq!(same.code, Code::TwoPeopleNeeded);
    let unnamed = LogSucceeded { new_key: None, ..draft.read_unverified().unwrap() };
    let unnamed = house.by_sro(&unnamed);
    let into = crate::database::url();
    let refused = keep::succeed(&house.config, &[unnamed], into.as_deref(), at, &mut |_| {}).map(drop).unwrap_err();
    assert!(refused.code == Code::ConfigInvalid && refused.sentence.contains("draft it anew"), "{refused}");
    let pinned = contract_service::trust(&house.config).unwrap();
    let (opened, config) = succeed_into(house, &[asha, bela], at);
    assert_eq!(config.origin().unwrap(), origin);
    // The old origin is closed: its witness does not follow the new one until it is told of it.
    house.config = Config { witnesses: Vec::new(), ..config };
    house.restart();
    assert_eq!(head(house), opened);
    let note = Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap();
    assert_eq!(note.origin, origin);
    let view = house.as_(&house.tdc).contract(&lost.contract.id).unwrap();
    assert_eq!(view.state, ContractState::Active, "what the backup holds goes on");
    assert_eq!(writes(house), Ok(()));
    // Who pinned the closed log follows, and a mirror of the new one puts it back elsewhere.
    let followed = pinned.following(&house.client.log_keys().unwrap()).unwrap();
    assert_eq!(followed.origin, origin);
    note::verify_checkpoint(&house.client.checkpoint().unwrap(), &origin, &followed).unwrap();
    let mirror = mirror(house);
    drop(house.running.take());
    let database = crate::database::url();
    let elsewhere = Config { data_dir: house.dir.join("elsewhere"), database, ..house.config.clone() };
    let restored = keep::restore_from_mirror(&elsewhere, mirror.to_str().unwrap(), &mut |_, _| {}).unwrap();
    assert!(restored.size > opened.size);
    house.config = elsewhere;
    house.restart();
    assert_eq!(writes(house), Ok(()));
}

const CHILD: &str = "DEPA_DESK_SUCCESSION";

/// The child: carries the act on, and is gone after so many steps.
#[test]
fn child() {
    let Ok(words) = std::env::var(CHILD) else { return };
    let (steps, folder) = words.split_once(' ').unwrap();
    let (steps, folder): (u32, _) = (steps.parse().unwrap(), Path::new(folder));
    let config = Config::load(&folder.join("sro/config.toml"), std::iter::empty()).unwrap();
    let signed = serde_json::from_slice(&std::fs::read(folder.join("signed.json")).unwrap()).unwrap();
    let mut done = 0;
    let outcome = keep::succeed(&config, &[signed], None, crate::house::start(), &mut |told| {
        if matches!(told, Told::Done(_)) {
            done += 1;
            if done == steps {
                std::process::abort();
            }
        }
    });
    outcome.unwrap();
    std::process::exit(7);
}

/// Killed after each of its steps in turn, the act is named by whatever opens the log next, and goes on by itself.
#[test]
fn a_succession_that_is_cut_short_is_named_and_goes_on() {
    if crate::database::url().is_some() {
        // There nothing moves: the old database stays until the configuration names the new one.
        return;
    }
    let (mut lost, _, _) = lost(false);
    let house = &mut lost.house;
    let origin = format!("{}2", house.config.origin().unwrap());
    let draft = keep::draft_succession(&house.config, &origin, "The disk was lost", crate::house::start()).unwrap();
    let signed = house.by_sro(&draft.read_unverified().unwrap());
    std::fs::write(house.dir.join("signed.json"), serde_json::to_vec(&signed).unwrap()).unwrap();
    let file = house.dir.join("sro/config.toml");
    let written = Config { data_dir: "data".into(), key_file: "registry.key".into(), ..house.config.clone() };
    std::fs::write(&file, toml::to_string_pretty(&written).unwrap()).unwrap();
    let old = keep::verify_store(&house.config, house.now()).unwrap();
    let start = |house: &House| Service::start(house.config.clone(), house.clock()).map(drop);
    let (mut named, mut kills) = (0, 0);
    // One step further each time: the first step that is left is always done again or over.
    let last = loop {
        let steps = if kills < 2 { kills + 1 } else { 1 };
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["restore::child", "--exact", "--nocapture"])
            .env(CHILD, format!("{steps} {}", house.dir.display()))
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        if status.code() == Some(7) || kills == 12 {
            break status;
        }
        kills += 1;
        match start(house) {
            Err(refusal) => {
                assert_eq!(refusal.code, Code::SuccessionUnfinished, "after {kills} kills: {refusal}");
                assert!(refusal.sentence.contains(&origin), "{refusal}");
                let others = [
                    keep::verify_store(&house.config, house.now()).map(drop),
                    keep::backup(&house.config, &house.dir.join("no.backup")).map(drop),
                    keep::draft_succession(&house.config, "sro.example/other", "No", house.now()).map(drop),
                ];
                for other in others {
                    assert_eq!(other.unwrap_err().code, Code::SuccessionUnfinished);
                }
                named += 1;
            }
            // Before the new log is whole and written down nothing has changed.
            Ok(()) => assert!(named == 0 && keep::verify_store(&house.config, house.now()).unwrap() == old),
        }
        // The last step is told each time: from there on one goes further by letting it end.
        let paper = std::fs::read_to_string(house.dir.join("sro/data/succession.json")).unwrap_or_default();
        if paper.contains("\"name\"") {
            let (_, next) = keep::succeed(&house.config, &[], None, house.now(), &mut |_| {}).unwrap();
            house.config = Config { witnesses: Vec::new(), ..next };
            break status;
        }
    };
    assert!(kills >= 4 && named >= 3, "{kills} kills, {named} named; {last}");
    assert_eq!(house.config.origin().unwrap(), origin);
    house.restart();
    assert!(
        !house.dir.join("sro/data/succession.json").exists(),
        "the configuration names the new log: the paper goes"
    );
    assert!(house.dir.join("sro/data/registry.closed.sqlite").exists(), "the closed log is kept");
    assert_eq!(Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().origin, origin);
    assert_eq!(writes(house), Ok(()));
    let locked = registry::Lock::hold(&house.config.database_url()).map(drop).unwrap_err();
    assert_eq!(locked.code, Code::StoreInUse);
    succession::finish(&house.config).unwrap();
}

/// A report of a key names an entry of the old log; in the new one the same entry has a lower index.
#[test]
fn a_succession_brings_no_stopped_contract_back_into_force() {
    let mut contracts = None;
    let (mut lost, _, _) = lost_after(|house| {
        let contract = house.executed();
        let thumbprint = house.tdps[0].jwk().thumbprint();
        let by_key = |body: &schemas::event::Body| match body {
            schemas::event::Body::ContractSigned { signature, .. } => signature.kid.thumbprint == thumbprint,
            _ => false,
        };
        let page = house.as_(&house.sro[0]).export(0, 1000).unwrap();
        let signed = page.entries.iter().rfind(|entry| by_key(&entry.body)).unwrap().index;
        // Many entries, so that the report's index lies within the new log.
        for _ in 0..30 {
            writes(house).unwrap();
        }
        let key = &house.tdps[0];
        let event = schemas::party::KeyEvent {
            schema: "key-event.v1".into(),
            registry: house.registry(),
            participant: key.did().unwrap(),
            event: schemas::party::KeyAct::Compromise { thumbprint: key.jwk().thumbprint(), since_index: signed },
            reason: "stolen".into(),
            at: house.now(),
        };
        house.client.change_key(&house.sign(&event, key)).unwrap();
        let state = house.as_(&house.tdc).contract(&contract.id).unwrap().state;
        assert_eq!(state, ContractState::Suspended);
        contracts = Some(contract);
    });
    let house = &mut lost.house;
    let origin = format!("{}2", house.config.origin().unwrap());
    let draft = keep::draft_succession(&house.config, &origin, "The disk was lost", house.now()).unwrap();
    let signed = house.by_sro(&draft.read_unverified().unwrap());
    let into = crate::database::url();
    let refused = keep::succeed(&house.config, &[signed], into.as_deref(), house.now(), &mut |_| {}).map(drop);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, Code::StateTransition, "{refused}");
    assert!(refused.sentence.contains(contracts.unwrap().id.as_str()), "{refused}");
    succession::unfinished(&house.config).unwrap();
    house.restart();
    assert_eq!(house.client.checkpoint().map(|note| Checkpoint::parse(&note).unwrap().origin).unwrap() + "2", origin);
}

/// The house's configuration over another database, with nothing in it.
fn other(house: &House, name: &str) -> Config {
    Config { data_dir: house.dir.join(name), database: crate::database::url(), ..house.config.clone() }
}

#[test]
fn a_backup_that_was_changed_is_not_put_back() {
    let house = House::empty();
    let backup = house.dir.join("day.backup");
    let head = keep::backup(&house.config, &backup).unwrap();
    assert_eq!(keep::backup(&house.config, &backup).unwrap_err().code, Code::ConfigInvalid, "never overwritten");
    let elsewhere = other(&house, "elsewhere");
    assert_eq!(keep::restore(&elsewhere, &backup).unwrap(), head);
    assert_eq!(keep::restore(&elsewhere, &backup).unwrap_err().code, Code::ConfigInvalid, "never over a database");
    let none = other(&house, "none");
    assert_eq!(keep::verify_store(&none, house.now()).unwrap_err().code, Code::ConfigInvalid);
    let refused = |mirror: &str| keep::restore_from_mirror(&none, mirror, &mut |_, _| {}).unwrap_err().code;
    assert_eq!(refused(house.dir.to_str().unwrap()), Code::ConfigInvalid);
    assert_eq!(refused("ftp://auditor.example/mirror"), Code::ConfigInvalid);
    assert_eq!(refused("http://127.0.0.1:1/mirror"), Code::PeerUnreachable);
    let empty = Served::start(&house.dir);
    assert_eq!(refused(&empty.url), Code::ConfigInvalid, "a server without a mirror");
}
