//! What `ccr measure` prints, of whatever kind the room is, is what `depa image-set new` and `depa kms collect` read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use schemas::Envelope;
use schemas::Signer as _;
use schemas::event::SroPerson;
use schemas::evidence::{EvidenceKind, ImageSet};
use serde_json::{Value, json};
use signing::{FileKey, Trust};

fn depa(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn folder() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-measured-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    let person = |name: &str| {
        let key = FileKey::generate().unwrap();
        SroPerson { did: key.did().unwrap(), name: name.into(), jwk: key.jwk().clone() }
    };
    let trust = Trust {
        registry: schemas::id::Did::parse("did:web:sro.example").unwrap(),
        registry_jwk: FileKey::generate().unwrap().jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![person("a"), person("b")],
        witnesses: Vec::new(),
        quorum: 0,
        lineage: Default::default(),
    };
    std::fs::write(dir.join("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
    dir
}

fn bytes(fill: u8) -> String {
    schemas::text::Bytes(vec![fill; 48]).text()
}

/// The words of `ccr_runtime::attester::words`, as each kind of machine gives them.
fn printed(kind: &str, launch: u8) -> Value {
    let pcr = |fill: u8| format!("{fill:02x}").repeat(32);
    let pcrs = match kind {
        "snp" => json!({}),
        _ => json!({"4": pcr(4), "7": pcr(7), "9": pcr(9), "11": pcr(11), "12": pcr(12)}),
    };
    let mut words = json!({
        "simulated": kind == "software", "evidence": kind, "pcrs": pcrs, "measurements": [bytes(launch)],
        "id_key_digests": [bytes(2)], "host_data": null,
    });
    match kind {
        "snp" => words["host_data"] = json!(pcr(5)),
        "software" => words["measurement"] = json!(pcr(6)),
        _ => {}
    }
    words
}

/// A `ccr` that measures to this.
fn room(dir: &Path, words: &Value) -> String {
    let ccr = dir.join(format!("ccr-{}", uuid::Uuid::now_v7()));
    std::fs::write(&ccr, format!("#!/bin/sh\n[ \"$1\" = measure ] && echo '{words}'\n")).unwrap();
    std::fs::set_permissions(&ccr, std::fs::Permissions::from_mode(0o755)).unwrap();
    ccr.display().to_string()
}

fn set(path: &Path) -> ImageSet {
    let envelope: Envelope<ImageSet> = depa::edge::read_json(path).unwrap();
    assert!(envelope.signatures.is_empty(), "two people of the SRO sign it");
    envelope.read_unverified().unwrap()
}

#[test]
fn every_kind_of_room_becomes_an_image_set() {
    let dir = folder();
    let at = |name: &str| dir.join(name).display().to_string();
    for (kind, evidence) in
        [("azure-snp", EvidenceKind::AzureSnp), ("snp", EvidenceKind::Snp), ("software", EvidenceKind::Software)]
    {
        let words = printed(kind, 1);
        let measured = depa(&["ccr", "measure", "--ccr", &room(&dir, &words), "--config", "ccr.toml", "--json"]);
        assert!(measured.status.success(), "{measured:?}");
        let says = String::from_utf8(measured.stderr).unwrap();
        assert_eq!(says.contains("SIMULATED"), kind == "software", "{says}");
        let file = at(&format!("{kind}.json"));
        std::fs::write(&file, &measured.stdout).unwrap();

        let (new, collected) = (format!("{kind}-new.json"), format!("{kind}-collected.json"));
        let common = ["--name", "room 1.4", "--trust", &at("trust.json"), "--out"];
        let made = depa(&[&["image-set", "new", "--pcrs", &file], &common[..], &[at(&new).as_str()]].concat());
        assert!(made.status.success(), "{made:?}");
        // The same room and a second one of its image, whose paravisor differs.
        let second = at(&format!("{kind}-2.json"));
        std::fs::write(&second, printed(kind, 9).to_string()).unwrap();
        let made = depa(&[&["kms", "collect", &file, &second], &common[..], &[at(&collected).as_str()]].concat());
        assert!(made.status.success(), "{made:?}");

        let (new, collected) = (set(&dir.join(new)), set(&dir.join(collected)));
        assert_eq!((new.profile, collected.profile), (evidence, evidence));
        assert_eq!(json!(new.pcrs), words["pcrs"]);
        assert_eq!(json!(new.measurements), words["measurements"]);
        assert_eq!(json!(new.host_data), words["host_data"]);
        assert_eq!((&collected.pcrs, collected.host_data), (&new.pcrs, new.host_data));
        assert_eq!(json!(collected.measurements), json!([bytes(1), bytes(9)]));
    }
    // Rooms of two images are none, nor is what nobody measured.
    let out = at("mixed.json");
    let common = ["--name", "x", "--trust", &at("trust.json"), "--out", &out];
    let mixed = depa(&[&["kms", "collect", &at("snp.json"), &at("azure-snp.json")], &common[..]].concat());
    assert_eq!(mixed.status.code(), Some(2), "{mixed:?}");
    std::fs::write(at("odd.json"), r#"{"simulated":false,"evidence":"snp","surprise":1}"#).unwrap();
    let odd = depa(&[&["image-set", "new", "--pcrs", &at("odd.json")], &common[..]].concat());
    assert!(!odd.status.success() && !dir.join("mixed.json").exists());
    std::fs::remove_dir_all(&dir).unwrap();
}
