//! `depa attest verify` over the recorded rooms that this repository carries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use depa::attest::{Question, load, pinned_table, sign_data, verify};
use schemas::event::SroPerson;
use schemas::evidence::Verdict;
use schemas::{Code, Signer as _, Timestamp};
use serde_json::{Value, json};
use signing::{FileKey, Trust};

const ROOMS: [&str; 5] = [
    "genoa-v3-trustee",
    "milan-v3-cleanroom-encryption",
    "milan-v3-cleanroom-signing",
    "milan-v3-trustee-v1",
    "milan-v3-trustee-v2",
];
const AT: &str = "2026-11-20T12:00:00Z";

fn crate_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ccr-runtime/attestation")
}

fn room(name: &str) -> String {
    crate_folder().join("tests/data").join(name).display().to_string()
}

fn depa(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn judged(args: &[&str]) -> (i32, Value) {
    let output = depa(&[&["attest", "verify", "--at", AT, "--json"], args].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn failed(found: &Value) -> Vec<&str> {
    let checks = found["appraisal"]["checks"].as_array().unwrap();
    checks.iter().filter(|c| c["verdict"] == "fail").map(|c| c["name"].as_str().unwrap()).collect()
}

#[test]
fn five_rooms_are_accepted_as_recorded_and_every_check_is_listed() {
    for name in ROOMS {
        let (exit, found) = judged(&[&room(name), "--policy", "baseline"]);
        assert_eq!((exit, &found["label"], &found["simulated"]), (0, &json!("recorded"), &json!(false)), "{name}");
        let names: Vec<&str> =
            found["appraisal"]["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, attestation::CHECKS, "{name}");
        assert!(found["appraisal"]["accepted"].as_bool().unwrap());
        let checks = found["appraisal"]["checks"].as_array().unwrap();
        assert!(checks.iter().any(|c| c["name"] == "transcript" && c["verdict"] == "not_evaluated"));
    }
    let text =
        String::from_utf8(depa(&["attest", "verify", &room(ROOMS[0]), "--policy", "baseline", "--at", AT]).stdout);
    let text = text.unwrap();
    assert!(text.contains("accepted as recorded evidence at level baseline") && text.contains("it opens no key"));
    assert!(attestation::CHECKS.iter().all(|c| text.contains(c)), "{text}");
}

#[test]
fn what_is_not_accepted_ends_with_7_and_names_its_check() {
    let genoa = room("genoa-v3-trustee");
    let refused = |args: &[&str], by: &[&str]| {
        let (exit, found) = judged(args);
        assert_eq!((exit, failed(&found)), (7, by.to_vec()), "{args:?}");
    };
    refused(&[&genoa, "--policy", "2026"], &["tcb_minimum"]);
    refused(&[&genoa, "--policy", "strict"], &["tcb_minimum", "guest_policy", "platform_info"]);
    refused(&[&genoa, "--policy", "baseline", "--nonce", "00"], &["quote_nonce"]);
    refused(&[&genoa, "--policy", "baseline", "--user-data", "01"], &["user_data"]);
    refused(&[&genoa, "--policy", "baseline", "--require-crl"], &["crl"]);
    let root = crate_folder().join("data/amd-roots/milan-ark.pem").display().to_string();
    let milan = room("milan-v3-cleanroom-signing");
    refused(&[&milan, "--policy", "baseline", "--vtpm-root", &root], &["ak_certificate"]);
    refused(&[&milan, "--policy", "baseline", "--crl", &root], &["crl"]);
    let output = depa(&["attest", "verify", &genoa, "--policy", "baseline", "--at", "2040-01-01T00:00:00Z"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8(output.stdout).unwrap().contains("FAIL           chain_validity"));
    // What cannot be asked is a usage error.
    assert_eq!(depa(&["attest", "verify", &genoa, "--policy", "lax"]).status.code(), Some(2));
    assert_eq!(depa(&["attest", "verify", &genoa]).status.code(), Some(2));
    assert_eq!(depa(&["attest", "verify", "/nowhere", "--policy", "baseline"]).status.code(), Some(2));
}

/// Evidence as one JSON document: nothing is known beside it, and the answer says so.
#[test]
fn evidence_as_json_is_judged_by_what_it_shows_and_says_so() {
    let saved = load(Path::new(&room("milan-v3-trustee-v2"))).unwrap();
    let file = std::env::temp_dir().join(format!("depa-attest-{}.json", uuid::Uuid::now_v7()));
    std::fs::write(&file, serde_json::to_vec(&saved.evidence).unwrap()).unwrap();
    let (exit, found) = judged(&[file.to_str().unwrap(), "--policy", "2026"]);
    assert_eq!((exit, &found["nonce"], &found["user_data"]), (0, &json!("evidence"), &json!("evidence")));
    let mut spoilt: Value = serde_json::to_value(&saved.evidence).unwrap();
    spoilt["surprise"] = json!(1);
    std::fs::write(&file, spoilt.to_string()).unwrap();
    let output = depa(&["attest", "verify", file.to_str().unwrap(), "--policy", "2026"]);
    assert!(!output.status.success() && !String::from_utf8(output.stderr).unwrap().contains("panicked"));
    std::fs::remove_file(&file).unwrap();
}

/// A guest without a paravisor shows its report alone. Here it is one that was recorded inside a vTPM's.
#[test]
fn a_bare_report_is_judged_without_a_quote() {
    let dir = std::env::temp_dir().join(format!("depa-attest-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    let recorded = PathBuf::from(room("milan-v3-trustee-v2"));
    std::fs::copy(recorded.join("vcek.der"), dir.join("vcek.der")).unwrap();
    let hcl = std::fs::read(recorded.join("hcl.bin")).unwrap();
    // The report stands after the head of 32 bytes.
    let mut report = hcl[32..32 + 1184].to_vec();
    let args = [dir.to_str().unwrap(), "--policy", "baseline"];
    std::fs::write(dir.join("report.bin"), &report).unwrap();
    let (exit, found) = judged(&args);
    assert_eq!((exit, &found["label"], failed(&found)), (0, &json!("recorded"), vec![]), "{found}");
    let checks = found["appraisal"]["checks"].as_array().unwrap();
    assert!(checks.iter().any(|c| c["name"] == "quote_form" && c["verdict"] != "pass"), "{checks:?}");
    report[0x90] ^= 1;
    std::fs::write(dir.join("report.bin"), &report).unwrap();
    let (exit, found) = judged(&args);
    assert_eq!((exit, failed(&found)), (7, vec!["signature"]), "{found}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Newer platform data counts with the signatures of two SRO people, and never goes back.
#[test]
fn newer_platform_data_needs_two_people_and_a_higher_version() {
    let now = Timestamp::parse(AT).unwrap();
    let dir = std::env::temp_dir().join(format!("depa-attest-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    let people = [1, 2, 3].map(|_| FileKey::generate().unwrap());
    let trust: Trust = trust(&people);
    let rules = |edit: fn(&mut Value)| {
        let text = std::fs::read_to_string(crate_folder().join("data/amd.json")).unwrap();
        let mut rules: Value = serde_json::from_str(&text).unwrap();
        rules["version"] = json!(2);
        rules["issued_at"] = json!("2026-12-01T00:00:00Z");
        // Milan's SNP minimum rises above what the recorded rooms have.
        rules["requirements"][2]["tcb"]["snp"] = json!(25);
        edit(&mut rules);
        rules
    };
    let signed = |rules: &Value, signers: &[&FileKey]| {
        let (plain, out) = (dir.join("rules.json"), dir.join(format!("{}.json", uuid::Uuid::now_v7())));
        std::fs::write(&plain, rules.to_string()).unwrap();
        let mut from = plain;
        for signer in signers {
            let envelope = sign_data(&from, &trust, signer, now).unwrap();
            std::fs::write(&out, serde_json::to_vec(&envelope).unwrap()).unwrap();
            from = out.clone();
        }
        from
    };
    let [a, b, stranger] = &people;
    let read = |path: &Path| pinned_table(Some((path, &trust)));
    let table = read(&signed(&rules(|_| ()), &[a, b])).unwrap();
    assert_eq!(table.version(), 2);
    let saved = load(Path::new(&room("milan-v3-trustee-v2"))).unwrap();
    let question = Question { level: "baseline".into(), ..Question::default() };
    let found = verify(&saved, &question, &table, now).unwrap();
    assert_eq!(found.appraisal.failed(), ["tcb_minimum"]);
    assert!(verify(&saved, &question, &pinned_table(None).unwrap(), now).unwrap().appraisal.accepted);
    let why = &found.appraisal.checks.iter().find(|c| c.verdict == Verdict::Fail).unwrap().detail;
    assert!(why.contains("sb_3019_milan (AMD-SB-3019)"), "{why}");

    let code = |path: &Path| read(path).unwrap_err().code;
    assert_eq!(code(&signed(&rules(|_| ()), &[a])), Code::TwoPeopleNeeded);
    assert_eq!(code(&signed(&rules(|_| ()), &[a, stranger])), Code::SignerUnknown);
    assert_eq!(code(&signed(&rules(|_| ()), &[a, a])), Code::SignerTwice);
    assert_eq!(code(&signed(&rules(|r| r["version"] = json!(1)), &[a, b])), Code::ConfigInvalid);
    assert_eq!(code(&signed(&rules(|r| r["levels"] = json!([])), &[a, b])), Code::ConfigInvalid);
    // A byte changed after it was signed.
    let path = signed(&rules(|_| ()), &[a, b]);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let other = sign_data(&signed(&rules(|r| r["version"] = json!(3)), &[]), &trust, a, now).unwrap();
    value["payload"] = serde_json::to_value(&other.payload).unwrap();
    std::fs::write(&path, value.to_string()).unwrap();
    assert_eq!(code(&path), Code::SignatureInvalid);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Trust in a registry whose SRO people are the first two.
fn trust(people: &[FileKey; 3]) -> Trust {
    let [a, b, stranger] = people;
    let person =
        |name: &str, key: &FileKey| SroPerson { did: key.did().unwrap(), name: name.into(), jwk: key.jwk().clone() };
    Trust {
        registry: schemas::id::Did::parse("did:web:sro.example").unwrap(),
        registry_jwk: stranger.jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![person("a", a), person("b", b)],
        witnesses: Vec::new(),
        quorum: 0,
        lineage: Default::default(),
    }
}
