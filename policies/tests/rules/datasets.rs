//! Datasets in the log: states, families, samples, data schemas.

use policies::{Code, R};
use schemas::contract::ContractState;
use schemas::dataset::{DatasetAct, DatasetActKind, DatasetOffer, DatasetState, Sample, SampleKind};
use schemas::digest::Digest;
use schemas::event::Body;
use schemas::id::DatasetId;
use schemas::rules::DataSchema;
use serde_json::json;

use crate::contract_scene::refer;
use crate::fixtures::{CCRP, House, REGISTRY, TDC, did, envelope, expect, id, provider, read};
use crate::log::{Log, SRO, by, kid};

fn first() -> DatasetOffer {
    House::new().offers.remove(0)
}

fn registered(offer: &DatasetOffer) -> Body {
    Body::DatasetRegistered { offer: by(offer, &[offer.provider.as_str()]) }
}

fn act(log: &Log, act: DatasetActKind) -> DatasetAct {
    let offer = first();
    DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: did(REGISTRY),
        dataset_id: offer.dataset_id,
        version: 1,
        act,
        reason: "Consent is being renewed".into(),
        at: log.now,
    }
}

fn changed(log: &Log, kind: DatasetActKind, signers: &[&str]) -> Body {
    Body::DatasetChanged { act: by(&act(log, kind), signers) }
}

fn state(log: &Log, version: u32) -> Option<DatasetState> {
    log.state.dataset_state(&first().dataset_id, version)
}

fn proposed() -> Body {
    Body::ContractProposed { contract: by(&House::new().contracts[0], &[TDC]) }
}

/// The next version of the first dataset: another sealed object, the same people.
fn second_version() -> DatasetOffer {
    let mut offer = first();
    offer.version = 2;
    offer.manifest_root = Digest([77; 32]);
    offer.objects[0].url = "https://blob.example/second.depa".into();
    offer
}

#[test]
fn a_provider_suspends_resumes_and_withdraws() {
    use DatasetActKind::{Resume, Suspend, Withdraw};
    let mut log = Log::furnished();
    let tdp = provider(0);
    assert_eq!(state(&log, 1), Some(DatasetState::Registered));
    log.refused(changed(&log, Resume, &[&tdp]), Code::StateTransition, "nothing to resume");
    log.enter(changed(&log, Suspend, &[&tdp])).unwrap();
    assert_eq!(state(&log, 1), Some(DatasetState::Suspended));
    log.refused(changed(&log, Suspend, &[&tdp]), Code::StateTransition, "suspended already");
    log.refused(proposed(), Code::DatasetNotAvailable, "no new contract");
    let mut terms = first();
    terms.offer_version = 2;
    log.refused(registered(&terms), Code::DatasetNotAvailable, "no new terms");
    log.enter(changed(&log, Resume, &[&tdp])).unwrap();
    log.enter(changed(&log, Withdraw, &[&tdp])).unwrap();
    assert_eq!(state(&log, 1), Some(DatasetState::Withdrawn));
    log.refused(proposed(), Code::DatasetNotAvailable, "withdrawn");
    log.refused(changed(&log, Withdraw, &[&tdp]), Code::StateTransition, "again");
    log.refused(changed(&log, Resume, &[&tdp]), Code::StateTransition, "for good");
    log.enter(registered(&second_version())).unwrap();
    assert_eq!((state(&log, 1), state(&log, 2)), (Some(DatasetState::Withdrawn), Some(DatasetState::Registered)));
    assert_eq!(state(&log, 3), None);
}

#[test]
fn what_the_sro_suspended_its_provider_does_not_resume() {
    use DatasetActKind::{Resume, Suspend};
    let mut log = Log::furnished();
    let tdp = provider(0);
    log.enter(changed(&log, Suspend, &[&tdp])).unwrap();
    log.enter(changed(&log, Suspend, &SRO[..2])).unwrap();
    log.refused(changed(&log, Resume, &[&tdp]), Code::Forbidden, "the SRO's to lift");
    log.refused(changed(&log, Resume, &SRO[..1]), Code::TwoPeopleNeeded, "one person");
    log.refused(changed(&log, Resume, &[TDC]), Code::SignerNotParty, "somebody else");
    let old = changed(&log, Resume, &SRO[..2]);
    log.enter(changed(&log, Resume, &SRO[..2])).unwrap();
    log.enter(changed(&log, Suspend, &SRO[..2])).unwrap();
    log.refused(old, Code::StateTransition, "an old act comes back");
    let mut unknown = act(&log, Suspend);
    unknown.version = 9;
    log.refused(Body::DatasetChanged { act: by(&unknown, &[&tdp]) }, Code::DatasetUnknown, "version");
}

#[test]
fn acts_of_one_second_all_enter_and_an_old_one_never_comes_back() {
    use DatasetActKind::{Resume, Suspend};
    let mut log = Log::furnished();
    let (tdp, second) = (provider(0), log.now);
    let said = |log: &Log, kind, reason: &str, at| {
        let act = DatasetAct { reason: reason.into(), at, ..act(log, kind) };
        Body::DatasetChanged { act: by(&act, &[&tdp]) }
    };
    let (stop, lift) = (said(&log, Suspend, "Inquiry", second), said(&log, Resume, "Settled", second));
    log.enter(stop.clone()).unwrap();
    log.enter(lift.clone()).unwrap();
    log.refused(stop, Code::StateTransition, "the first suspension again");
    let again = said(&log, Suspend, "Another inquiry", second);
    log.enter(again).unwrap();
    log.refused(lift, Code::StateTransition, "the first resumption again");
    let older = said(&log, Resume, "Settled", second.plus_seconds(-1));
    log.refused(older, Code::StateTransition, "written before what stands");
    assert_eq!(state(&log, 1), Some(DatasetState::Suspended));
}

#[test]
fn a_suspended_dataset_is_in_no_run() {
    let mut log = Log::furnished();
    log.contract();
    log.enter(changed(&log, DatasetActKind::Suspend, &[&provider(0)])).unwrap();
    let job = by(&House::new().job, &[TDC]);
    log.refused(Body::RunOrdered { job }, Code::DatasetNotAvailable, "ordered");
    log.enter(changed(&log, DatasetActKind::Resume, &[&provider(0)])).unwrap();
    log.job_ordered();
    assert!(log.state.require_datasets(&House::new().job).is_ok());
    log.enter(changed(&log, DatasetActKind::Suspend, &SRO[..2])).unwrap();
    expect(log.state.require_datasets(&House::new().job), Code::DatasetNotAvailable, "at check-in");
}

#[test]
fn no_contract_comes_into_force_about_a_dataset_that_is_out_of_use() {
    use DatasetActKind::{Resume, Suspend, Withdraw};
    let (tdp, contract) = (provider(0), House::new().contracts.remove(0));
    let reference = refer(&contract);
    for lifted in [Some(Resume), None] {
        let mut log = Log::furnished();
        log.enter(proposed()).unwrap();
        for holder in [provider(0), provider(1), provider(2)] {
            log.sign(&reference, &holder).unwrap();
        }
        log.enter(changed(&log, Suspend, &[&tdp])).unwrap();
        expect(log.sign(&reference, CCRP), Code::DatasetNotAvailable, "the last signature while it is suspended");
        log.enter(changed(&log, lifted.unwrap_or(Withdraw), &[&tdp])).unwrap();
        if lifted.is_some() {
            log.sign(&reference, CCRP).unwrap();
        } else {
            expect(log.sign(&reference, CCRP), Code::DatasetNotAvailable, "once it is withdrawn");
            // What was let in before there was this rule is read back: the log stands.
            let signature = envelope(&contract, kid(CCRP)).signatures.remove(0);
            let last = Body::ContractSigned { contract: reference.clone(), signature };
            let executed = log.state.follow_up(&last).unwrap().unwrap();
            log.read_back(last).unwrap();
            log.read_back(executed).unwrap();
        }
        let state = log.state.contract_state(&reference.sha256, log.now);
        assert_eq!(state, Some(ContractState::Active));
    }
}

#[test]
fn versions_inherit_the_family_and_families_have_one_owner() {
    let mut log = Log::furnished();
    let mut escaped = second_version();
    escaped.family = read(json!(id("fam", 99)));
    log.refused(registered(&escaped), Code::OfferInvalid, "another family for the same people");
    log.enter(registered(&second_version())).unwrap();
    assert_eq!((state(&log, 1), state(&log, 2)), (Some(DatasetState::Deprecated), Some(DatasetState::Registered)));
    log.enter(proposed()).unwrap();
    let mut sibling = second_version();
    sibling.dataset_id = read(json!(id("dst", 50)));
    sibling.version = 1;
    let mut foreign = sibling.clone();
    foreign.provider = did(&provider(1));
    foreign.payment[0].payees[0].did = did(&provider(1));
    log.refused(registered(&foreign), Code::OfferInvalid, "another provider's family");
    log.enter(registered(&sibling)).unwrap();
}

fn with_sample(spoil: impl FnOnce(&mut DatasetOffer, &mut Sample)) -> DatasetOffer {
    let mut offer = second_version();
    let mut sample = Sample {
        url: "https://blob.example/sample.csv".into(),
        sha256: Digest([90; 32]),
        bytes: 100,
        media_type: "text/csv".into(),
        kind: SampleKind::Synthetic,
    };
    spoil(&mut offer, &mut sample);
    offer.reference.sample = Some(sample);
    offer
}

#[test]
fn a_sample_is_not_the_data() {
    let mut log = Log::furnished();
    let other = House::new().offers.remove(1);
    let enter = |log: &mut Log, offer: &DatasetOffer| -> R<()> { log.enter(registered(offer)) };
    for (code, what, offer) in [
        (Code::SampleIsData, "its own digest", with_sample(|o, s| s.sha256 = o.manifest_root)),
        (Code::SampleIsData, "its own address", with_sample(|o, s| s.url = o.objects[0].url.clone())),
        (Code::SampleIsData, "digest of an older version", with_sample(|_, s| s.sha256 = first().manifest_root)),
        (Code::SampleIsData, "another's digest", with_sample(|_, s| s.sha256 = other.manifest_root)),
        (Code::SampleIsData, "another's address", with_sample(|_, s| s.url = other.objects[0].url.clone())),
        (Code::OfferInvalid, "real rows without consent", with_sample(|_, s| s.kind = SampleKind::Consented)),
        (Code::AddressRefused, "a file", with_sample(|_, s| s.url = "file:///sample.csv".into())),
        (Code::OfferInvalid, "empty", with_sample(|_, s| s.bytes = 0)),
    ] {
        expect(enter(&mut log, &offer), code, what);
    }
    enter(&mut log, &with_sample(|_, _| {})).unwrap();
    let mut sealed_later = second_version();
    sealed_later.version = 3;
    sealed_later.manifest_root = Digest([90; 32]);
    expect(enter(&mut log, &sealed_later), Code::SampleIsData, "a sample of before");
    let consented = with_sample(|o, s| {
        o.version = 4;
        o.manifest_root = Digest([78; 32]);
        s.kind = SampleKind::Consented;
        o.reference.consent_basis_sha256 = Some(Digest([5; 32]));
    });
    enter(&mut log, &consented).unwrap();
}

#[test]
fn references_keep_their_limits() {
    let mut log = Log::furnished();
    type Spoil = fn(&mut DatasetOffer);
    let rows: [(Code, Spoil); 7] = [
        (Code::LimitExceeded, |o| o.reference.creators.clear()),
        (Code::LimitExceeded, |o| o.reference.creators = (0..17).map(|n| n.to_string()).collect()),
        (Code::OfferInvalid, |o| o.reference.creators = vec!["a".into(), "a".into()]),
        (Code::LimitExceeded, |o| o.reference.keywords = (0..17).map(|n| n.to_string()).collect()),
        (Code::LimitExceeded, |o| o.reference.keywords = vec!["k".repeat(41)]),
        (Code::OfferInvalid, |o| o.reference.keywords = vec!["a".into(), "a".into()]),
        (Code::SchemaMismatch, |o| o.reference.data_schema = "no uri".into()),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut offer = second_version();
        spoil(&mut offer);
        expect(log.enter(registered(&offer)), code, &format!("row {at}"));
    }
    log.enter(registered(&second_version())).unwrap();
}

#[test]
fn an_offer_fits_the_data_schema_that_it_names() {
    let mut log = Log::furnished();
    let uri = "https://sro.example/schemas/covid-test";
    let schema: DataSchema = read(json!({"schema": "data-schema.v1", "registry": REGISTRY, "uri": uri,
        "title": "Covid tests", "at": "2026-11-01T00:00:00Z", "columns": [
            {"name": "mobno", "type": "text", "lower": null, "upper": null},
            {"name": "ct", "type": "number", "lower": "0", "upper": "40"}]}));
    let follows = |spoil: fn(&mut DatasetOffer)| {
        let mut offer = second_version();
        offer.reference.data_schema = "https://sro.example/schemas/covid-test".into();
        spoil(&mut offer);
        registered(&offer)
    };
    log.refused(follows(|_| {}), Code::DataSchemaUnknown, "not approved yet");
    log.enter(Body::DataSchemaApproved { data_schema: by(&schema, &SRO[..2]) }).unwrap();
    assert_eq!(log.state.data_schema(uri).unwrap().data_schema, schema);
    log.refused(follows(|o| o.columns[2].upper = read(json!("41"))), Code::DataSchemaMismatch, "wider bounds");
    log.refused(
        follows(|o| {
            o.columns[2].upper = None;
            o.columns[2].lower = None;
        }),
        Code::DataSchemaMismatch,
        "no bounds",
    );
    log.refused(
        follows(|o| {
            o.columns[2].name = "other".into();
            o.usage.allowed_columns.retain(|c| c != "ct");
        }),
        Code::DataSchemaMismatch,
        "a missing column",
    );
    log.enter(follows(|_| {})).unwrap();
}

#[test]
fn an_unknown_dataset_has_no_state() {
    let unknown: DatasetId = read(json!(id("dst", 77)));
    expect(Log::furnished().state.require_dataset_available(&unknown, 1), Code::DatasetUnknown, "unknown");
}
