//! What the SRO lays down: templates, data schemas, image sets, the log's next key, succession; notes in the log.

use policies::Code;
use schemas::KeyBook;
use schemas::contract::ContractState;
use schemas::digest::Digest;
use schemas::envelope::{Envelope, Usage};
use schemas::event::Body;
use schemas::id::KeyId;
use schemas::rules::{DataSchema, ImageSetRevocation, LogKey, LogSucceeded, Template};
use schemas::text::Bytes;
use serde_json::json;

use crate::fixtures::{House, REGISTRY, TDC, did, expect, jwk, read};
use crate::log::{Log, SRO, by, key_of, stranger};

fn template() -> Template {
    read(json!({"schema": "template.v1", "registry": REGISTRY, "template": "oncology-v2", "title": "Oncology",
        "text_url": "https://sro.example/oncology-v2.pdf", "text_sha256": Digest([4; 32]), "purposes": ["TRAINING"],
        "jurisdictions": ["IN"], "max_days": 365, "lapse_days": 14, "sro_countersigns": true, "risk_statement": true,
        "at": "2026-11-01T00:00:00Z"}))
}

fn data_schema() -> DataSchema {
    read(json!({"schema": "data-schema.v1", "registry": REGISTRY, "uri": "urn:sro:tests", "title": "Tests",
        "columns": [{"name": "k", "type": "text", "lower": null, "upper": null}], "at": "2026-11-01T00:00:00Z"}))
}

#[test]
fn templates_are_approved_by_two_people_once() {
    let mut log = Log::new();
    let approved = |template: &Template, signers: &[&str]| Body::TemplateApproved { template: by(template, signers) };
    type Spoil = fn(&mut Template);
    let rows: [(Code, Spoil); 11] = [
        (Code::SchemaMismatch, |t| t.template = "training-v1".into()),
        (Code::SchemaMismatch, |t| t.template = "oncology".into()),
        (Code::SchemaMismatch, |t| t.template = "oncology-v02".into()),
        (Code::SchemaMismatch, |t| t.template = "Oncology-v2".into()),
        (Code::LimitExceeded, |t| t.title = String::new()),
        (Code::AddressRefused, |t| t.text_url = "http://sro.example/x".into()),
        (Code::PurposeNotAllowed, |t| t.purposes = vec!["SALE".into()]),
        (Code::SchemaMismatch, |t| t.jurisdictions = vec!["India".into()]),
        (Code::LimitExceeded, |t| t.max_days = 0),
        (Code::LimitExceeded, |t| t.lapse_days = 1000),
        (Code::WrongRegistry, |t| t.registry = stranger()),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut bad = template();
        spoil(&mut bad);
        log.refused(approved(&bad, &SRO[..2]), code, &format!("row {at}"));
    }
    log.refused(approved(&template(), &SRO[..1]), Code::TwoPeopleNeeded, "one person");
    log.enter(approved(&template(), &SRO[..2])).unwrap();
    assert_eq!(log.state.template("oncology-v2").unwrap().template, template());
    assert_eq!(log.state.templates().count(), 1);
    log.refused(approved(&template(), &SRO[1..]), Code::StateTransition, "again");
}

#[test]
fn the_first_of_two_people_learns_what_the_second_would() {
    let mut log = Log::new();
    let enters = |template| Body::TemplateApproved { template };
    let asked = |log: &Log, template: &Template, who| log.state.foresee(&by(template, &[who]), enters, log.now);
    asked(&log, &template(), SRO[0]).unwrap();
    let bad = Template { max_days: 0, ..template() };
    crate::fixtures::expect(asked(&log, &bad, SRO[0]), Code::LimitExceeded, "what it says");
    crate::fixtures::expect(asked(&log, &template(), crate::fixtures::TDC), Code::TwoPeopleNeeded, "a stranger");
    log.refused(enters(by(&template(), &SRO[..1])), Code::TwoPeopleNeeded, "nothing enters by it");
    log.enter(enters(by(&template(), &SRO[..2]))).unwrap();
    crate::fixtures::expect(asked(&log, &template(), SRO[0]), Code::StateTransition, "it stands");
}

#[test]
fn data_schemas_are_approved_by_two_people_once() {
    let mut log = Log::new();
    let approved =
        |schema: &DataSchema, signers: &[&str]| Body::DataSchemaApproved { data_schema: by(schema, signers) };
    type Spoil = fn(&mut DataSchema);
    let rows: [(Code, Spoil); 4] = [
        (Code::SchemaMismatch, |s| s.uri = schemas::rules::BUILT_IN_SCHEMA.into()),
        (Code::SchemaMismatch, |s| s.uri = "tests".into()),
        (Code::LimitExceeded, |s| s.columns.clear()),
        (Code::OfferInvalid, |s| s.columns.push(s.columns[0].clone())),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut bad = data_schema();
        spoil(&mut bad);
        log.refused(approved(&bad, &SRO[..2]), code, &format!("row {at}"));
    }
    log.refused(approved(&data_schema(), &[TDC]), Code::TwoPeopleNeeded, "no person");
    log.enter(approved(&data_schema(), &SRO[..2])).unwrap();
    assert_eq!(log.state.data_schemas().count(), 1);
    log.refused(approved(&data_schema(), &SRO[..2]), Code::StateTransition, "again");
}

#[test]
fn a_revoked_image_set_runs_nothing_and_stops_its_contracts() {
    let mut log = Log::furnished();
    let contract = log.contract();
    let set = House::new().image_set;
    let revocation = ImageSetRevocation {
        schema: "image-set-revocation.v1".into(),
        registry: did(REGISTRY),
        image_set_id: set.image_set_id.clone(),
        reason: "A hole was found".into(),
        at: log.now,
    };
    let revoked = |signers: &[&str]| Body::ImageSetRevoked { revocation: by(&revocation, signers) };
    assert!(log.state.require_image_set(&set.image_set_id, log.now).is_ok());
    assert_eq!(log.state.image_sets_revoked(log.now), []);
    log.refused(revoked(&SRO[..1]), Code::TwoPeopleNeeded, "one person");
    let mut unknown = revocation.clone();
    unknown.image_set_id = read(json!(crate::fixtures::id("img", 9)));
    log.refused(Body::ImageSetRevoked { revocation: by(&unknown, &SRO[..2]) }, Code::ImageSetUnknown, "unknown");
    log.enter(revoked(&SRO[..2])).unwrap();
    expect(log.state.require_image_set(&set.image_set_id, log.now).map(drop), Code::ImageSetRevoked, "a run");
    assert_eq!(log.state.image_sets_revoked(log.now), std::slice::from_ref(&set.image_set_id));
    assert_eq!(log.state.image_sets_revoked(set.valid_to), [], "its period is over");
    assert_eq!(log.state.contract_state(&contract.sha256, log.now), Some(ContractState::Suspended));
    log.refused(revoked(&SRO[..2]), Code::StateTransition, "again");
    let mut next = House::new().contracts.remove(0);
    next.contract_id = read(json!(crate::fixtures::id("ctr", 5)));
    log.refused(Body::ContractProposed { contract: by(&next, &[TDC]) }, Code::ImageSetNotApproved, "a new contract");
}

fn rotation(log: &Log) -> LogKey {
    LogKey {
        schema: "log-key.v1".into(),
        registry: did(REGISTRY),
        replaces: jwk(201).thumbprint(),
        jwk: jwk(202),
        overlap_until: log.now.plus_seconds(86_400),
        at: log.now,
    }
}

#[test]
fn the_log_gets_another_key_and_the_old_one_counts_for_the_overlap() {
    let mut log = Log::furnished();
    let rotated = |key: &LogKey, signers: &[&str]| Body::LogKeyRotated { rotation: by(key, signers) };
    let good = rotation(&log);
    let (old, new) = (KeyId::new(REGISTRY, jwk(201).thumbprint()), KeyId::new(REGISTRY, jwk(202).thumbprint()));
    log.refused(rotated(&good, &SRO[..1]), Code::TwoPeopleNeeded, "one person");
    type Spoil = fn(&mut LogKey);
    let rows: [(Code, Spoil); 5] = [
        (Code::StateTransition, |k| k.replaces = jwk(3).thumbprint()),
        (Code::KeyExists, |k| k.jwk = jwk(201)),
        (Code::KeyExists, |k| k.jwk = key_of(TDC)),
        (Code::KeyForm, |k| k.jwk = schemas::jwk::Jwk::x25519([1; 32])),
        (Code::SchemaMismatch, |k| k.overlap_until = k.at.plus_seconds(-1)),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut bad = good.clone();
        spoil(&mut bad);
        log.refused(rotated(&bad, &SRO[..2]), code, &format!("row {at}"));
    }
    log.enter(rotated(&good, &SRO[..2])).unwrap();
    assert_eq!(log.state.registry_keys().len(), 2);
    for kid in [&old, &new] {
        assert!(log.state.key(kid, Usage::Service).is_some(), "both sign");
    }
    log.now = log.now.plus_seconds(86_400);
    log.enter(Body::DigestAnchored { by: did(TDC), sha256: Digest([1; 32]) }).unwrap();
    assert_eq!(log.state.key(&old, Usage::Service), None, "the overlap is over");
    assert_eq!(log.state.key(&new, Usage::Service), Some(jwk(202)));
}

#[test]
fn anchors_and_statements_are_for_verified_participants() {
    let mut log = Log::furnished();
    let anchored = |by| Body::DigestAnchored { by, sha256: Digest([1; 32]) };
    log.enter(anchored(did(TDC))).unwrap();
    log.refused(anchored(stranger()), Code::ParticipantNotVerified, "unknown");
    let stated = |issuer, bytes: usize| Body::StatementRegistered { issuer, statement: Bytes(vec![1; bytes]) };
    log.enter(stated(did(TDC), 60 * 1024)).unwrap();
    log.refused(stated(stranger(), 1), Code::ParticipantNotVerified, "unknown");
    log.refused(stated(did(TDC), 60 * 1024 + 1), Code::LimitExceeded, "too large");
    log.refused(stated(did(TDC), 0), Code::LimitExceeded, "empty");
}

fn genesis(succession: &LogSucceeded, signers: &[&str]) -> Body {
    let person = |did: &&str| json!({"did": did, "jwk": key_of(did), "name": "Person"});
    Body::Genesis {
        registry: did(REGISTRY),
        registry_jwk: jwk(201),
        origin: "sro.example/log2".into(),
        sro: read(json!(SRO.iter().map(person).collect::<Vec<_>>())),
        succeeds: Some(by(succession, signers)),
    }
}

#[test]
fn a_log_that_continues_another_is_vouched_for_by_two_people() {
    let good: LogSucceeded = read(json!({"schema": "log-succeeded.v1", "registry": REGISTRY,
        "old_origin": "sro.example/log", "old_checkpoint": "x", "kept": 7, "new_origin": "sro.example/log2",
        "reason": "Disk lost", "at": "2026-11-01T00:00:00Z"}));
    let mut empty = Log::new();
    empty.state = policies::lifecycle::State::new();
    empty.refused(genesis(&good, &SRO[..1]), Code::TwoPeopleNeeded, "one person");
    empty.refused(genesis(&good, &[SRO[0], SRO[0]]), Code::TwoPeopleNeeded, "one person twice");
    empty.refused(genesis(&good, &[SRO[0], TDC]), Code::TwoPeopleNeeded, "a stranger");
    let mut other = good.clone();
    other.new_origin = "sro.example/log3".into();
    empty.refused(genesis(&other, &SRO[..2]), Code::StateTransition, "another origin");
    let mut same = good.clone();
    same.old_origin = "sro.example/log2".into();
    empty.refused(genesis(&same, &SRO[..2]), Code::StateTransition, "its own origin");
    let mut key = good.clone();
    key.new_key = Some(jwk(202).thumbprint());
    empty.refused(genesis(&key, &SRO[..2]), Code::StateTransition, "another key than the succession names");
    // An older succession names none; a newer one names the key that the log begins with.
    let state = std::mem::replace(&mut empty.state, policies::lifecycle::State::new());
    empty.enter(genesis(&good, &SRO[..2])).unwrap();
    empty.state = state;
    let good = LogSucceeded { new_key: Some(jwk(201).thumbprint()), ..good };
    empty.enter(genesis(&good, &SRO[..2])).unwrap();
    let kept: &Option<Envelope<LogSucceeded>> = &empty.state.genesis().unwrap().succeeds;
    assert_eq!(kept.as_ref().unwrap().digest(), by(&good, &[]).digest());
}
