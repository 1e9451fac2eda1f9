//! The state table of contracts: every state against everything that can be done.

use policies::Code;
use schemas::contract::{Contract, ContractState};
use schemas::event::Body;
use schemas::rules::Template;
use serde_json::json;

use crate::contract_scene::{Act, Scene, later, refer, stored};
use crate::fixtures::{CCRP, Row, TDC, expect, id, provider, read};
use crate::log::{SRO, by, stranger};

/// A way to bring a scene into a state.
type Way = (ContractState, fn() -> Scene);

pub fn none(_: &mut Contract) {}

pub fn scheduled(contract: &mut Contract) {
    contract.effective_from = later(10);
}

pub fn one_run(contract: &mut Contract) {
    contract.max_runs = Some(1);
}

pub fn after(act: Act, mut scene: Scene) -> Scene {
    scene.act(act).unwrap();
    scene
}

pub fn in_days(days: i64, mut scene: Scene) -> Scene {
    scene.days(days);
    scene
}

/// A template that two SRO people must countersign.
pub fn countersigned() -> Scene {
    let mut scene = Scene::new(|c| c.template = "guarded-v1".into());
    let template: Template = read(json!({"schema": "template.v1", "registry": crate::fixtures::REGISTRY,
        "template": "guarded-v1", "title": "Guarded", "text_url": "https://sro.example/guarded",
        "text_sha256": schemas::Digest([3; 32]), "purposes": ["TRAINING"], "jurisdictions": ["IN"], "max_days": 400,
        "lapse_days": 7, "sro_countersigns": true, "risk_statement": true, "at": scene.log.now}));
    scene.log.enter(Body::TemplateApproved { template: by(&template, &SRO[..2]) }).unwrap();
    scene.log.enter(Body::ContractProposed { contract: by(&scene.contract, &[TDC]) }).unwrap();
    scene
}

fn awaiting_sro() -> Scene {
    let mut scene = countersigned();
    scene.sign_all();
    scene
}

fn completed() -> Scene {
    let mut scene = Scene::signed(one_run);
    scene.run().unwrap();
    let body = scene.completed();
    scene.log.enter(body).unwrap();
    scene.settle();
    after(Act::Complete, scene)
}

fn ways() -> Vec<Way> {
    use ContractState::*;
    vec![
        (Proposed, || Scene::proposed(none)),
        (PartiallySigned, || after(Act::Sign, Scene::proposed(none))),
        (AwaitingSro, awaiting_sro),
        (Scheduled, || Scene::signed(scheduled)),
        (Active, || Scene::signed(none)),
        (Suspended, || after(Act::SuspendByTdp, Scene::signed(none))),
        (Declined, || after(Act::Decline, Scene::proposed(none))),
        (Withdrawn, || after(Act::WithdrawByAll, Scene::signed(scheduled))),
        (Lapsed, || in_days(31, Scene::proposed(none))),
        (Revoked, || after(Act::RevokeBySro, Scene::signed(none))),
        (Expired, || in_days(365, Scene::signed(none))),
        (Completed, completed),
        (Superseded, || after(Act::Replace, Scene::proposed(none))),
    ]
}

/// Where an act leads from a state, as the table says; none where it says nothing.
fn leads(state: ContractState, act: Act) -> Option<ContractState> {
    use ContractState::*;
    Some(match (state, act) {
        (Proposed | PartiallySigned, Act::Replace) => Superseded,
        (Proposed | PartiallySigned, Act::Sign) => PartiallySigned,
        (Proposed | PartiallySigned, Act::Decline) => Declined,
        (Proposed | PartiallySigned | AwaitingSro, Act::Withdraw) => Withdrawn,
        (AwaitingSro, Act::SignBySro) => AwaitingSro,
        (AwaitingSro, Act::DeclineBySro) => Declined,
        (Scheduled, Act::WithdrawByAll) => Withdrawn,
        (Scheduled | Active, Act::SuspendByTdp | Act::SuspendBySro) => Suspended,
        (Suspended, Act::Resume) => Active,
        (Scheduled | Active | Suspended, Act::Revoke | Act::RevokeBySro | Act::Terminate) => Revoked,
        // An amendment is proposed beside the contract, which stays as it is until all have signed.
        (Scheduled | Active | Suspended, Act::Replace) => state,
        (Lapsed, Act::TellLapsed) | (Expired, Act::TellExpired) => state,
        _ => return None,
    })
}

/// Who may not do an act in any state is refused before the state is looked at.
fn refusal(state: ContractState, act: Act) -> Code {
    match act {
        Act::SignBySro if state != ContractState::AwaitingSro => Code::SignerNotParty,
        // In an open contract the act is there, but not for these people.
        Act::DeclineBySro if leads(state, Act::Decline).is_some() => Code::SignerNotParty,
        Act::Decline if state == ContractState::AwaitingSro => Code::TwoPeopleNeeded,
        Act::WithdrawByAll if leads(state, Act::Withdraw).is_some() => Code::SignerNotParty,
        Act::Withdraw if state == ContractState::Scheduled => Code::SignatureMissing,
        // The entry that holds all signatures is checked against those that are there.
        Act::Execute
            if matches!(
                state,
                ContractState::Proposed | ContractState::PartiallySigned | ContractState::AwaitingSro
            ) =>
        {
            Code::SignatureMissing
        }
        _ => Code::StateTransition,
    }
}

#[test]
fn every_pair_of_state_and_act_is_as_the_table_says() {
    let (mut allowed, mut refused) = (0, 0);
    for (state, way) in ways() {
        for act in Act::ALL {
            let mut scene = way();
            assert_eq!(scene.state(), state, "the way to {state:?}");
            match leads(state, act) {
                Some(next) => {
                    scene.act(act).unwrap_or_else(|e| panic!("{act:?} in {state:?}: {e}"));
                    assert_eq!(scene.state(), next, "{act:?} in {state:?}");
                    assert_eq!(stored(&scene.log.state), scene.log.state, "{act:?} in {state:?}, read back");
                    allowed += 1;
                }
                None => {
                    let before = scene.log.state.clone();
                    expect(scene.act(act), refusal(state, act), &format!("{act:?} in {state:?}"));
                    assert_eq!(scene.log.state, before, "{act:?} in {state:?} leaves no trace");
                    refused += 1;
                }
            }
        }
    }
    println!("{} states x {} acts: {allowed} allowed, {refused} refused", ways().len(), Act::ALL.len());
    assert_eq!(allowed + refused, 13 * 19);
}

#[test]
fn an_amendment_takes_the_place_of_the_contract_once_all_have_signed() {
    let mut scene = Scene::signed(none);
    let old = scene.reference.clone();
    let next = scene.next(|c| c.expires_at = later(500));
    scene.log.enter(Body::ContractProposed { contract: by(&next, &[CCRP]) }).unwrap();
    let rival = scene.next(|c| c.expires_at = later(501));
    scene.log.refused(
        Body::ContractProposed { contract: by(&rival, &[TDC]) },
        Code::StateTransition,
        "a second amendment beside an open one",
    );
    let id = &old.id.clone();
    assert_eq!(scene.log.state.contract_by_id(id).unwrap().sha256, old.sha256, "the one in force");
    scene.reference = refer(&next);
    scene.contract = next;
    for holder in [TDC.to_owned(), provider(0), provider(1), provider(2)] {
        assert_eq!(scene.log.state.contract_state(&old.sha256, scene.log.now), Some(ContractState::Active));
        scene.log.sign(&scene.reference.clone(), &holder).unwrap();
    }
    assert_eq!(scene.log.state.contract_state(&old.sha256, scene.log.now), Some(ContractState::Superseded));
    assert_eq!(scene.state(), ContractState::Active);
    assert_eq!(scene.log.state.contract_by_id(id).unwrap().sha256, scene.reference.sha256);
    assert_eq!(scene.log.state.contract_versions(id).count(), 2);
    let listed = scene.log.state.not_in_force(scene.log.now);
    assert_eq!(
        listed.iter().map(|s| (s.sha256, s.state)).collect::<Vec<_>>(),
        [(old.sha256, ContractState::Superseded)]
    );
}

#[test]
fn an_amendment_does_not_lift_what_the_sro_stopped() {
    for (stop, then) in [(Act::SuspendBySro, ContractState::Suspended), (Act::SuspendByTdp, ContractState::Active)] {
        let mut scene = after(stop, Scene::signed(none));
        let next = scene.next(none);
        scene.log.enter(Body::ContractProposed { contract: by(&next, &[CCRP]) }).unwrap();
        (scene.reference, scene.contract) = (refer(&next), next);
        for holder in [TDC.to_owned(), provider(0), provider(1), provider(2)] {
            scene.log.sign(&scene.reference.clone(), &holder).unwrap();
        }
        assert_eq!(scene.state(), then, "{stop:?}");
    }
}

#[test]
fn a_signature_given_before_a_stop_or_a_notice_does_not_lift_it() {
    let notice = |c: &mut Contract| c.revocation.notice_seconds = 7 * 86_400;
    for (stop, then, in_a_week) in [
        (Act::SuspendByTdp, ContractState::Suspended, ContractState::Suspended),
        (Act::Revoke, ContractState::Active, ContractState::Revoked),
    ] {
        let mut scene = Scene::signed(notice);
        let next = scene.next(none);
        scene.log.enter(Body::ContractProposed { contract: by(&next, &[&provider(0)]) }).unwrap();
        scene.act(stop).unwrap();
        (scene.reference, scene.contract) = (refer(&next), next);
        for holder in [provider(1), provider(2), CCRP.to_owned(), TDC.to_owned()] {
            scene.log.sign(&scene.reference.clone(), &holder).unwrap();
        }
        assert_eq!(scene.state(), then, "{stop:?}");
        assert_eq!(stored(&scene.log.state), scene.log.state);
        scene.days(7);
        assert_eq!(scene.state(), in_a_week, "{stop:?}");
    }
    let mut scene = Scene::signed(notice);
    scene.act(Act::Revoke).unwrap();
    let next = scene.next(none);
    scene.log.enter(Body::ContractProposed { contract: by(&next, &[TDC]) }).unwrap();
    (scene.reference, scene.contract) = (refer(&next), next);
    scene.sign_all();
    scene.days(7);
    assert_eq!(scene.state(), ContractState::Active, "all signed after the notice");
}

#[test]
fn an_amendment_of_a_contract_that_ended_meanwhile_cannot_be_signed() {
    let mut scene = Scene::signed(none);
    let next = scene.next(none);
    scene.log.enter(Body::ContractProposed { contract: by(&next, &[CCRP]) }).unwrap();
    scene.act(Act::RevokeBySro).unwrap();
    (scene.reference, scene.contract) = (refer(&next), next);
    for holder in [TDC.to_owned(), provider(0), provider(1)] {
        scene.log.sign(&scene.reference.clone(), &holder).unwrap();
    }
    let last = scene.signature(&provider(2));
    scene.log.refused(last, Code::StateTransition, "the last signature");
}

#[test]
fn a_newer_version_keeps_parties_datasets_and_prices() {
    let rows: [Row<Contract>; 6] = [
        (Code::SchemaMismatch, |c| c.version = 7),
        (Code::PriceChanged, |c| c.payment[0].amount_minor = schemas::money::Minor::new(400_000).unwrap()),
        (Code::PriceChanged, |c| c.payment.clear()),
        (Code::ContractIncomplete, |c| drop(c.datasets.pop())),
        (Code::ContractIncomplete, |c| c.parties[0].did = stranger()),
        (Code::ContractUnknown, |c| c.supersedes = Some(schemas::Digest([9; 32]))),
    ];
    for (code, spoil) in rows {
        let mut scene = Scene::proposed(none);
        let next = scene.next(spoil);
        let body = Body::ContractProposed { contract: by(&next, &[TDC]) };
        scene.log.refused(body, code, &format!("{code}"));
    }
    let mut other = Scene::proposed(none);
    let foreign = other.next(|c| c.contract_id = read(id("ctr", 77).into()));
    other.log.refused(
        Body::ContractProposed { contract: by(&foreign, &[TDC]) },
        Code::ContractUnknown,
        "another contract's",
    );
}

#[test]
fn a_new_price_is_a_newer_offer() {
    let mut scene = Scene::proposed(none);
    let mut offer = scene.house().offers.remove(0);
    let sha256 = |offer: &schemas::dataset::DatasetOffer| crate::fixtures::digest(offer);
    (offer.offer_version, offer.payment[0].amount_minor) = (2, schemas::money::Minor::new(600_000).unwrap());
    scene.log.enter(Body::DatasetRegistered { offer: by(&offer, &[&provider(0)]) }).unwrap();
    let newer = scene.next(|c| {
        c.datasets[0].offer_sha256 = sha256(&offer);
        c.payment[0].amount_minor = offer.payment[0].amount_minor;
    });
    scene.log.enter(Body::ContractProposed { contract: by(&newer, &[TDC]) }).unwrap();
    let (old, reference) = (scene.contract.clone(), refer(&newer));
    (scene.contract, scene.reference) = (newer, reference);
    let older = scene.next(|c| {
        c.datasets[0].offer_sha256 = old.datasets[0].offer_sha256;
        c.payment[0].amount_minor = old.payment[0].amount_minor;
    });
    scene.log.refused(
        Body::ContractProposed { contract: by(&older, &[TDC]) },
        Code::PriceChanged,
        "back to an older offer",
    );
}
