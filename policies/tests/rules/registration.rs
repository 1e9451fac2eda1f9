//! What may enter the register: form, limits, and terms against offers.

use policies::registration::{contract, decision, image_set, job, offer, participant, terms};
use policies::{Code, R};
use schemas::contract::{Assurance, TermKind};
use schemas::dataset::{ColumnType, DatasetOffer};
use schemas::digest::Digest;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::money::{Currency, Minor};
use schemas::own_release::Charging;
use schemas::party::{Kind, Participant, ParticipantDecision};
use schemas::privacy::{Mechanism, Scope};
use schemas::statistics::Statistics;
use schemas::text::Bytes;
use serde_json::{Value, json};

use crate::fixtures::{
    CCRP, House, REGISTRY, Row, again, at, did, digest, expect, id, jwk, now, provider, read, real, spoilt,
};

fn entering(house: &House) -> R<()> {
    let offers: Vec<(Digest, &DatasetOffer)> = house.offers.iter().map(|o| (digest(o), o)).collect();
    contract(&house.contracts[0], &offers, &did(REGISTRY), now())
}

fn offered(house: &House) -> R<()> {
    house.offers.iter().try_for_each(|o| offer(o, &did(REGISTRY), now()))
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

#[test]
fn participants_name_themselves_and_a_key() {
    let good: Participant =
        read(json!({"schema": "participant.v1", "registry": REGISTRY, "did": "did:web:tdp.example", "kind": "tdp",
        "legal_name": "A Provider", "jurisdiction": "IN", "jwk": jwk(1), "applied_at": "2026-12-01T10:00:00Z"}));
    let judge = |spoil: fn(&mut Participant)| {
        let mut application = good.clone();
        spoil(&mut application);
        participant(&application, &did(REGISTRY), now())
    };
    assert_eq!(judge(|_| {}), Ok(()));
    expect(judge(|p| p.registry = did("did:web:other.example")), Code::WrongRegistry, "registry");
    expect(judge(|p| p.kind = Kind::Sro), Code::Forbidden, "kind");
    expect(judge(|p| p.legal_name.clear()), Code::LimitExceeded, "no name");
    expect(judge(|p| p.legal_name = "ä".repeat(201)), Code::LimitExceeded, "long name");
    expect(judge(|p| p.legal_name = "A\u{0}B".into()), Code::SchemaMismatch, "control character");
    expect(judge(|p| p.jurisdiction = "India".into()), Code::SchemaMismatch, "country");
    expect(judge(|p| p.jwk = schemas::jwk::Jwk::x25519([1; 32])), Code::KeyForm, "key");
    expect(judge(|p| p.applied_at = at("2026-12-01T10:05:01Z")), Code::SchemaMismatch, "ahead");
    assert_eq!(judge(|p| p.legal_name = "ä".repeat(200)), Ok(()));
}

#[test]
fn decisions_give_a_reason() {
    let good: ParticipantDecision = read(json!({"schema": "participant-decision.v1", "registry": REGISTRY,
        "participant": "did:web:tdp.example", "participant_sha256": Digest([0; 32]), "decision": "verified",
        "reason": "Papers seen.", "decided_at": "2026-12-01T10:00:00Z"}));
    let judge = |spoil: fn(&mut ParticipantDecision)| {
        let mut decided = good.clone();
        spoil(&mut decided);
        decision(&decided, &did(REGISTRY), now())
    };
    assert_eq!(judge(|_| {}), Ok(()));
    expect(judge(|d| d.registry = did("did:web:other.example")), Code::WrongRegistry, "registry");
    expect(judge(|d| d.reason.clear()), Code::LimitExceeded, "reason");
    expect(judge(|d| d.reason = "x".repeat(501)), Code::LimitExceeded, "reason");
    expect(judge(|d| d.decided_at = at("2026-12-02T00:00:00Z")), Code::SchemaMismatch, "ahead");
}

#[test]
fn image_sets_pin_something_for_a_time() {
    spoilt(
        |h| image_set(&h.image_set, &did(REGISTRY), now()),
        &[
            (Code::WrongRegistry, |h| h.image_set.registry = did("did:web:other.example")),
            (Code::LimitExceeded, |h| h.image_set.name.clear()),
            (Code::ContractPeriod, |h| h.image_set.valid_from = h.image_set.valid_to),
            (Code::ContractPeriod, |h| h.image_set.valid_to = now()),
            (Code::SchemaMismatch, |h| h.image_set.pcrs.retain(|index, _| index != "11")),
            (Code::SchemaMismatch, |h| h.image_set.pcrs.extend([("8".into(), Digest([0; 32]))])),
            (Code::SchemaMismatch, |h| h.image_set.pcrs.extend([("023".into(), Digest([0; 32]))])),
            (Code::SchemaMismatch, |h| h.image_set.profile = EvidenceKind::Snp),
            (Code::LimitExceeded, |h| h.image_set.measurements.clear()),
            (Code::SchemaMismatch, |h| h.image_set.measurements.push(Bytes(vec![1; 32]))),
            (Code::SchemaMismatch, |h| h.image_set.measurements.push(Bytes(vec![1; 48]))),
            (Code::SchemaMismatch, |h| h.image_set.id_key_digests.push(Bytes(vec![1; 20]))),
            (Code::LimitExceeded, |h| h.image_set.id_key_digests = vec![Bytes(vec![1; 48]); 65]),
        ],
    );
    let bare = ImageSet { profile: EvidenceKind::Snp, pcrs: Default::default(), ..House::new().image_set };
    assert_eq!(image_set(&bare, &did(REGISTRY), now()), Ok(()));
}

#[test]
fn jobs_have_a_form() {
    spoilt(
        |h| job(&h.job, &did(REGISTRY), now()),
        &[
            (Code::WrongRegistry, |h| h.job.registry = did("did:web:other.example")),
            (Code::JobExpired, |h| h.job.expires_at = now()),
            (Code::LimitExceeded, |h| h.job.contracts.clear()),
            (Code::JobMismatch, |h| again(&mut h.job.contracts)),
            (Code::LimitExceeded, |h| h.job.datasets.clear()),
            (Code::LimitExceeded, |h| h.job.datasets = vec![h.job.datasets[0].clone(); 17]),
            (Code::JobMismatch, |h| again(&mut h.job.datasets)),
            (Code::JobMismatch, |h| h.job.datasets[0].handle = "index".into()),
            (Code::PipelineInvalid, |h| h.job.datasets[0].handle = "a.b".into()),
            (Code::JobMismatch, |h| h.job.ccrp = h.job.tdc.clone()),
            (Code::LimitExceeded, |h| h.job.purpose = "x".repeat(65)),
            (Code::LimitExceeded, |h| h.job.stages = vec![h.job.stages[0].clone(); 9]),
            (Code::PipelineInvalid, |h| drop(h.job.stages.pop())),
        ],
    );
}

#[test]
fn offers_are_refused_for_one_thing_at_a_time() {
    spoilt(
        offered,
        &[
            (Code::WrongRegistry, |h| h.offers[0].registry = did("did:web:other.example")),
            (Code::OfferInvalid, |h| h.offers[0].version = 0),
            (Code::OfferInvalid, |h| h.offers[0].offer_version = 0),
            (Code::LimitExceeded, |h| h.offers[0].name = "x".repeat(201)),
            (Code::LimitExceeded, |h| h.offers[0].columns.clear()),
            (Code::OfferInvalid, |h| h.offers[0].columns[0].name = "a b".into()),
            (Code::OfferInvalid, |h| h.offers[0].columns[0].name = "icmrno".into()),
            (Code::OfferInvalid, |h| h.offers[0].columns[2].upper = None),
            (Code::OfferInvalid, |h| h.offers[0].columns[2].upper = Some(real("10.0"))),
            (Code::OfferInvalid, |h| {
                (h.offers[0].columns[0].lower, h.offers[0].columns[0].upper) = (Some(real("0")), Some(real("1")))
            }),
            (Code::OfferInvalid, |h| h.offers[0].objects.clear()),
            (Code::OfferInvalid, |h| h.offers[0].objects = vec![h.offers[0].objects[0].clone(); 2]),
            (Code::AddressRefused, |h| h.offers[0].objects[0].url = "http://blob.example/x".into()),
            (Code::OfferInvalid, |h| h.offers[0].objects[0].bytes = 0),
            (Code::LimitExceeded, |h| h.offers[0].objects[0].media_type.clear()),
            (Code::AddressRefused, |h| h.offers[0].key.kms = "http://kms.example".into()),
            (Code::KeyForm, |h| h.offers[0].key.kms_jwk = schemas::jwk::Jwk::x25519([1; 32])),
            (Code::OfferInvalid, |h| h.offers[0].public_rows = 0),
            (Code::PurposeNotAllowed, |h| h.offers[0].usage.purposes.clear()),
            (Code::PurposeNotAllowed, |h| h.offers[0].usage.purposes = vec!["SALE".into()]),
            (Code::PurposeNotAllowed, |h| again(&mut h.offers[0].usage.purposes)),
            (Code::SchemaMismatch, |h| h.offers[0].reference.regions = vec!["India".into()]),
            (Code::OfferInvalid, |h| h.offers[0].reference.regions = vec!["IN".into(), "IN".into()]),
            (Code::LimitExceeded, |h| h.offers[0].reference.regions = vec!["IN".into(); 33]),
            (Code::OfferInvalid, |h| h.offers[0].usage.allowed_columns.push("nowhere".into())),
            (Code::OfferInvalid, |h| h.offers[0].usage.target_columns.push("result".into())),
            (Code::OfferInvalid, |h| h.offers[0].usage.join_keys.clear()),
            (Code::OfferInvalid, |h| h.offers[1].usage.allowed_columns.clear()),
            (Code::PrivacyClauseMissing, |h| h.offers[0].privacy_cap.level = 3),
            (Code::EpsilonOutOfRange, |h| h.offers[0].privacy_cap.epsilon = real("0.0")),
            (Code::EpsilonOutOfRange, |h| h.offers[0].privacy_cap.epsilon = real("1000")),
            (Code::EpsilonOutOfRange, |h| h.offers[0].privacy_cap.delta = real("0")),
            (Code::DeltaTooLarge, |h| h.offers[0].privacy_cap.delta = real("0.01")),
            (Code::DeltaTooLarge, |h| {
                (h.offers[0].public_rows, h.offers[0].privacy_cap.delta) = (2000, real("0.0005"))
            }),
            (Code::LimitExceeded, |h| h.offers[0].payment = vec![h.offers[0].payment[0].clone(); 17]),
            (Code::OfferInvalid, |h| again(&mut h.offers[0].payment)),
            (Code::OfferInvalid, |h| h.offers[0].payment[0].term_id = "Run".into()),
            (Code::OfferInvalid, |h| h.offers[0].payment[0].amount_minor = minor(0)),
            (Code::OfferInvalid, |h| h.offers[0].payment[0].kind = TermKind::Free),
            (Code::OfferInvalid, |h| h.offers[0].payment[0].payees[0].share_ppm = 999_999),
            (Code::OfferInvalid, |h| h.offers[0].payment[0].payees.clear()),
            (Code::LimitExceeded, |h| h.offers[0].data_card.licence.clear()),
            (Code::SchemaMismatch, |h| h.offers[0].offered_at = at("2027-01-01T00:00:00Z")),
        ],
    );
}

/// The offer with statistics of two of its columns.
fn profiled(offer: &mut DatasetOffer) -> &mut Statistics {
    let made = json!({"schema": "dataset-profile.v1", "terms": {"epsilon": "0.5", "bins": 3}, "epsilon_per_column": "0.25",
        "charge": {"mechanism": "gaussian", "noise_multiplier": "1.999999"}, "ledger": "charged", "public_rows": 2119,
        "columns": [
        {"name": "ct", "type": "number", "lower": "10", "upper": "40", "counts": [700, -2, 1400], "missing": 3,
            "mean": "25.0000"},
        {"name": "result", "type": "text", "counts": [2110], "missing": 9}]});
    offer.statistics.insert(read(made))
}

#[test]
fn statistics_are_of_the_offers_own_columns_and_paid_for() {
    let mut house = House::new();
    profiled(&mut house.offers[0]);
    house.offers[0].reference.regions = vec!["IN".into(), "FR".into()];
    assert_eq!(offered(&house), Ok(()));
    let spoils: [Row<Statistics>; 21] = [
        (Code::OfferInvalid, |s| s.schema = "overlap-sketch.v1".into()),
        (Code::OfferInvalid, |s| s.terms.epsilon = real("0.009")),
        (Code::OfferInvalid, |s| s.terms.epsilon = real("10.1")),
        (Code::OfferInvalid, |s| s.terms.bins = 0),
        (Code::OfferInvalid, |s| s.terms.bins = 4),
        (Code::OfferInvalid, |s| s.charge = Mechanism::Gaussian { noise_multiplier: real("2.000001") }),
        (Code::OfferInvalid, |s| s.charge = Mechanism::Gaussian { noise_multiplier: real("0") }),
        (Code::OfferInvalid, |s| s.charge = Mechanism::WithoutDifferentialPrivacy { steps: 1 }),
        (Code::OfferInvalid, |s| s.ledger = Some(Charging::Uncharged)),
        (Code::OfferInvalid, |s| s.ledger = None),
        (Code::OfferInvalid, |s| s.epsilon_per_column = real("0.26")),
        (Code::OfferInvalid, |s| s.public_rows = 2118),
        (Code::OfferInvalid, |s| s.columns[0].name = "age".into()),
        (Code::OfferInvalid, |s| s.columns[0].column_type = ColumnType::Text),
        (Code::OfferInvalid, |s| s.columns[0].upper = Some(real("41"))),
        (Code::OfferInvalid, |s| s.columns[0].lower = None),
        (Code::OfferInvalid, |s| s.columns[0].counts.truncate(2)),
        (Code::OfferInvalid, |s| s.columns[1].counts.push(1)),
        (Code::OfferInvalid, |s| s.columns[1].mean = Some(real("1"))),
        (Code::OfferInvalid, |s| s.columns[1] = s.columns[0].clone()),
        (Code::LimitExceeded, |s| s.columns[0].counts = vec![0; 4_096]),
    ];
    for (at, (code, spoil)) in spoils.into_iter().enumerate() {
        let mut house = House::new();
        spoil(profiled(&mut house.offers[0]));
        expect(offered(&house), code, &format!("row {at}"));
    }
    // A number without public bounds has no histogram.
    let mut open = House::new();
    let histogram = json!({"name": "ct", "type": "number", "counts": [1, 2, 3], "missing": 0});
    profiled(&mut open.offers[0]).columns[0] = read(histogram);
    (open.offers[0].columns[2].lower, open.offers[0].columns[2].upper) = (None, None);
    expect(offered(&open), Code::OfferInvalid, "no bounds");
}

/// What the portal's form lets through is what the register takes, and the other way round.
#[test]
fn the_portals_terms_of_an_offer_are_judged_the_same_here() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../portal/tests/vectors/terms.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let judge = |row: &Value, write: &dyn Fn(&mut DatasetOffer) -> serde_json::Result<()>| {
        let mut house = House::new();
        let fits = write(&mut house.offers[0]).is_ok() && offered(&house).is_ok();
        assert_eq!(json!(fits), row["fits"], "{row}: {:?}", offered(&house));
    };
    let rows = |name: &str| vectors[name].as_array().unwrap().clone();
    for row in rows("caps") {
        judge(&row, &|offer| {
            offer.privacy_cap.epsilon = serde_json::from_value(row["epsilon"].clone())?;
            offer.privacy_cap.delta = serde_json::from_value(row["delta"].clone())?;
            offer.public_rows = serde_json::from_value(row["people"].clone())?;
            Ok(())
        });
    }
    for row in rows("prices") {
        judge(&row, &|offer| {
            offer.payment = serde_json::from_value(row["payment"].clone())?;
            Ok(())
        });
    }
    for row in rows("regions") {
        judge(&row, &|offer| {
            offer.reference.regions = serde_json::from_value(row["regions"].clone())?;
            Ok(())
        });
    }
}

#[test]
fn contracts_are_refused_for_one_thing_at_a_time() {
    spoilt(
        entering,
        &[
            (Code::WrongRegistry, |h| h.contracts[0].registry = did("did:web:other.example")),
            (Code::SchemaMismatch, |h| h.contracts[0].version = 0),
            (Code::SchemaMismatch, |h| h.contracts[0].version = 2),
            (Code::SchemaMismatch, |h| h.contracts[0].supersedes = Some(Digest([0; 32]))),
            (Code::SchemaMismatch, |h| h.contracts[0].template = "Training v1".into()),
            (Code::SchemaMismatch, |h| h.contracts[0].jurisdiction = "in".into()),
            (Code::LimitExceeded, |h| h.contracts[0].obligations.risk_statement = "x".repeat(4001)),
            (Code::ContractIncomplete, |h| h.contracts[0].parties.retain(|p| p.role != Kind::Tdp)),
            (Code::ContractIncomplete, |h| h.contracts[0].parties.retain(|p| p.role != Kind::Tdc)),
            (Code::ContractIncomplete, |h| h.contracts[0].parties.retain(|p| p.role != Kind::Ccrp)),
            (Code::ContractIncomplete, |h| h.contracts[0].parties[0].role = Kind::Ccrp),
            (Code::ContractIncomplete, |h| h.contracts[0].parties[1].role = Kind::Tdc),
            (Code::ContractIncomplete, |h| h.contracts[0].parties[0].role = Kind::Psp),
            (Code::ContractIncomplete, |h| again(&mut h.contracts[0].parties)),
            (Code::ContractIncomplete, |h| drop(h.contracts[0].parties.remove(2))),
            (Code::LimitExceeded, |h| h.contracts[0].parties = vec![h.contracts[0].parties[0].clone(); 65]),
            (Code::PurposeNotAllowed, |h| h.contracts[0].purpose = "SALE".into()),
            (Code::ContractPeriod, |h| h.contracts[0].effective_from = h.contracts[0].expires_at),
            (Code::ContractPeriod, |h| {
                h.contracts[0].effective_from = at("2025-01-01T00:00:00Z");
                h.contracts[0].expires_at = now();
            }),
            (Code::ContractIncomplete, |h| h.contracts[0].datasets.clear()),
            (Code::SchemaMismatch, |h| again(&mut h.contracts[0].datasets)),
            (Code::DatasetUnknown, |h| h.offers.clear()),
            (Code::PurposeNotAllowed, |h| h.offers[1].usage.purposes.clear()),
            (Code::PrivacyClauseMissing, |h| h.contracts[0].datasets[0].privacy.level = 3),
            (Code::EpsilonOutOfRange, |h| h.contracts[0].datasets[0].privacy.epsilon = real("0")),
            (Code::EpsilonOutOfRange, |h| h.contracts[0].datasets[0].privacy.epsilon = real("3.0000000000000000001")),
            (Code::EpsilonOutOfRange, |h| h.contracts[0].datasets[0].privacy.delta = real("0.00")),
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[0].privacy.delta = real("0.01")),
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[0].privacy.delta = real("0.00005")),
            (Code::ContractIncomplete, |h| h.contracts[0].compute.image_sets.clear()),
            (Code::ContractIncomplete, |h| h.contracts[0].compute.evidence.clear()),
            (Code::SchemaMismatch, |h| h.contracts[0].compute.evidence.push(EvidenceKind::Snp)),
            (Code::SchemaMismatch, |h| h.contracts[0].compute.image_sets.push(read(id("img", 1).into()))),
            (Code::SchemaMismatch, |h| h.contracts[0].compute.platform_level = "none".into()),
            (Code::LimitExceeded, |h| h.contracts[0].compute.rooms_max = Some(0)),
            (Code::LimitExceeded, |h| h.contracts[0].compute.rooms_max = Some(17)),
            (Code::AssuranceTooLow, |h| h.contracts[0].compute.evidence = vec![EvidenceKind::Software]),
            (Code::SchemaMismatch, |h| h.contracts[0].outputs.kinds.clear()),
            (Code::SchemaMismatch, |h| h.contracts[0].outputs.kinds.push("table".into())),
            (Code::SchemaMismatch, |h| h.contracts[0].outputs.release = "plain".into()),
            (Code::ContractIncomplete, |h| h.contracts[0].outputs.recipient = did(CCRP)),
            (Code::SchemaMismatch, |h| h.contracts[0].revocation.by.push(Kind::Ccrp)),
            (Code::SchemaMismatch, |h| h.contracts[0].revocation.by.push(Kind::Tdp)),
            (Code::LimitExceeded, |h| h.contracts[0].revocation.notice_seconds = 91 * 86_400),
        ],
    );
}

#[test]
fn every_term_of_a_dataset_is_the_offers_or_within_it() {
    let judge = |h: &House| terms::dataset(&h.contracts[0].datasets[0], &h.offers[0]);
    spoilt(
        judge,
        &[
            (Code::TermsNotOffer, |h| h.offers[0].dataset_id = read(id("dst", 9).into())),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].version = 2),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].family = read(id("fam", 9).into())),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].provider = did(&provider(1))),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].manifest_root = Digest([9; 32])),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].key.kms = "https://kms9.example".into()),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].key.key_id = read(id("key", 9).into())),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].key.min_assurance = Assurance::Software),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].public_rows = 2000),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].privacy.scope = Scope::Global),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].privacy.level = 2),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].allowed_columns.push("result".into())),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].join_keys.push("ct".into())),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].target_columns.push("ct".into())),
            (Code::SchemaMismatch, |h| h.contracts[0].datasets[0].allowed_columns.push("ct".into())),
            (Code::EpsilonOutOfRange, |h| h.contracts[0].datasets[0].privacy.epsilon = real("3.1")),
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[0].privacy.delta = real("0.00005")),
        ],
    );
    let mut narrower = House::new();
    narrower.contracts[0].datasets[0].allowed_columns.pop();
    assert_eq!(judge(&narrower), Ok(()));
}

#[test]
fn prices_are_the_offers_for_everyone() {
    spoilt(
        entering,
        &[
            (Code::TermsNotOffer, |h| drop(h.contracts[0].payment.remove(1))),
            (Code::TermsNotOffer, |h| h.contracts[0].payment[0].amount_minor = minor(400_000)),
            (Code::TermsNotOffer, |h| h.contracts[0].payment[0].currency = Currency::parse("EUR").unwrap()),
            (Code::TermsNotOffer, |h| h.contracts[0].payment[0].payer = did(&provider(0))),
            (Code::TermsNotOffer, |h| h.contracts[0].payment[0].payees[0].did = did(&provider(1))),
            (Code::TermsNotOffer, |h| {
                (h.contracts[0].payment[0].kind, h.contracts[0].payment[0].amount_minor) = (TermKind::Free, minor(0))
            }),
            (Code::TermsNotOffer, |h| {
                let mut twice = h.contracts[0].payment[0].clone();
                twice.term_id = "again".into();
                h.contracts[0].payment.push(twice);
            }),
            (Code::SchemaMismatch, |h| h.contracts[0].payment[1].term_id = "p0".into()),
            (Code::SchemaMismatch, |h| h.contracts[0].payment[1].term_id = "x".repeat(33)),
            (Code::SchemaMismatch, |h| h.contracts[0].payment[0].payees[0].share_ppm = 1),
            (Code::ContractIncomplete, |h| h.contracts[0].payment[0].payees[0].did = did("did:web:stranger.example")),
            (Code::ContractIncomplete, |h| h.contracts[0].payment[0].payees[0].did = h.job.tdc.clone()),
        ],
    );
}

#[test]
fn differences_from_the_offer_are_named() {
    let sentence = |spoil: fn(&mut House)| {
        let mut house = House::new();
        spoil(&mut house);
        entering(&house).unwrap_err().sentence
    };
    let cheaper = sentence(|h| h.contracts[0].payment[0].amount_minor = minor(400_000));
    assert!(cheaper.contains("the amount is 400000, the offer's 500000"), "{cheaper}");
    let dollars = sentence(|h| h.contracts[0].payment[0].currency = Currency::parse("USD").unwrap());
    assert!(dollars.contains("the currency is USD, the offer's INR"), "{dollars}");
    let missing = sentence(|h| drop(h.contracts[0].payment.remove(2)));
    assert!(missing.contains("run INR 500000") && missing.contains(&id("dst", 2)), "{missing}");
}

#[test]
fn the_clean_room_provider_may_be_paid_besides() {
    let mut house = House::new();
    let mut fee = house.contracts[0].payment[0].clone();
    (fee.term_id, fee.payees[0].did, fee.amount_minor) = ("room".into(), did(CCRP), minor(20_000));
    house.contracts[0].payment.push(fee);
    assert_eq!(entering(&house), Ok(()));
    // Two datasets of one provider at one price need two terms.
    let mut house = House::new();
    house.offers[1].provider = did(&provider(0));
    house.offers[1].payment = house.offers[0].payment.clone();
    house.contracts[0].datasets[1].provider = did(&provider(0));
    house.contracts[0].payment[1].payees = house.contracts[0].payment[0].payees.clone();
    house.link();
    assert_eq!(entering(&house), Ok(()));
    house.contracts[0].payment.remove(1);
    expect(entering(&house), Code::TermsNotOffer, "one term for two prices");
}
