//! The binary: data on stdout, talk on stderr, exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let dir = std::env::temp_dir().join(format!("depa-cli-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        Folder(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn depa(args: &[&str]) -> Output {
    let clean = ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    for name in clean {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn exit(args: &[&str]) -> i32 {
    depa(args).status.code().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn keys_are_made_private_and_shown_in_public() {
    let folder = Folder::new();
    let (file, models) = (folder.path("a.key"), folder.path("models.key"));
    let made = depa(&["keys", "new", "--out", &file, "--json"]);
    assert!(made.status.success(), "{made:?}");
    let view = json(&made);
    assert!(view["did"].as_str().unwrap().starts_with("did:key:z6Mk"));
    assert!(!made.stderr.is_empty());
    let secret: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let text = String::from_utf8([made.stdout, made.stderr].concat()).unwrap();
    assert!(!text.contains(secret["d"].as_str().unwrap()));
    assert_eq!(json(&depa(&["keys", "show", &file, "--json"])), view);
    // A key file is never overwritten.
    let again = depa(&["keys", "new", "--out", &file]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8(again.stderr).unwrap().contains("choose another name"));
    assert!(depa(&["keys", "new-encryption", "--out", &models]).status.success());
    assert_eq!(json(&depa(&["keys", "show", &models, "--json"]))["purpose"], "encryption");
    let web = json(&depa(&["keys", "new", "--out", &folder.path("w.key"), "--did", "did:web:tdc.example", "--json"]));
    assert_eq!(web["did"], "did:web:tdc.example");
    let document = json(&depa(&["party", "web-document", "--key", &folder.path("w.key")]));
    assert_eq!(document["id"], "did:web:tdc.example");
}

#[test]
fn exit_codes_and_streams() {
    let folder = Folder::new();
    assert_eq!(exit(&["--help"]), 0);
    assert_eq!(exit(&["--version"]), 0);
    assert_eq!(exit(&["nonsense"]), 2);
    assert_eq!(exit(&["keys", "new"]), 2);
    // What no role or state is: usage, before any call.
    assert_eq!(exit(&["party", "list", "--role", "Tdp", "--registry", "http://127.0.0.1:1"]), 2);
    assert_eq!(exit(&["dataset", "search", "--state", "gone", "--registry", "http://127.0.0.1:1"]), 2);
    // Nothing is named: usage.
    assert_eq!(exit(&["dataset", "list"]), 2);
    // Plain HTTP beyond loopback is refused before any call.
    assert_eq!(exit(&["dataset", "list", "--registry", "http://registry.example"]), 2);
    // Nobody listens.
    let unreachable = depa(&["dataset", "list", "--registry", "http://127.0.0.1:1", "--json"]);
    assert_eq!(unreachable.status.code(), Some(1));
    assert_eq!(json(&unreachable)["error"]["code"], "PEER_UNREACHABLE");
    let talk = String::from_utf8(unreachable.stderr).unwrap();
    assert!(talk.contains("PEER_UNREACHABLE") && talk.contains("next: "), "{talk}");
    // An export that is none.
    let (export, trust) = (folder.path("log.jsonl"), folder.path("trust.json"));
    std::fs::write(&export, "{}\n").unwrap();
    let key = signing::FileKey::generate().unwrap();
    let pinned = signing::Trust {
        registry: schemas::id::Did::parse("did:web:sro.example").unwrap(),
        registry_jwk: schemas::Signer::jwk(&key).clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    };
    depa::trust::save(&pinned, Path::new(&trust)).unwrap();
    let refused = depa(&["audit", "verify", &export, "--trust", &trust]);
    assert_eq!(refused.status.code(), Some(10), "{refused:?}");
    assert!(refused.stdout.is_empty() && String::from_utf8(refused.stderr).unwrap().contains("LOG_TAMPERED"));
    let shown = depa(&["trust", "show", "--trust", &trust]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("did:web:sro.example"));
    // The doctor looks at what is named, does its work and finds faults.
    let nothing = depa(&["doctor"]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    assert!(String::from_utf8(nothing.stderr).unwrap().contains("name what to look at"));
    let sick = depa(&["doctor", "--registry", "http://127.0.0.1:1", "--trust", &trust, "--json"]);
    assert_eq!(sick.status.code(), Some(1));
    assert_eq!(json(&sick).as_array().unwrap().iter().filter(|f| f["ok"] == false).count(), 1);
}

#[test]
fn forms_with_faults_are_named() {
    let folder = Folder::new();
    let form = folder.path("dataset.toml");
    std::fs::write(&form, "name = \"x\"\nsurprise = 1\n").unwrap();
    let refused = depa(&["dataset", "offer", &form, "--record", &form, "--out", &folder.path("o.json")]);
    assert_eq!(refused.status.code(), Some(2));
    let talk = String::from_utf8(refused.stderr).unwrap();
    assert!(talk.contains("surprise") && talk.contains("dataset.toml"), "{talk}");
}

/// What could not be fetched leaves no file that would be in the way of the next try, and no other file is touched.
#[test]
fn an_export_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    let (key, trust, out) = (folder.path("a.key"), folder.path("trust.json"), folder.path("log.jsonl"));
    assert_eq!(exit(&["keys", "new", "--out", &key]), 0);
    let jwk = json(&depa(&["keys", "show", &key, "--json"]))["jwk"].clone();
    let text = serde_json::json!({
        "registry": "did:web:sro.example", "registry_jwk": jwk, "origin": "sro.example/log", "sro": [],
    });
    std::fs::write(&trust, text.to_string()).unwrap();
    let args = ["--registry", "http://127.0.0.1:9", "--trust", &trust, "--key", &key, "audit", "export", "--out", &out];
    let refused = depa(&args);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(!Path::new(&out).exists());
    std::fs::write(&out, "mine").unwrap();
    let refused = depa(&args);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("choose another name"));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
}

#[test]
fn two_tables_are_sketched_and_compared_and_no_key_is_told() {
    let folder = Folder::new();
    let table = |name: &str, people: std::ops::Range<u32>| {
        let rows: String = people.map(|person| format!("98{person:08},x\n")).collect();
        std::fs::write(folder.path(name), format!("phone,note\n{rows}")).unwrap();
        folder.path(name)
    };
    let sketch = |csv: &str, out: &str| {
        let session = ["--session", "provider a and provider b", "--epsilon", "4", "--buckets", "4096", "--json"];
        let args = ["dataset", "sketch", "--csv", csv, "--column", "phone", "--uncharged", "--out", out];
        depa(&[&args[..], &session].concat())
    };
    let (a, b) = (table("a.csv", 0..2_000), table("b.csv", 1_000..3_000));
    let (one, other) = (folder.path("a.json"), folder.path("b.json"));
    let made = sketch(&a, &one);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(json(&made)["charge"], serde_json::json!({"mechanism": "gaussian", "noise_multiplier": "0.249999"}));
    assert!(sketch(&b, &other).status.success());
    let text = std::fs::read_to_string(&one).unwrap();
    assert!(!text.contains("98000"), "a key stands in the sketch");
    let found = json(&depa(&["dataset", "overlap", &one, &other, "--json"]));
    let (low, high) = (found["low"].as_f64().unwrap(), found["high"].as_f64().unwrap());
    println!("1,000 of 2,000 shared: {found}");
    // Nine deviations wide, so that chance alone does not fail the test.
    let middle = f64::midpoint(low, high);
    assert!((middle - 1_000.0).abs() < 2.5 * (high - low), "{found}");
    assert_eq!(sketch(&a, &one).status.code(), Some(2), "a sketch is never overwritten");
    assert_eq!(exit(&["dataset", "overlap", &one, &folder.path("none.json")]), 2);
}
