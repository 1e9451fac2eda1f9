//! The samples in `infra/config` are the defaults, key by key: a default that changes without its sample is found here.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use contract_service::config::{Limits, Webhooks};
use contract_service::{Mode, WitnessConfig};
use kms_adapter::Profile;
use schemas::id::Did;

fn sample(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Every key that a configuration has stands in its sample.
fn names_every_key(sample: &str, written: &str) {
    let keys = |text: &str| -> Vec<String> {
        let table: toml::Table = text.parse().unwrap();
        let nested = |(key, value): (&String, &toml::Value)| match value {
            toml::Value::Table(inner) => inner.keys().map(|k| format!("{key}.{k}")).collect(),
            _ => vec![key.clone()],
        };
        let mut all: Vec<String> = table.iter().flat_map(nested).collect();
        all.sort();
        all
    };
    assert_eq!(keys(sample), keys(written));
}

#[test]
fn contract_service() {
    let (path, text) = sample("contract-service.toml");
    let config = contract_service::Config::load(&path, std::iter::empty()).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.webhooks, Webhooks::default());
    let dir = std::env::temp_dir().join(format!("demo-config-{}", std::process::id()));
    let made = contract_service::init(&dir, &config.url, config.sro.clone()).unwrap();
    let written = std::fs::read_to_string(dir.join("config.toml")).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let folder = path.parent().unwrap();
    let expected = contract_service::Config {
        data_dir: folder.join("data"),
        key_file: folder.join("registry.key"),
        profile: Mode::Demo,
        ..made
    };
    assert_eq!(config, expected);
    names_every_key(&text, &written);
}

#[test]
fn a_kept_house_has_its_witness_in_the_file_and_hands_it_out_as_trust() {
    let dir = std::env::temp_dir().join(format!("demo-witness-{}", std::process::id()));
    let (_, text) = sample("contract-service.toml");
    std::fs::create_dir_all(&dir).unwrap();
    let before = contract_service::Config::load(&sample("contract-service.toml").0, std::iter::empty()).unwrap();
    let made = contract_service::init(&dir, &before.url, before.sro.clone()).unwrap();
    let jwk = signing::FileKey::generate().unwrap();
    let jwk = schemas::Signer::jwk(&jwk);
    let file = dir.join("config.toml");
    demo::house::name_witness(&file, "http://localhost:8090", "localhost:8090/witness", jwk).unwrap();
    let config = contract_service::Config::load(&file, std::iter::empty()).unwrap();
    assert_eq!((config.witnesses.len(), config.witness_quorum), (1, 1));
    let other = contract_service::Config { witnesses: vec![], witness_quorum: 0, ..config.clone() };
    assert_eq!(other, made, "the rest stays as it is");
    let trust = contract_service::trust(&config).unwrap();
    assert_eq!((trust.witnesses.len(), trust.quorum), (1, 1));
    assert_eq!((trust.witnesses[0].name.as_str(), &trust.witnesses[0].jwk), ("localhost:8090/witness", jwk));
    names_every_key(&text, &std::fs::read_to_string(&file).unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn witness() {
    let (path, text) = sample("witness.toml");
    let config = WitnessConfig::load(&path, std::iter::empty()).unwrap();
    assert_eq!(config.bind.to_string(), "127.0.0.1:8090");
    names_every_key(&text, &toml::to_string(&config).unwrap());
}

#[test]
fn kms_adapter() {
    let (_, text) = sample("kms.toml");
    let config = kms_adapter::Config::read(&text, std::iter::empty()).unwrap();
    let did = Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap();
    let (dir, trust) = (Path::new("/var/lib/depa-kms"), Path::new("/etc/depa/trust.json"));
    assert_eq!(config, kms_adapter::Config::new(Profile::Demo, "http://localhost:8451", dir, &did, trust));
    names_every_key(&text, &config.to_toml().unwrap());
}

#[test]
fn ccr() {
    let (path, text) = sample("ccr.toml");
    let (config, _) = ccr_runtime::Config::load(&path).unwrap();
    let least = r#"
        profile = "demo"
        contract_service = "http://localhost:8080"
        trust = "/etc/depa/trust.json"
        trainer = "/usr/lib/depa/ccr-trainer"
        evidence = "software"
        software_root = "/var/lib/depa-ccr/software-root"
    "#;
    let defaults: ccr_runtime::Config = toml::from_str(least).unwrap();
    let written = toml::to_string(&defaults).unwrap();
    assert_eq!(toml::to_string(&config).unwrap(), written);
    names_every_key(&text, &written);
}
