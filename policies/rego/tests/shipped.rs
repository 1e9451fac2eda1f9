//! The shipped examples pass their cases, and the sample of facts is what the house makes of a correct run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

#[path = "../../tests/rules/fixtures.rs"]
mod fixtures;

use std::path::{Path, PathBuf};

use policies_rego::cases::{self, Cases};
use policies_rego::facts::Asked;
use policies_rego::{Document, Facts};
use schemas::evidence::{Appraisal, EvidenceKind};
use schemas::id::DatasetId;
use schemas::text::Bytes;
use schemas::{Digest, Timestamp};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The facts of the correct run of the rules' own tests, as the key service of its first dataset sees them.
fn facts() -> Facts {
    let mut plan = fixtures::plan();
    // The sample asks for no metrics, so that each example starts from a run that it allows.
    plan.metrics_noise_multiplier = None;
    let house = fixtures::House::new();
    let appraisal = Appraisal {
        kind: EvidenceKind::AzureSnp,
        assurance: EvidenceKind::AzureSnp.assurance(),
        accepted: true,
        checks: Vec::new(),
        measurement: Bytes(vec![1; 48]),
        pcr_sha256: Digest([2; 32]),
        evidence_sha256: Digest([3; 32]),
        record: Default::default(),
    };
    let own: DatasetId = house.job.datasets[0].dataset_id.clone();
    house
        .judge(|facts| {
            Facts::of(&Asked {
                facts,
                plan: &plan,
                appraisal: &appraisal,
                run_id: &fixtures::id("run", 1).parse().unwrap(),
                own: std::slice::from_ref(&own),
                now: Timestamp::parse("2026-12-01T04:30:00Z").unwrap(),
                utc_offset_minutes: 330,
            })
        })
        .unwrap()
}

/// `UPDATE=1 cargo test -p policies-rego` writes it anew.
#[test]
fn the_sample_is_what_the_house_makes() {
    let made = format!("{}\n", serde_json::to_string_pretty(&facts()).unwrap());
    let path = examples().join("facts.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made, "UPDATE=1 cargo test -p policies-rego");
    assert_eq!(cases::read_facts(&made).unwrap(), facts());
}

#[test]
fn every_shipped_document_passes_its_cases() {
    let mut documents = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "rego") {
            continue;
        }
        documents += 1;
        let document = Document::read(&std::fs::read(&path).unwrap()).unwrap();
        let cases = Cases::read(&std::fs::read_to_string(path.with_extension("cases.toml")).unwrap()).unwrap();
        assert!(cases.cases.iter().any(|c| c.allow) && cases.cases.iter().any(|c| !c.allow), "{}", path.display());
        for outcome in cases.run(&document, &facts()).unwrap() {
            assert_eq!(outcome.wrong, None, "{}: {}", path.display(), outcome.name);
        }
    }
    assert_eq!(documents, 4);
}
