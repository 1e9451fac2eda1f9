//! Renewals of privacy budgets: who may, by how much, and what a cap is after them.

use policies::Code;
use policies::lifecycle::State;
use schemas::dataset::{DatasetAct, DatasetActKind, DatasetOffer};
use schemas::digest::Digest;
use schemas::event::Body;
use schemas::log::Receipt;
use schemas::privacy::Scope;
use schemas::renewal::BudgetRenewal;
use schemas::{Entered, Signed};

use crate::fixtures::{CCRP, House, REGISTRY, TDC, did, digest, expect, id, provider, read, real, receipt};
use crate::keys::{changed, compromise, event};
use crate::log::{Log, SRO, by, kid, stranger};

/// The first offer on newer terms: ε 3.0 for each consumer, renewable to 5.0.
fn renewable() -> DatasetOffer {
    let mut offer = House::new().offers.remove(0);
    offer.offer_version = 2;
    offer.renewable_to = Some(real("5.0"));
    offer
}

fn renewal(offer: &DatasetOffer, number: u32) -> BudgetRenewal {
    BudgetRenewal {
        schema: "budget-renewal.v1".into(),
        registry: did(REGISTRY),
        provider: offer.provider.clone(),
        family: offer.family.clone(),
        dataset_id: offer.dataset_id.clone(),
        offer_sha256: digest(offer),
        tdc: Some(did(TDC)),
        number,
        epsilon: real("1.0"),
        reason: "The second year of the study".into(),
        at: read(serde_json::json!("2026-11-01T00:00:00Z")),
    }
}

fn entered(renewal: &BudgetRenewal) -> Body {
    Body::BudgetRenewed { renewal: by(renewal, &[renewal.provider.as_str()]) }
}

fn log() -> Log {
    let mut log = Log::furnished();
    let offer = renewable();
    log.enter(Body::DatasetRegistered { offer: by(&offer, &[offer.provider.as_str()]) }).unwrap();
    log
}

#[test]
fn only_a_budget_that_machines_keep_is_renewable_and_the_total_is_said_beforehand() {
    let mut log = Log::furnished();
    let refused = |log: &mut Log, spoil: fn(&mut DatasetOffer), code, what| {
        let mut offer = renewable();
        spoil(&mut offer);
        log.refused(Body::DatasetRegistered { offer: by(&offer, &[offer.provider.as_str()]) }, code, what);
    };
    refused(&mut log, |o| o.privacy_cap.level = 0, Code::BudgetNotRenewable, "by law alone");
    refused(&mut log, |o| o.privacy_cap.level = 2, Code::BudgetNotRenewable, "the model stays inside");
    refused(&mut log, |o| o.renewable_to = Some(real("3.0")), Code::EpsilonOutOfRange, "not above the cap");
    refused(&mut log, |o| o.renewable_to = Some(real("1000")), Code::EpsilonOutOfRange, "beyond any clause");
    refused(
        &mut log,
        |o| {
            o.privacy_cap.scope = Scope::Global;
            o.renewable_to = Some(real("1000.5"));
        },
        Code::EpsilonOutOfRange,
        "for all consumers together",
    );
}

#[test]
fn renewals_are_the_providers_numbered_and_end_at_the_offers_total() {
    let (mut log, offer) = (log(), renewable());
    log.refused(entered(&renewal(&offer, 2)), Code::BudgetRenewalInvalid, "the first has the number 1");
    log.enter(entered(&renewal(&offer, 1))).unwrap();
    log.refused(entered(&renewal(&offer, 1)), Code::BudgetRenewalExists, "the same once more");
    let mut resent = renewal(&offer, 1);
    resent.reason = "Sent again by mistake".into();
    log.refused(entered(&resent), Code::BudgetRenewalExists, "the same number in other words");
    log.enter(entered(&renewal(&offer, 2))).unwrap();
    let mut least = renewal(&offer, 3);
    least.epsilon = real("0.000001");
    log.refused(entered(&least), Code::BudgetRenewalTooLarge, "the total is reached");
    let all: Vec<u32> = log.state.renewals_of(&digest(&offer)).map(|row| row.renewal.number).collect();
    assert_eq!(all, [1, 2]);
    // Kept with the state, and read back equal.
    let rows: Vec<_> = log.state.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(State::from_rows(rows).unwrap(), log.state);
    // Each consumer has a ledger of its own.
    let second = "did:web:second.example";
    log.admit(second, schemas::party::Kind::Tdc);
    let mut other = renewal(&offer, 1);
    other.tdc = Some(did(second));
    log.enter(entered(&other)).unwrap();
}

#[test]
fn a_renewal_of_anything_else_does_not_enter() {
    let (mut log, offer) = (log(), renewable());
    type Spoil = fn(&mut BudgetRenewal);
    let spoilt: [(Code, Spoil, &str); 11] = [
        (Code::WrongRegistry, |r| r.registry = did("did:web:other.example"), "registry"),
        (Code::BudgetRenewalInvalid, |r| r.family = read(serde_json::json!(id("fam", 2))), "family"),
        (Code::BudgetRenewalInvalid, |r| r.dataset_id = read(serde_json::json!(id("dst", 2))), "dataset"),
        (Code::BudgetRenewalInvalid, |r| r.provider = did(&provider(1)), "another provider's offer"),
        (Code::BudgetRenewalInvalid, |r| r.tdc = None, "the ledger of all, where each has its own"),
        (Code::BudgetRenewalInvalid, |r| r.number = 0, "number"),
        (Code::DatasetUnknown, |r| r.offer_sha256 = Digest([9; 32]), "an offer that nobody registered"),
        (Code::BudgetNotRenewable, |r| r.offer_sha256 = digest(&House::new().offers[0]), "the older terms"),
        (Code::EpsilonOutOfRange, |r| r.epsilon = real("0"), "nothing"),
        (Code::ParticipantNotVerified, |r| r.tdc = Some(stranger()), "a consumer whom nobody knows"),
        (Code::SchemaMismatch, |r| r.at = read(serde_json::json!("2027-11-01T00:00:00Z")), "written in the future"),
    ];
    for (code, spoil, what) in spoilt {
        let mut document = renewal(&offer, 1);
        spoil(&mut document);
        log.refused(entered(&document), code, what);
    }
    let document = renewal(&offer, 1);
    for (signers, code) in [(vec![TDC], Code::SignerNotParty), (vec![CCRP], Code::SignerNotParty)] {
        log.refused(Body::BudgetRenewed { renewal: by(&document, &signers) }, code, signers[0]);
    }
    let act = DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: did(REGISTRY),
        dataset_id: offer.dataset_id.clone(),
        version: 1,
        act: DatasetActKind::Suspend,
        reason: "Inquiry".into(),
        at: log.now,
    };
    log.enter(Body::DatasetChanged { act: by(&act, &[&provider(0)]) }).unwrap();
    log.refused(entered(&document), Code::DatasetNotAvailable, "suspended");
}

#[test]
fn a_cap_is_the_offers_with_each_of_its_renewals_once() {
    let offer = renewable();
    let sha256 = digest(&offer);
    let cap = |renewals: &[&BudgetRenewal]| {
        let each = renewals.iter().map(|r| (digest(*r), *r));
        policies::renewal::cap(&offer, &sha256, &did(TDC), each)
    };
    let (one, two, three) = (renewal(&offer, 1), renewal(&offer, 2), renewal(&offer, 3));
    assert_eq!(cap(&[]).unwrap(), offer.privacy_cap);
    assert_eq!(cap(&[&one, &one]).unwrap().epsilon, real("4"));
    let both = cap(&[&two, &one, &two]).unwrap();
    assert_eq!((&both.epsilon, &both.delta), (&real("5"), &offer.privacy_cap.delta));
    expect(cap(&[&one, &two, &three]), Code::BudgetRenewalTooLarge, "beyond the total");
    let resent = BudgetRenewal { reason: "Sent again".into(), ..one.clone() };
    expect(cap(&[&one, &resent]), Code::BudgetRenewalInvalid, "two with one number");
    let others = BudgetRenewal { tdc: Some(did(CCRP)), ..one.clone() };
    assert_eq!(cap(&[&others]).unwrap(), offer.privacy_cap, "another consumer's");
    let elsewhere = BudgetRenewal { offer_sha256: Digest([9; 32]), ..one };
    assert_eq!(cap(&[&elsewhere]).unwrap(), offer.privacy_cap, "another offer's");
}

#[test]
fn a_contract_grants_up_to_the_total_and_no_more() {
    let mut house = House::new();
    house.offers[0].renewable_to = Some(real("5.0"));
    let grants = |house: &mut House, epsilon: &str| {
        house.contracts[0].datasets[0].privacy.epsilon = real(epsilon);
        house.link();
        house.judge(|facts| policies::gate::job(facts, &house.statuses(), crate::fixtures::now()))
    };
    grants(&mut house, "5.0").unwrap();
    expect(grants(&mut house, "5.000001"), Code::EpsilonOutOfRange, "beyond the total");
    house.offers[0].renewable_to = None;
    expect(grants(&mut house, "3.5"), Code::EpsilonOutOfRange, "beyond the cap, where nothing is renewed");
}

#[test]
fn a_ledger_takes_as_many_renewals_as_a_bundle_can_bring() {
    let (mut log, offer) = (log(), renewable());
    let small = |number| BudgetRenewal { epsilon: real("0.01"), ..renewal(&offer, number) };
    for number in 1..=16 {
        log.enter(entered(&small(number))).unwrap();
    }
    log.refused(entered(&small(17)), Code::LimitExceeded, "one too many");
    log.refused(entered(&small(16)), Code::BudgetRenewalExists, "known is known");
}

/// The thief of a provider's key renewed its budget: once the theft is reported, that renewal raises nothing, in no
/// bundle, and the provider's own next one goes on from its number.
#[test]
fn a_renewal_by_a_stolen_key_counts_no_more_once_the_theft_is_reported() {
    let (mut log, offer) = (log(), renewable());
    let (tdp, sha256) = (provider(0), digest(&offer));
    log.enter(entered(&renewal(&offer, 1))).unwrap();
    let stolen = log.state.size();
    let theirs = renewal(&offer, 2);
    log.enter(entered(&theirs)).unwrap();
    let numbers = |log: &Log| log.state.standing_renewals_of(&sha256).map(|row| row.renewal.number).collect::<Vec<_>>();
    assert_eq!(numbers(&log), [1, 2]);
    let shown = |index, renewal: &BudgetRenewal| {
        let signed = Signed::vouched_by_signing(renewal.clone(), by(renewal, &[&tdp]), vec![kid(&tdp)]);
        [Entered::vouched_by_signing(signed, Receipt { index, ..receipt() })]
    };
    log.state.require_renewals(&shown(stolen, &theirs)).unwrap();

    let report = event(&log, &tdp, compromise(&tdp, stolen));
    log.enter(changed(&log, &report, &SRO[..2])).unwrap();
    assert_eq!(numbers(&log), [1]);
    expect(log.state.require_renewals(&shown(stolen, &theirs)), Code::KeyNotActive, "in an old bundle");
    log.state.require_renewals(&shown(stolen - 1, &renewal(&offer, 1))).unwrap();
    let all: Vec<u32> = log.state.renewals_of(&sha256).map(|row| row.renewal.number).collect();
    assert_eq!(all, [1, 2], "what is in the log stays there");

    // Who recounts the log: a release of before the report may have counted the stolen renewal, and what the provider
    // renews after it passes the total together with what fell, which is no fault.
    let epsilons = |index, offer: &DatasetOffer| {
        let caps = log.state.caps_at(index, offer, &sha256, &did(TDC));
        caps.map(|cap| cap.map(|clause| clause.epsilon.to_string()).map_err(|refusal| refusal.code))
    };
    assert_eq!(epsilons(stolen, &offer), [Ok("4".to_owned()), Ok("4".to_owned())], "before it was entered");
    assert_eq!(epsilons(stolen + 1, &offer), [Ok("4".to_owned()), Ok("5".to_owned())], "after");
    let lower = DatasetOffer { renewable_to: Some(real("4.5")), ..offer.clone() };
    assert_eq!(epsilons(stolen + 1, &lower), [Ok("4".to_owned()), Err(Code::BudgetRenewalTooLarge)]);
}

#[test]
fn a_renewal_that_fell_takes_nothing_of_the_total() {
    let offer = renewable();
    let (one, two, three) = (renewal(&offer, 1), renewal(&offer, 2), renewal(&offer, 3));
    policies::renewal::next(&three, &offer, 2, &[&one]).unwrap();
    policies::renewal::next(&renewal(&offer, 21), &offer, 20, &[&one]).unwrap();
    expect(policies::renewal::next(&three, &offer, 2, &[&one, &two]), Code::BudgetRenewalTooLarge, "both stand");
    expect(policies::renewal::next(&two, &offer, 2, &[&one]), Code::BudgetRenewalExists, "its number is taken");
    expect(policies::renewal::next(&three, &offer, 1, &[&one]), Code::BudgetRenewalInvalid, "a gap");
}
