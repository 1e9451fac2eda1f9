//! What needs no service: audits of an export, receipts, contract bundles, and jobs made of a form.
//!
//! The export is that of a real registry with the actors of its own tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../../../registry/tests/memory/database.rs"]
mod database;
mod forged;
#[allow(dead_code)] // shared with the registry's own tests
#[path = "../../../registry/tests/memory/house.rs"]
mod house;
mod jobs;
mod log_keys;
mod models;
#[path = "../../../registry/tests/memory/papers.rs"]
mod papers;
mod period;
mod printed;
mod receipts;
#[allow(dead_code)]
#[path = "../../../registry/tests/memory/runs.rs"]
mod runs;
mod spoilt;
mod watched;

use depa::audit::{self, Head, Options, Report};
use depa::exit;
use policies::lifecycle::PaymentState;
use schemas::contract::ContractState;
use schemas::event::{Body, PaymentResult};
use schemas::log::ExportedEntry;
use schemas::{Code, R, Refusal, Signer as _, Timestamp};
use signing::{FileKey, Trust, note};

use house::{House, start};

pub(crate) fn trust(house: &House) -> Trust {
    Trust {
        registry: house.options.registry.clone(),
        registry_jwk: house.options.signer.jwk().clone(),
        origin: house.options.origin.clone(),
        sro: house.options.sro.clone(),
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    }
}

/// The lines of an export as `depa audit export` writes them.
pub(crate) fn lines(house: &House) -> Vec<Vec<u8>> {
    let checkpoint = house.registry.checkpoint().unwrap();
    let head = Head { v: 1, size: checkpoint.head.size, checkpoint: checkpoint.text() };
    let mut lines = vec![line(&head)];
    lines.extend(house.registry.entries(0, 10_000).unwrap().iter().map(line));
    lines
}

pub(crate) fn line<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    audit::line(&mut out, value).unwrap();
    out
}

pub(crate) fn verify_with(lines: &[Vec<u8>], trust: &Trust, options: &Options) -> R<Report> {
    audit::verify(&mut lines.concat().as_slice(), trust, options, now())
}

pub(crate) fn verify(lines: &[Vec<u8>], trust: &Trust) -> R<Report> {
    verify_with(lines, trust, &Options::default())
}

pub(crate) fn now() -> Timestamp {
    start().plus_seconds(86_400)
}

/// A failed verification: exit code 10.
pub(crate) fn failed(result: R<Report>) -> Refusal {
    let refusal = result.expect_err("must not verify");
    assert_eq!(exit::of(&refusal), exit::VERIFICATION, "{refusal}");
    refusal
}

/// A house whose TDC got a model, paid by settled instructions but one.
pub(crate) fn lived_in() -> House {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    let entry = house.complete(&run, &completion).unwrap();
    let Body::RunCompleted { obligations, .. } = entry.body else { panic!("another body") };
    house.pays(&obligations[0], PaymentResult::Settled).unwrap();
    house.enter(Body::ModelHandedOver { run_id: run.run_id.clone() }).unwrap();
    house
}

#[test]
fn a_good_export_verifies_and_everything_is_recomputed() {
    let house = lived_in();
    let report = verify(&lines(&house), &trust(&house)).unwrap();
    assert_eq!(report.log, house.registry.head().unwrap());
    assert!(report.verified && report.continues.is_none() && report.cosigned_at.is_none());
    assert_eq!(report.participants, 5);
    let [contract] = report.contracts.as_slice() else { panic!("one contract") };
    assert_eq!((contract.state, contract.signatures), (ContractState::Active, (4, 4)));
    assert!(contract.executed.is_some());
    assert_eq!(report.runs.get("delivered"), Some(&1));
    assert_eq!(report.text().contains("SIMULATED"), report.runs_simulated > 0);
    assert_eq!(report.runs_simulated, 1);
    assert_eq!(report.budgets.len(), 2);
    for budget in &report.budgets {
        assert_eq!((budget.charges, budget.tdc.as_ref()), (1, Some(&house.tdc.did().unwrap())));
        // One Gaussian release at σ = 5, δ = 10^-5; the ledger says what it costs, not the receipt.
        assert!((740_000..1_000_000).contains(&budget.epsilon_micro.unwrap()), "{budget:?}");
    }
    let states: Vec<_> = report.payments.iter().map(|p| (p.amount_minor.get(), p.state)).collect();
    assert_eq!(states.len(), 2);
    assert!(
        states.contains(&(500_000, PaymentState::Settled)) && states.contains(&(500_001, PaymentState::Instructed)),
        "{states:?}"
    );
    let inr = schemas::money::Currency::parse("INR").unwrap();
    assert_eq!(report.books.get(&inr), Some(&(1_000_001, 500_000)));
    // Programs read minor units, people the major one.
    assert_eq!(serde_json::to_value(&report).unwrap()["books"], serde_json::json!({"INR": [1_000_001, 500_000]}));
    let text = report.text();
    for words in [
        "verified:",
        "active, 4 of 4 signatures",
        "of 1.0 spent",
        " INR 5000.00 to did:",
        " INR 5000.01 to did:",
        ": settled",
        "books in INR: 10000.01 owed, 5000.00 settled, debits equal credits",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_state_of_a_contract_is_that_of_the_time_of_the_audit() {
    let house = lived_in();
    let (lines, trust) = (lines(&house), trust(&house));
    let later = start().plus_seconds(31 * 86_400);
    let report = audit::verify(&mut lines.concat().as_slice(), &trust, &Options::default(), later).unwrap();
    assert_eq!(report.contracts[0].state, ContractState::Expired);
}

#[test]
fn the_log_continues_what_was_seen_before() {
    let house = lived_in();
    let before = house.registry.checkpoint().unwrap();
    house.apply(&FileKey::generate().unwrap(), schemas::party::Kind::Tdp).unwrap();
    let (lines, trust) = (lines(&house), trust(&house));
    let seen = |text: String| Options { earlier: Some(text), ..Options::default() };
    let report = verify_with(&lines, &trust, &seen(before.text())).unwrap();
    assert_eq!(report.continues, Some(before.head.clone()));

    let mut forked = before.head.clone();
    forked.root.0[0] ^= 1;
    let fork = note::sign_checkpoint(&trust.origin, &forked, house.options.signer.as_ref()).unwrap();
    assert_eq!(failed(verify_with(&lines, &trust, &seen(fork.text()))).code, Code::ConsistencyInvalid);
    let mut longer = before.head.clone();
    longer.size += 100;
    let longer = note::sign_checkpoint(&trust.origin, &longer, house.options.signer.as_ref()).unwrap();
    assert_eq!(failed(verify_with(&lines, &trust, &seen(longer.text()))).code, Code::ConsistencyInvalid);
    let stranger = FileKey::generate().unwrap();
    let unsigned = note::sign_checkpoint(&trust.origin, &before.head, &stranger).unwrap();
    assert_eq!(failed(verify_with(&lines, &trust, &seen(unsigned.text()))).code, Code::CheckpointInvalid);
}

#[test]
fn a_log_with_a_new_key_verifies_under_either_key_and_only_under_the_new_ones_head() {
    let house = lived_in();
    let key = |n: u8| FileKey::from_seed(house.options.registry.as_str(), &[n; 32]);
    let (old, new, other) = (key(100), key(101), key(102));
    let before = house.registry.checkpoint().unwrap().text();
    assert!(house.options.next.set(std::sync::Arc::new(key(101))).is_ok());
    let rotation = schemas::rules::LogKey {
        schema: "log-key.v1".into(),
        registry: house.options.registry.clone(),
        replaces: old.jwk().thumbprint(),
        jwk: new.jwk().clone(),
        overlap_until: house.now().plus_seconds(10),
        at: start(),
    };
    house.enter(schemas::event::Body::LogKeyRotated { rotation: house.by_sro(&rotation) }).unwrap();
    house.skip(100);
    house.apply(&FileKey::generate().unwrap(), schemas::party::Kind::Tdp).unwrap();
    let mut lines = lines(&house);
    let pinned = |key: &FileKey| signing::Trust { registry_jwk: key.jwk().clone(), ..trust(&house) };
    let seen = Options { earlier: Some(before), ..Options::default() };
    for key in [&old, &new] {
        let report = verify_with(&lines, &pinned(key), &seen).unwrap();
        assert_eq!(report.log, house.registry.head().unwrap());
    }
    assert_eq!(failed(verify_with(&lines, &pinned(&other), &seen)).code, Code::LogTampered, "a key of no entry");
    // A head that only the replaced key signed is not the log's any more.
    let head = house.registry.head().unwrap();
    let by_old = note::sign_checkpoint(&trust(&house).origin, &head, &old).unwrap();
    lines[0] = line(&Head { v: 1, size: head.size, checkpoint: by_old.text() });
    assert_eq!(failed(verify_with(&lines, &pinned(&old), &seen)).code, Code::CheckpointInvalid);
}

#[test]
fn a_named_witness_must_have_cosigned() {
    let house = lived_in();
    let witness = FileKey::generate().unwrap();
    let trust = trust(&house);
    let named = Some(("witness.example".into(), witness.jwk().clone()));
    let options = Options { witness: named, ..Options::default() };
    let mut lines = lines(&house);
    assert_eq!(failed(verify_with(&lines, &trust, &options)).code, Code::CheckpointInvalid);

    let mut checkpoint = house.registry.checkpoint().unwrap();
    checkpoint.signatures.push(note::cosign(&checkpoint, "witness.example", &witness, start()).unwrap());
    lines[0] = line(&Head { v: 1, size: checkpoint.head.size, checkpoint: checkpoint.text() });
    assert_eq!(verify_with(&lines, &trust, &options).unwrap().cosigned_at, Some(start()));
}

#[test]
fn other_trust_is_refused() {
    let house = lived_in();
    let lines = lines(&house);
    let good = trust(&house);
    let other = FileKey::generate().unwrap();
    let mut people = good.clone();
    people.sro[1].jwk = other.jwk().clone();
    let mut name = good.clone();
    name.sro[0].name.push('x');
    for spoilt in [
        Trust { registry_jwk: other.jwk().clone(), ..good.clone() },
        Trust { origin: "other.example/log".into(), ..good.clone() },
        Trust { registry: schemas::id::Did::parse("did:web:other.example").unwrap(), ..good.clone() },
        people,
        name,
    ] {
        failed(verify(&lines, &spoilt));
    }
}

/// Key services that charged beyond a cap are found out, although every signature holds.
#[test]
fn a_charge_beyond_the_budget_is_found() {
    let mut house = House::furnished();
    for _ in 0..2 {
        let run = house.running();
        let completion = house.completion(&run);
        house.complete(&run, &completion).unwrap();
    }
    let refusal = failed(verify(&lines(&house), &trust(&house)));
    let all = house.registry.entries(0, 10_000).unwrap();
    let last = all.iter().rposition(|e| matches!(e.body, Body::RunCompleted { .. })).unwrap();
    assert!(
        refusal.sentence.contains(&format!("entry {last}")) && refusal.sentence.contains("BUDGET_EXCEEDED"),
        "{refusal}"
    );
}

/// A released charge that was refunded does not count.
#[test]
fn what_was_refunded_is_not_spent() {
    let mut house = House::furnished();
    let run = house.running();
    for statement in [runs::reserved(&house), runs::released()] {
        for receipt in house.both_say(&run, &statement) {
            house.enter(Body::KmsStated { receipt }).unwrap();
        }
    }
    let aborted = house.report(&run, runs::aborted(0)).unwrap();
    let Body::RunReported { event } = aborted.body else { panic!("another body") };
    assert_eq!(verify(&lines(&house), &trust(&house)).unwrap().budgets.len(), 2);
    let refunded = schemas::release::KmsStatement::Refunded { aborted_sha256: event.digest() };
    for receipt in house.both_say(&run, &refunded) {
        house.enter(Body::KmsStated { receipt }).unwrap();
    }
    let report = verify(&lines(&house), &trust(&house)).unwrap();
    assert!(report.budgets.is_empty() && report.payments.is_empty(), "{report:?}");
    assert_eq!(report.runs.get("aborted"), Some(&1));
}

/// Reads an entry line back.
pub(crate) fn entry(line: &[u8]) -> ExportedEntry {
    schemas::canonical::parse(line).unwrap()
}
