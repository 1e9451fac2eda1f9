//! Erasure and the second tree, as a reader of an exported log sees them.

use std::collections::BTreeMap;

use policies::lifecycle::{Replay, Twin, twin_claims, twin_leaf};
use policies::{Code, R};
use schemas::contract::ContractDecline;
use schemas::digest::Digest;
use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{ExportedEntry, Record, body_digest, subject_digest};
use schemas::party::{Decision, Kind};
use schemas::rules::Erasure;
use schemas::text::Bytes;
use serde_json::json;

use crate::fixtures::{House, REGISTRY, TDC, did, expect, read};
use crate::log::{Log, SRO, by, participant};

const NEW: &str = "did:web:new.example";

/// A log together with its export.
struct Book {
    log: Log,
    entries: Vec<ExportedEntry>,
    chains: BTreeMap<String, (u64, Digest)>,
    twin: Twin,
}

impl Book {
    fn of(bodies: Vec<Body>) -> Book {
        let mut book = Book { log: Log::new(), entries: vec![], chains: BTreeMap::new(), twin: Twin::default() };
        let sro = book.log.state.genesis().unwrap().sro.clone();
        let genesis = Body::Genesis {
            registry: did(REGISTRY),
            registry_jwk: crate::fixtures::jwk(201),
            origin: "sro.example/log".into(),
            sro,
            succeeds: None,
        };
        book.write(genesis);
        bodies.into_iter().for_each(|body| book.enter(body).unwrap());
        book
    }

    fn enter(&mut self, body: Body) -> R<()> {
        self.log.enter(body.clone())?;
        self.write(body);
        Ok(())
    }

    fn write(&mut self, body: Body) {
        let (salt, at, index) = ([7u8; 32], self.log.now, self.entries.len() as u64);
        let subject = self.log.state.subject(&body).unwrap();
        let (seq, prev) =
            self.chains.get(&subject).copied().map_or((1, Digest([0; 32])), |(seq, leaf)| (seq + 1, leaf));
        let record = Record {
            v: 1,
            kind: body.kind().into(),
            subject: subject_digest(&salt, &subject),
            seq,
            at,
            body_sha256: body_digest(&salt, &body).unwrap(),
            prev,
        };
        let leaf = record.leaf().unwrap();
        self.chains.insert(subject.clone(), (seq, leaf));
        self.twin.push(twin_leaf(index, &leaf, &twin_claims(&body, &record.body_sha256)), |_, _, _| {});
        let salt = Bytes(salt.to_vec());
        self.entries.push(ExportedEntry { index, record, subject, subject_salt: salt.clone(), body_salt: salt, body });
    }

    /// As a store writes an entry whose body it destroyed.
    fn erase(&mut self, index: u64) {
        let entry = &mut self.entries[index as usize];
        entry.body = Body::Erased { was: entry.record.kind.clone() };
        entry.subject = String::new();
        entry.subject_salt = Bytes(vec![]);
        entry.body_salt = Bytes(vec![]);
    }

    fn replayed(&self) -> R<Replay> {
        let mut replay = Replay::new();
        for entry in &self.entries {
            replay.enter(entry, &Verified::vouched_by_signing(entry.body.clone()))?;
        }
        replay.finish()?;
        let mut again = Replay::new();
        self.entries.iter().try_for_each(|entry| again.reenter(entry).map(drop))?;
        assert_eq!(again, replay);
        Ok(replay)
    }
}

fn erasure(entries: &[u64]) -> Erasure {
    read(json!({"schema": "erasure.v1", "registry": REGISTRY, "entries": entries, "reason": "Asked for",
        "at": "2026-11-01T00:00:00Z"}))
}

fn erased(entries: &[u64]) -> Body {
    Body::SubjectErased { erasure: by(&erasure(entries), &SRO[..2]) }
}

/// Somebody who was rejected, and somebody who stays: entries 1 and 2, and 3.
fn rejected() -> Book {
    let mut book = Book::of(vec![]);
    let application = |log: &Log, holder: &str| Body::ParticipantApplied {
        application: by(&participant(holder, Kind::Tdp), &[holder]),
        resolution: log.resolved(&did(holder)),
    };
    book.enter(application(&book.log, NEW)).unwrap();
    book.enter(book.log.decision(NEW, Decision::Rejected)).unwrap();
    book.enter(application(&book.log, TDC)).unwrap();
    book
}

#[test]
fn a_rejected_applicant_is_erased_and_the_log_still_verifies() {
    let mut book = rejected();
    for (what, entries) in [("too few", &[1][..]), ("too many", &[1, 2, 3]), ("another's", &[3]), ("none", &[])] {
        let code = match what {
            "another's" => Code::StateTransition,
            "none" => Code::LimitExceeded,
            _ => Code::SchemaMismatch,
        };
        expect(book.enter(erased(entries)), code, what);
    }
    expect(book.enter(erased(&[2, 1])), Code::SchemaMismatch, "not ascending");
    let one = Body::SubjectErased { erasure: by(&erasure(&[1, 2]), &SRO[..1]) };
    expect(book.enter(one), Code::TwoPeopleNeeded, "one person");
    book.enter(erased(&[1, 2])).unwrap();
    assert!(book.log.state.participant(&did(NEW)).is_none());
    let whole = book.replayed().unwrap();
    assert_eq!(whole.state, book.log.state);
    assert!(!whole.chains.contains_key(NEW), "its chain ends");
    (1..=2).for_each(|index| book.erase(index));
    let skipped = book.replayed().unwrap();
    assert_eq!(skipped.state, whole.state, "who never saw the bodies comes to the same state");
    assert_eq!((skipped.frontier, skipped.twin), (whole.frontier, whole.twin));
}

#[test]
fn a_body_that_is_missing_without_an_erasure_is_found() {
    let mut book = rejected();
    (1..=2).for_each(|index| book.erase(index));
    expect(book.replayed().map(drop), Code::LogTampered, "nobody erased it");
    let mut book = rejected();
    book.enter(erased(&[1, 2])).unwrap();
    (1..=3).for_each(|index| book.erase(index));
    expect(book.replayed().map(drop), Code::LogTampered, "one more than was erased");
    let mut book = rejected();
    book.enter(erased(&[1, 2])).unwrap();
    book.erase(1);
    expect(book.replayed().map(drop), Code::LogTampered, "half of it");
    let mut book = rejected();
    book.enter(erased(&[1, 2])).unwrap();
    (1..=2).for_each(|index| book.erase(index));
    book.entries[1].subject = NEW.into();
    expect(book.replayed().map(drop), Code::LogTampered, "still named");
    let mut book = rejected();
    book.erase(0);
    expect(book.replayed().map(drop), Code::LogTampered, "the genesis");
    expect(book.enter(Body::Erased { was: "genesis".into() }), Code::Erased, "never entered");
}

#[test]
fn a_declined_proposal_is_erased_and_one_that_stands_is_not() {
    let mut log = Log::furnished();
    let contract = House::new().contracts.remove(0);
    let start = log.state.size();
    log.enter(Body::ContractProposed { contract: by(&contract, &[TDC]) }).unwrap();
    log.refused(erased(&[start]), Code::StateTransition, "still open");
    let reference = log.state.contracts().next().unwrap().reference();
    let decline: ContractDecline = read(json!({"schema": "contract-decline.v1", "registry": REGISTRY,
        "contract": reference, "reason": "Too long", "declined_at": log.now}));
    log.enter(Body::ContractDeclined { decline: by(&decline, &[&crate::fixtures::provider(0)]) }).unwrap();
    log.enter(erased(&[start, start + 1])).unwrap();
    assert!(log.state.contract(&reference.sha256).is_none());
    assert_eq!(log.state.contracts().count(), 0);
    let mut log = Log::furnished();
    let start = log.state.size();
    log.contract();
    let entries: Vec<u64> = (start..log.state.size()).collect();
    log.refused(erased(&entries), Code::StateTransition, "in force");
    log.refused(erased(&[1, 2]), Code::StateTransition, "a verified participant");
}

#[test]
fn the_root_of_the_second_tree_is_checked() {
    let mut book = rejected();
    let size = book.log.state.size();
    let root = book.twin.root();
    expect(book.enter(Body::TwinRoot { size: size - 1, root }), Code::StateTransition, "another size");
    book.enter(Body::TwinRoot { size, root }).unwrap();
    book.enter(Body::TwinRoot { size: size + 1, root: book.twin.root() }).unwrap();
    assert_eq!(book.replayed().unwrap().twin, book.twin);
    book.enter(Body::TwinRoot { size: size + 2, root }).unwrap();
    expect(book.replayed().map(drop), Code::LogTampered, "another root");
}
