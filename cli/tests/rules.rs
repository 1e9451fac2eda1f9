//! `depa policy` and `depa kms` as their users call them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use schemas::Digest;
use schemas::evidence::ImageSet;
use schemas::{Envelope, Signer as _};
use serde_json::{Value, json};
use signing::{FileKey, Trust};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let dir = std::env::temp_dir().join(format!("depa-rules-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        Folder(dir)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

/// The exit code, and the one document on stdout.
fn asked(args: &[&str]) -> (i32, Value) {
    let output = depa(&[args, &["--json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/rego/examples").join(name).display().to_string()
}

#[test]
fn the_shipped_documents_pass_their_cases() {
    let names = ["office-hours", "only-these-tdcs", "shorter-lease", "smaller-epsilon"];
    let files = names.map(|name| example(&format!("{name}.rego")));
    let mut args = vec!["policy", "test"];
    args.extend(files.iter().map(String::as_str));
    let (exit, tested) = asked(&args);
    assert_eq!((exit, &tested["passed"]), (0, &json!(true)));
    let cases: usize =
        tested["documents"].as_array().unwrap().iter().map(|d| d["cases"].as_array().unwrap().len()).sum();
    assert!(cases >= 12, "{cases}");
}

#[test]
fn a_case_that_fails_is_named_and_ends_with_1() {
    let folder = Folder::new();
    let document = folder.write("no.rego", "package depa.rules\n\nimport rego.v1\n\ndefault allow := false\n");
    let wrong = folder.write("wrong.toml", "[[case]]\nname = \"all may\"\nallow = true\n");
    let (exit, tested) = asked(&["policy", "test", &document, "--cases", &wrong]);
    assert_eq!((exit, &tested["passed"]), (1, &json!(false)));
    assert!(tested["documents"][0]["cases"][0]["wrong"].as_str().unwrap().contains("RULES_DENIED"));
    let right = folder.write("no.cases.toml", "[[case]]\nname = \"nobody may\"\nallow = false\n");
    assert_eq!(asked(&["policy", "test", &document]).0, 0);
    // Cases that say nothing, or of what is no member of the facts, are no passed test.
    std::fs::write(&right, "case = []\n").unwrap();
    assert_eq!(asked(&["policy", "test", &document]).0, 2);
    std::fs::write(&right, "[[case]]\nname = \"x\"\nset = { colour = 1 }\nallow = false\n").unwrap();
    assert_eq!(asked(&["policy", "test", &document]).0, 2);
    std::fs::remove_file(&right).unwrap();
    assert_eq!(asked(&["policy", "test", &document]).0, 2);
}

#[test]
fn a_digest_is_of_a_document_that_key_services_take() {
    let hours = example("office-hours.rego");
    let expected = Digest::of(&std::fs::read(&hours).unwrap());
    let (exit, told) = asked(&["policy", "digest", &hours]);
    assert_eq!((exit, &told), (0, &json!({"digest": expected, "file": format!("{expected}.rego")})));
    assert_eq!(String::from_utf8(depa(&["policy", "digest", &hours]).stdout).unwrap().trim(), expected.to_string());
    let folder = Folder::new();
    let reaches = "package depa.rules\n\nimport rego.v1\n\nallow if http.send({\"url\": \"https://x.example\"})\n";
    let (exit, told) = asked(&["policy", "digest", &folder.write("reaches.rego", reaches)]);
    assert_eq!((exit, &told["error"]["code"]), (2, &json!("RULES_FORM")));
}

#[test]
fn explain_tells_what_a_key_service_would_make_of_it() {
    let folder = Folder::new();
    let facts = String::from_utf8(depa(&["policy", "facts"]).stdout).unwrap();
    let mut sunday: Value = serde_json::from_str(&facts).unwrap();
    sunday["local"]["weekday"] = json!("sun");
    sunday["local"]["hour"] = json!(12);
    let sunday = folder.write("sunday.json", &sunday.to_string());
    let (exit, told) = asked(&["policy", "explain", &example("office-hours.rego"), "--facts", &sunday]);
    assert_eq!((exit, &told["granted"], &told["code"]), (6, &json!(false), &json!("RULES_DENIED")));
    assert_eq!(told["deny"], json!(["NOT_A_WORKING_DAY"]));
    let yes = folder.write(
        "yes.rego",
        "package depa.rules\n\nimport rego.v1\n\nallow := true\n\nobligations := {\"lease_s\": 9}\n",
    );
    let (exit, told) = asked(&["policy", "explain", &yes]);
    assert_eq!((exit, &told["granted"], &told["held"]), (0, &json!(true), &json!({"lease_s": 9})));
    // A document that does not answer is an error with its own code.
    let mute =
        folder.write("mute.rego", "package depa.rules\n\nimport rego.v1\n\nallow if input.purpose == \"OTHER\"\n");
    let (exit, told) = asked(&["policy", "explain", &mute]);
    assert_eq!((exit, &told["error"]["code"]), (6, &json!("RULES_UNDEFINED")));
}

/// Stands for a key service's binary: its answer is what the bundle says.
const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dry-run.sh");

#[test]
fn a_dry_run_is_told_check_by_check() {
    let folder = Folder::new();
    let explain = |answer: &Value| {
        let bundle = folder.write("bundle.json", &answer.to_string());
        asked(&["kms", "explain", &bundle, "--kms-adapter", STAND_IN, "--config", "kms.toml"])
    };
    let passed = json!({"would_reserve": true, "checks": [{"check": "a", "verdict": "passed"}]});
    assert_eq!(explain(&passed), (0, passed));
    let full = json!({"would_reserve": false, "checks": [
        {"check": "a", "verdict": "passed"},
        {"check": "budget", "verdict": "refused", "code": "BUDGET_EXCEEDED", "why": "nothing is left"},
    ]});
    assert_eq!(explain(&full), (8, full));
    assert_eq!(explain(&json!({"would_reserve": "perhaps"})).0, 2);
    let missing = asked(&["kms", "explain", "b.json", "--kms-adapter", &folder.path("none"), "--config", "kms.toml"]);
    assert_eq!(missing.0, 2);
}

fn trust(folder: &Folder) -> String {
    let registry = FileKey::generate_for(&schemas::id::Did::parse("did:web:sro.example").unwrap()).unwrap();
    let trust = Trust {
        registry: registry.did().unwrap(),
        registry_jwk: registry.jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    };
    folder.write("trust.json", &serde_json::to_string(&trust).unwrap())
}

#[test]
fn rooms_of_one_image_make_one_image_set() {
    let folder = Folder::new();
    let trust = trust(&folder);
    let hex = |byte: u8, length: usize| schemas::text::Bytes(vec![byte; length]);
    let values = |launch: u8, pcr: u8| {
        let pcrs: serde_json::Map<String, Value> =
            ["4", "7", "9", "11", "12"].map(|index| (index.to_owned(), json!(Digest([pcr; 32])))).into_iter().collect();
        json!({"simulated": false, "evidence": "azure-snp", "pcrs": pcrs, "measurements": [hex(launch, 48)],
            "id_key_digests": [hex(7, 48)], "host_data": Digest([0; 32])})
    };
    let rooms = [values(1, 5), values(2, 5), values(1, 6)];
    let files: Vec<String> =
        rooms.iter().enumerate().map(|(n, room)| folder.write(&format!("room-{n}.json"), &room.to_string())).collect();
    let collect = |rooms: &[&str], out: &str| {
        asked(&[&["kms", "collect"], rooms, &["--name", "room 1.4", "--out", out, "--trust", &trust]].concat())
    };
    let out = folder.path("set.json");
    let (exit, told) = collect(&[&files[0], &files[1]], &out);
    assert_eq!((exit, &told["rooms"]), (0, &json!(2)), "{told}");
    let draft: Envelope<ImageSet> = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let set = draft.read_unverified().unwrap();
    assert!(draft.signatures.is_empty());
    assert_eq!((set.measurements, set.id_key_digests), (vec![hex(1, 48), hex(2, 48)], vec![hex(7, 48)]));
    assert_eq!((set.pcrs.get("11"), set.host_data), (Some(&Digest([5; 32])), None));
    // Other PCRs are another image; a file is never overwritten; unknown members are no reference values.
    let (exit, told) = collect(&[&files[0], &files[2]], &folder.path("other.json"));
    assert_eq!((exit, &told["error"]["field"]), (2, &json!("pcrs")));
    assert!(!Path::new(&folder.path("other.json")).exists());
    assert_eq!(collect(&[&files[0]], &out).0, 2);
    let mut more = values(1, 5);
    more["colour"] = json!("red");
    let (exit, told) = collect(&[&folder.write("more.json", &more.to_string())], &folder.path("more-set.json"));
    assert_eq!((exit, &told["error"]["code"]), (1, &json!("SCHEMA_MISMATCH")));
}
