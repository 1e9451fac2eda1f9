//! The forms that `--help` shows are read, and make what they say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use depa::dataset::{Description, SealedDataset};
use depa::{contract, dataset, edge, sro};
use schemas::id::{DataKeyId, DatasetId, Did, FamilyId};
use schemas::{Code, Digest, Signer as _, Timestamp};
use signing::{FileKey, Trust};
use uuid::Uuid;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

fn trust() -> Trust {
    let registry = Did::parse("did:web:sro.example").unwrap();
    let registry_jwk = FileKey::generate().unwrap().jwk().clone();
    Trust {
        registry,
        registry_jwk,
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    }
}

#[test]
fn help_shows_the_forms() {
    for (verb, name) in [
        (["contract", "new"], "contract.toml"),
        (["contract", "counter"], "contract.toml"),
        (["contract", "amend"], "contract.toml"),
        (["sro", "template"], "template.toml"),
        (["sro", "data-schema"], "data-schema.toml"),
        (["dataset", "seal"], "dataset.toml"),
    ] {
        let help = Command::new(env!("CARGO_BIN_EXE_depa")).args(verb).arg("--help").output().unwrap();
        let (help, text) = (String::from_utf8(help.stdout).unwrap(), std::fs::read_to_string(sample(name)).unwrap());
        assert!(help.contains(text.trim_end()), "{verb:?}:\n{help}");
    }
}

#[test]
fn the_forms_of_the_sro_pass_its_rules() {
    let trust = trust();
    let template = sro::template(edge::read_form(&sample("template.toml")).unwrap(), &trust, now()).unwrap();
    let template = template.read_unverified().unwrap();
    policies::registration::template(&template, &trust.registry, now()).unwrap();
    assert_eq!((template.template.as_str(), template.max_days), ("oncology-v2", 365));
    let schema = sro::data_schema(edge::read_form(&sample("data-schema.toml")).unwrap(), &trust, now()).unwrap();
    let schema = schema.read_unverified().unwrap();
    policies::registration::data_schema(&schema, &trust.registry, now()).unwrap();
    assert_eq!(schema.columns.len(), 2);
}

#[test]
fn the_form_of_a_dataset_makes_an_offer() {
    let description: Description = edge::read_form(&sample("dataset.toml")).unwrap();
    let uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let key = FileKey::generate().unwrap();
    let sealed = SealedDataset {
        dataset_id: DatasetId::new(uuid),
        version: 1,
        family: FamilyId::new(uuid),
        url: "https://data.hospital.example/results.depa".into(),
        bytes: 1024,
        manifest_root: Digest([7; 32]),
        kms: description.kms.clone(),
        kms_jwk: key.jwk().clone(),
        key_id: DataKeyId::new(uuid),
        min_assurance: description.min_assurance,
        media_type: "text/csv".into(),
    };
    let offer = dataset::offer(&description, &sealed, &key, &trust(), now()).unwrap().read_unverified().unwrap();
    assert_eq!((offer.columns.len(), offer.payment[0].amount_minor.get()), (3, 500_000));
}

#[test]
fn the_form_of_a_contract_is_read_and_a_slip_is_named() {
    let form: contract::ContractForm = edge::read_form(&sample("contract.toml")).unwrap();
    assert_eq!((form.datasets.len(), form.template.as_str()), (1, "training-v1"));
    let text = std::fs::read_to_string(sample("contract.toml")).unwrap();
    let slip = std::env::temp_dir().join(format!("depa-form-{}.toml", Uuid::now_v7()));
    std::fs::write(&slip, text.replace("epsilon", "epsilom")).unwrap();
    let refused = edge::read_form::<contract::ContractForm>(&slip).unwrap_err();
    std::fs::remove_file(&slip).unwrap();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains("epsilom"), "{refused}");
}
