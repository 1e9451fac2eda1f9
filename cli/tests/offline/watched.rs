//! The watch over a service, played by a small server over real registries: growth, a fork, a roll-back, bodies withheld.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use contract_client::Client;
use depa::audit::compare::{Relation, checkpoints};
use depa::audit::monitor::Monitor;
use depa::audit::source::{Folder, Service};
use depa::audit::{Depth, Options, verify_from};
use depa::exit;
use schemas::Code;
use schemas::desk::{AuditExport, ConsistencyProof, TokenAnswer};
use signing::FileKey;
use tiny_http::{Response, Server};

use crate::house::House;
use crate::{failed, lived_in, now, trust};

/// Serves the log of the house that it holds at the moment.
struct Desk {
    server: Arc<Server>,
    house: Arc<Mutex<House>>,
    /// Spoils a tile of the lowest level.
    spoilt: Arc<Mutex<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.server.unblock();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Desk {
    fn of(house: House) -> Desk {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let (house, spoilt) = (Arc::new(Mutex::new(house)), Arc::new(Mutex::new(false)));
        let (listens, serves, spoils) = (server.clone(), house.clone(), spoilt.clone());
        let thread = std::thread::spawn(move || {
            for request in listens.incoming_requests() {
                let answer = answer(&serves.lock().unwrap(), request.url(), *spoils.lock().unwrap());
                let response = match answer {
                    Some(bytes) => Response::from_data(bytes),
                    None => Response::from_data(
                        br#"{"type":"urn:depa:problem:NOT_FOUND","title":"x","status":404,"code":"NOT_FOUND","detail":"x"}"#.to_vec(),
                    )
                    .with_status_code(404),
                };
                drop(request.respond(response));
            }
        });
        Desk { server, house, spoilt, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.server_addr().to_ip().unwrap())
    }

    fn client(&self) -> Client {
        Client::new(&self.url(), None).unwrap().acting_for(Arc::new(FileKey::generate().unwrap()))
    }
}

fn answer(house: &House, url: &str, spoilt: bool) -> Option<Vec<u8>> {
    let registry = &house.registry;
    let json = |value: serde_json::Value| serde_json::to_vec(&value).unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let number = |name: &str| -> u64 {
        query.split('&').find_map(|p| p.strip_prefix(&format!("{name}="))).unwrap().parse().unwrap()
    };
    if path == "/oauth/token" {
        let token = TokenAnswer { access_token: "x".into(), token_type: "Bearer".into(), expires_in: 600 };
        return Some(json(serde_json::to_value(token).unwrap()));
    }
    if path == "/log/checkpoint" {
        return Some(registry.checkpoint().unwrap().text().into_bytes());
    }
    if path == "/v1/log/proof" {
        let proof = registry.consistency(number("old"), number("new")).ok()?;
        return Some(json(serde_json::to_value(ConsistencyProof { proof }).unwrap()));
    }
    if path == "/v1/audit/export" {
        let checkpoint = registry.checkpoint().unwrap();
        let left = checkpoint.head.size.saturating_sub(number("from")).min(number("limit"));
        let export = AuditExport {
            entries: registry.entries(number("from"), left).unwrap(),
            checkpoint: checkpoint.text(),
            size: checkpoint.head.size,
        };
        return Some(json(serde_json::to_value(export).unwrap()));
    }
    let tile = path.strip_prefix("/log/tile/")?;
    let (level, rest) = tile.split_once('/')?;
    let (index, width) = rest.split_once(".p/").map_or((rest, 256), |(i, w)| (i, w.parse().unwrap()));
    let mut bytes = registry.tile(level.parse().ok()?, index.parse().ok()?, width).ok()?;
    if spoilt && level == "0" {
        bytes[5 * 32] ^= 1;
    }
    Some(bytes)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        Scratch(std::env::temp_dir().join(format!("depa-watch-{}", uuid::Uuid::now_v7())))
    }

    fn evidence(&self) -> Vec<serde_json::Value> {
        let Ok(files) = std::fs::read_dir(self.0.join("evidence")) else { return vec![] };
        files.map(|f| serde_json::from_slice(&std::fs::read(f.unwrap().path()).unwrap()).unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_growing_log_is_followed_and_mirrored() {
    let desk = Desk::of(lived_in());
    let trust = trust(&desk.house.lock().unwrap());
    let folder = Scratch::new();
    for bodies in [true, false] {
        let state = folder.0.join(bodies.to_string());
        let mut monitor = Monitor::new(desk.client(), bodies, trust.clone(), &state);
        let first = monitor.pass(now()).unwrap();
        assert!(first.continues.is_none() && first.report.is_some() == bodies);
        // Nothing new.
        assert_eq!(monitor.pass(now()).unwrap().continues.as_ref(), Some(&first.log));
        desk.house.lock().unwrap().apply(&FileKey::generate().unwrap(), schemas::party::Kind::Tdp).unwrap();
        let next = monitor.pass(now()).unwrap();
        assert!(next.log.size > first.log.size && next.continues == Some(first.log));
        // Another process goes on where this one was.
        let again = Monitor::new(desk.client(), bodies, trust.clone(), &state).pass(now()).unwrap();
        assert_eq!(again.log, next.log);
        if bodies {
            // The mirror is a source of its own, and says the same as the service.
            let options = Options::default();
            let mirror = verify_from(&mut Folder::new(&state), &trust, &options, Depth::Everything, now()).unwrap();
            let service = verify_from(&mut Service::new(desk.client()), &trust, &options, Depth::Everything, now());
            assert_eq!(mirror, service.unwrap());
            assert!(mirror.tiles.unwrap() > 0);
            // A body changed in the mirror is named.
            let file = state.join("entries/000000000.jsonl");
            let text = std::fs::read_to_string(&file).unwrap().replacen("\"legal_name\"", "\"legal_nome\"", 1);
            let spoilt = if text.contains("legal_nome") { text } else { text.replacen("verified", "rejected", 1) };
            std::fs::write(&file, spoilt.replacen("\"index\":3", "\"index\":4", 1)).unwrap();
            let refused = verify_from(&mut Folder::new(&state), &trust, &options, Depth::Everything, now());
            assert!(failed(refused).sentence.starts_with("entry "));
        }
        assert!(folder.evidence().is_empty());
    }
}

#[test]
fn a_fork_and_a_roll_back_leave_evidence() {
    for bodies in [true, false] {
        let desk = Desk::of(lived_in());
        let trust = trust(&desk.house.lock().unwrap());
        let folder = Scratch::new();
        let mut monitor = Monitor::new(desk.client(), bodies, trust.clone(), &folder.0);
        monitor.pass(now()).unwrap();
        let before = std::fs::read_to_string(folder.0.join("checkpoint")).unwrap();
        // The same keys, another history: longer, and later a shorter one.
        let fork = lived_in();
        for _ in 0..2 {
            fork.apply(&FileKey::generate().unwrap(), schemas::party::Kind::Tdp).unwrap();
        }
        for (n, other) in [fork, House::furnished()].into_iter().enumerate() {
            *desk.house.lock().unwrap() = other;
            let refusal = monitor.pass(now()).unwrap_err();
            assert_eq!((refusal.code, exit::of(&refusal)), (Code::ConsistencyInvalid, exit::VERIFICATION), "{n}");
            // Each pass at the same moment writes the same file.
            let evidence = folder.evidence();
            assert_eq!(evidence.len(), 1);
            assert_eq!(evidence[0]["accepted"], before.as_str());
            assert_ne!(evidence[0]["offered"], before.as_str());
            // Nothing of it is accepted.
            assert_eq!(std::fs::read_to_string(folder.0.join("checkpoint")).unwrap(), before);
        }
    }
}

#[test]
fn a_tile_that_is_not_that_of_the_entries_names_the_entry() {
    for bodies in [true, false] {
        let desk = Desk::of(lived_in());
        let trust = trust(&desk.house.lock().unwrap());
        *desk.spoilt.lock().unwrap() = true;
        let folder = Scratch::new();
        let refusal = Monitor::new(desk.client(), bodies, trust, &folder.0).pass(now()).unwrap_err();
        assert_eq!(refusal.code, Code::LogTampered);
        assert!(!bodies || refusal.sentence.starts_with("entry 5:"), "{refusal}");
        assert!(!folder.0.join("checkpoint").exists());
    }
}

#[test]
fn two_checkpoints_are_the_same_a_prefix_or_a_fork() {
    let desk = Desk::of(lived_in());
    let trust = trust(&desk.house.lock().unwrap());
    let one = desk.house.lock().unwrap().registry.checkpoint().unwrap().text();
    desk.house.lock().unwrap().apply(&FileKey::generate().unwrap(), schemas::party::Kind::Tdp).unwrap();
    let two = desk.house.lock().unwrap().registry.checkpoint().unwrap().text();
    let client = desk.client();
    let how = |a: &str, b: &str, c: Option<&Client>| checkpoints(a, b, c, &trust).unwrap().relation;
    assert_eq!(how(&one, &one, None), Relation::Same);
    assert_eq!(how(&one, &two, Some(&client)), Relation::Prefix);
    assert_eq!(how(&two, &one, Some(&client)), Relation::Prefix);
    assert_eq!(how(&one, &two, None), Relation::NotProved);
    let other = lived_in().registry.checkpoint().unwrap().text();
    assert_eq!(how(&other, &two, Some(&client)), Relation::Fork);
    assert_eq!(how(&other, &one, None), Relation::Fork);
    let stranger = signing::note::sign_checkpoint(
        &trust.origin,
        &schemas::log::Checkpoint::parse(&one).unwrap().head,
        &FileKey::generate().unwrap(),
    );
    assert_eq!(checkpoints(&one, &stranger.unwrap().text(), None, &trust).unwrap_err().code, Code::CheckpointInvalid);
}
