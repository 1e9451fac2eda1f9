//! `depa kms papers` and `depa kms init-data`, by the binary, beside a registry and a key service that note what they get.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use schemas::bundle::{JobBundle, Logged};
use schemas::jwk::Jwk;
use schemas::log::{CheckpointRef, Receipt, Record};
use schemas::release::{KmsInfo, StatusList};
use schemas::{Digest, Envelope, KeyBook, Signer as _, Timestamp, canonical};
use serde_json::{Value, json};
use signing::FileKey;

/// A request as it came in: its first line, its bearer token, its body.
type Seen = (String, Option<String>, Vec<u8>);

/// A service on a free port that answers by path, and what it was asked.
fn serve(answer: impl Fn(&str, &str) -> (u16, Vec<u8>) + Send + 'static) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (own, seen) = (url.clone(), Arc::new(Mutex::new(Vec::new())));
    let notes = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut first, mut token, mut length) = (String::new(), None, 0);
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                continue;
            }
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                match name.to_ascii_lowercase().as_str() {
                    "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
                    "content-length" => length = value.parse().unwrap(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let first = first.trim_end().to_owned();
            let (status, told) = answer(&first, &own);
            notes.lock().unwrap().push((first, token, body));
            let media = if status == 200 { "application/json" } else { "application/problem+json" };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                told.len()
            );
            drop(reader.get_mut().write_all(&[head.as_bytes(), &told].concat()));
        }
    });
    (url, seen)
}

fn status_list() -> Envelope<StatusList> {
    let list = StatusList {
        schema: "status-list.v1".into(),
        registry: "did:web:sro.example".parse().unwrap(),
        issued_at: Timestamp::from_seconds(1),
        checkpoint: CheckpointRef { size: 1, root: Digest([0; 32]) },
        not_in_force: vec![],
        image_sets_revoked: vec![],
    };
    signing::sign(&list, &FileKey::from_seed("did:web:sro.example", &[1; 32]), Timestamp::from_seconds(1)).unwrap()
}

fn bundle() -> JobBundle {
    let zero = Digest([0; 32]);
    let at = Timestamp::from_seconds(1);
    let record = Record { v: 1, kind: "x".into(), subject: zero, seq: 1, at, body_sha256: zero, prev: zero };
    let receipt = Receipt { index: 0, record, body_salt: Default::default(), path: vec![], checkpoint: String::new() };
    JobBundle {
        job: Envelope::new(vec![7], vec![]),
        contracts: vec![],
        offers: vec![],
        participants: vec![],
        image_set: Logged { envelope: Envelope::new(vec![], vec![]), receipt },
        renewals: vec![],
        log_keys: None,
    }
}

const CONTRACT: &str = "ctr_01900000-0000-7000-8000-000000000001";

struct Scene {
    dir: PathBuf,
    key: FileKey,
    registry: String,
    kms: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Scene {
    /// A key service of this provider, or of another one, that takes papers or refuses them with this code.
    fn new(own: bool, refuses: Option<&'static str>) -> Scene {
        let dir = std::env::temp_dir().join(format!("depa-kbs-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        let key = FileKey::generate().unwrap();
        key.save(&dir.join("tdp.key")).unwrap();
        std::fs::write(dir.join("bundle.json"), serde_json::to_vec(&bundle()).unwrap()).unwrap();
        let serves = if own { key.did().unwrap() } else { FileKey::generate().unwrap().did().unwrap() };
        let sign_jwk = key.jwk().clone();
        let (registry, _) = serve(|first, _| match first.starts_with("GET /v1/status-list ") {
            true => (200, canonical::to_bytes(&status_list()).unwrap()),
            false => (404, Vec::new()),
        });
        let (kms, seen) = serve(move |first, url| {
            let info = KmsInfo {
                kms: url.to_owned(),
                provider: serves.clone(),
                sign_jwk: sign_jwk.clone(),
                import_jwk: Jwk::x25519([9; 32]),
                evidence: vec![],
                profile: "demo".into(),
            };
            match (first.starts_with("GET /v1/kms "), refuses) {
                (true, _) => (200, canonical::to_bytes(&info).unwrap()),
                (false, None) => (200, canonical::to_bytes(&json!({"contracts": [CONTRACT]})).unwrap()),
                (false, Some(code)) => {
                    let problem = json!({"type": format!("urn:depa:problem:{code}"), "title": "no", "status": 403,
                        "code": code, "detail": "the contract names no release", "instance": "urn:uuid:x"});
                    (403, canonical::to_bytes(&problem).unwrap())
                }
            }
        });
        Scene { dir, key, registry, kms, seen }
    }

    fn papers(&self, more: &[&str]) -> Output {
        let (bundle, key) = (self.dir.join("bundle.json"), self.dir.join("tdp.key"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
        command.args(["kms", "papers"]).arg(bundle).arg("--key").arg(key).args(["--kms", &self.kms]);
        command.args(["--registry", &self.registry, "--json"]).args(more).output().unwrap()
    }

    fn posted(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(first, ..)| first.starts_with("POST /v1/kbs/papers ")).cloned().collect()
    }
}

/// The provider's own key.
struct Own<'a>(&'a FileKey);

impl KeyBook for Own<'_> {
    fn key(&self, kid: &schemas::id::KeyId, _: schemas::envelope::Usage) -> Option<Jwk> {
        (kid == self.0.kid()).then(|| self.0.jwk().clone())
    }
}

#[test]
fn papers_go_to_the_providers_own_key_service_each_time_under_a_fresh_assertion() {
    let scene = Scene::new(true, None);
    let done = scene.papers(&["--times", "2", "--every", "1"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(serde_json::from_slice::<Value>(&done.stdout).unwrap(), json!({"contracts": [CONTRACT]}));
    let posted = scene.posted();
    assert_eq!(posted.len(), 2);
    let now = contract_client::system_clock()();
    let mut ids = Vec::new();
    for (_, token, body) in posted {
        let claims = signing::token::check_assertion(&token.unwrap(), &scene.kms, &Own(&scene.key), now).unwrap();
        assert_eq!(claims.iss, scene.key.did().unwrap());
        ids.push(claims.jti);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["bundle"], serde_json::to_value(bundle()).unwrap());
        assert_eq!(body["status_list"]["payload"], serde_json::to_value(status_list()).unwrap()["payload"]);
    }
    ids.dedup();
    assert_eq!(ids.len(), 2, "an assertion counts once");
}

#[test]
fn papers_go_to_nobody_elses_key_service_and_a_no_is_told() {
    let other = Scene::new(false, None);
    let refused = other.papers(&[]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("FORBIDDEN"), "{refused:?}");
    assert!(other.posted().is_empty());
    let scene = Scene::new(true, Some("KBS_NOT_ALLOWED"));
    let refused = scene.papers(&["--times", "5"]);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("KBS_NOT_ALLOWED"), "{refused:?}");
    assert_eq!(scene.posted().len(), 1, "a no is not asked again");
    assert_eq!(scene.papers(&["--times", "0"]).status.code(), Some(2));
    assert_eq!(scene.papers(&["--every", "61"]).status.code(), Some(2));
}

#[test]
fn init_data_is_named_by_the_digest_of_its_bytes() {
    let dir = std::env::temp_dir().join(format!("depa-kbs-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("initdata.toml");
    let ask = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_depa")).args(["kms", "init-data", "--json"]).arg(&file).output().unwrap()
    };
    let good = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"aa.toml\" = \"x = 1\"\n";
    let told: Value = serde_json::from_slice(&ask(good).stdout).unwrap();
    assert_eq!(told["init_data"], Digest::of(good.as_bytes()).to_string());
    for bad in [good.replace("0.1.0", "0.2.0"), good.replace("sha256", "sha384"), "nothing".to_owned()] {
        let refused = ask(&bad);
        assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
