//! Keys of participants: added with proof, retired, revoked, reported compromised.

use policies::Code;
use policies::lifecycle::KeyState;
use schemas::KeyBook;
use schemas::contract::ContractState;
use schemas::dataset::DatasetState;
use schemas::envelope::{Envelope, Usage};
use schemas::event::Body;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::party::{Decision, KeyAct, KeyEvent, KeyProof, KeyUse, Kind, ParticipantWithdrawal};

use crate::fixtures::{House, REGISTRY, TDC, did, envelope, jwk, provider};
use crate::log::{Log, SRO, by, key_of, kid, with_keys};

pub fn event(log: &Log, holder: &str, act: KeyAct) -> KeyEvent {
    KeyEvent {
        schema: "key-event.v1".into(),
        registry: did(REGISTRY),
        participant: did(holder),
        event: act,
        reason: "Yearly change".into(),
        at: log.now,
    }
}

pub fn add(log: &Log, holder: &str, key: Jwk, uses: &[KeyUse]) -> KeyEvent {
    let proof = KeyProof {
        schema: "key-proof.v1".into(),
        registry: did(REGISTRY),
        holder: did(holder),
        jwk: key.clone(),
        at: log.now,
    };
    let proof = with_keys(&proof, &[KeyId::new(holder, key.thumbprint())]);
    event(log, holder, KeyAct::Add { proof, uses: uses.to_vec() })
}

pub fn changed(log: &Log, document: &KeyEvent, signers: &[&str]) -> Body {
    let resolution = log.resolved(&document.participant);
    Body::KeyChanged { event: by(document, signers), resolution }
}

fn second() -> Jwk {
    jwk(240)
}

pub fn id_of(holder: &str, key: &Jwk) -> KeyId {
    KeyId::new(holder, key.thumbprint())
}

pub fn retire(holder: &str) -> KeyAct {
    KeyAct::Retire { thumbprint: kid(holder).thumbprint }
}

pub fn compromise(holder: &str, since_index: u64) -> KeyAct {
    KeyAct::Compromise { thumbprint: kid(holder).thumbprint, since_index }
}

#[test]
fn a_key_is_added_and_the_old_one_retired() {
    let mut log = Log::furnished();
    let tdp = provider(0);
    let new = id_of(&tdp, &second());
    assert_eq!(log.state.key(&new, Usage::Party), None);
    let adding = add(&log, &tdp, second(), &[KeyUse::Document]);
    log.enter(changed(&log, &adding, &[&tdp])).unwrap();
    assert_eq!(log.state.key(&new, Usage::Party), Some(second()));
    assert_eq!(log.state.api_key(&new), None, "for documents only");
    let retiring = event(&log, &tdp, retire(&tdp));
    let body = Body::KeyChanged { event: with_keys(&retiring, std::slice::from_ref(&new)), resolution: None };
    log.enter(body).unwrap();
    assert_eq!(log.state.key(&kid(&tdp), Usage::Party), None);
    assert_eq!(log.state.api_key(&kid(&tdp)), None);
    let row = log.state.participant(&did(&tdp)).unwrap();
    assert_eq!(row.key(&kid(&tdp).thumbprint).unwrap().state, KeyState::Retired);
    let again = add(&log, &tdp, key_of(&tdp), &[KeyUse::Document]);
    let body = Body::KeyChanged { event: with_keys(&again, &[new]), resolution: log.resolved(&did(&tdp)) };
    log.refused(body, Code::KeyExists, "a retired key does not come back");
}

#[test]
fn each_use_has_its_key() {
    let mut log = Log::furnished();
    let adding = add(&log, TDC, second(), &[KeyUse::Api]);
    log.enter(changed(&log, &adding, &[TDC])).unwrap();
    let api = id_of(TDC, &second());
    assert_eq!(log.state.api_key(&api), Some(second()));
    assert_eq!(log.state.api_keys().key(&api, Usage::Party), Some(second()));
    assert_eq!(log.state.api_keys().key(&api, Usage::Service), None);
    assert_eq!(log.state.key(&api, Usage::Party), None, "signs no document");
    assert_eq!(log.state.api_key(&kid(TDC)), Some(key_of(TDC)), "a first key serves every use");
    assert_eq!(log.state.api_key(&kid(SRO[0])), Some(key_of(SRO[0])));
    let last = event(&log, TDC, retire(TDC));
    log.refused(changed(&log, &last, &[TDC]), Code::StateTransition, "the other key signs no document");
    log.decide(TDC, Decision::Suspended).unwrap();
    assert_eq!(log.state.api_key(&api), None, "suspended");
}

#[test]
fn key_events_are_refused_for_one_thing_at_a_time() {
    let mut log = Log::furnished();
    let tdp = provider(0);
    let good = add(&log, &tdp, second(), &[KeyUse::Document]);
    log.refused(changed(&log, &good, &[TDC]), Code::SignerNotParty, "by another");
    log.refused(changed(&log, &good, &SRO[..1]), Code::TwoPeopleNeeded, "one person");
    log.refused(Body::KeyChanged { event: by(&good, &[&tdp]), resolution: None }, Code::DidUnresolved, "no document");
    let unknown = add(&log, "did:web:new.example", second(), &[KeyUse::Document]);
    log.refused(changed(&log, &unknown, &SRO[..2]), Code::NotFound, "unknown");
    let other = add(&log, &tdp, key_of(TDC), &[KeyUse::Document]);
    log.refused(changed(&log, &other, &[&tdp]), Code::KeyExists, "another's key");
    let receiving = add(&log, &tdp, Jwk::x25519([7; 32]), &[KeyUse::Document]);
    log.refused(changed(&log, &receiving, &[&tdp]), Code::KeyForm, "receives");
    for uses in [&[][..], &[KeyUse::Api, KeyUse::Api][..]] {
        let bad = add(&log, &tdp, second(), uses);
        log.refused(changed(&log, &bad, &[&tdp]), Code::SchemaMismatch, "uses");
    }
    let absent = event(&log, &tdp, KeyAct::Retire { thumbprint: second().thumbprint() });
    log.refused(changed(&log, &absent, &[&tdp]), Code::KeyUnknown, "no such key");
    for act in [retire(&tdp), KeyAct::Revoke { thumbprint: kid(&tdp).thumbprint }] {
        let last = event(&log, &tdp, act);
        log.refused(changed(&log, &last, &[&tdp]), Code::StateTransition, "the last key, by oneself");
    }
    let ahead = event(&log, &tdp, compromise(&tdp, 1_000_000));
    log.refused(changed(&log, &ahead, &[&tdp]), Code::SchemaMismatch, "an entry that lies ahead");
    let mut silent = good.clone();
    silent.reason = String::new();
    log.refused(changed(&log, &silent, &[&tdp]), Code::LimitExceeded, "no reason");
    log.apply(&crate::log::participant("did:web:new.example", Kind::Tdp)).unwrap();
    let early = add(&log, "did:web:new.example", second(), &[KeyUse::Document]);
    log.refused(changed(&log, &early, &SRO[..2]), Code::StateTransition, "not verified yet");
}

#[test]
fn two_people_of_the_sro_end_the_last_key_and_bring_the_next() {
    let mut log = Log::furnished();
    let tdp = provider(0);
    let revoking = event(&log, &tdp, KeyAct::Revoke { thumbprint: kid(&tdp).thumbprint });
    log.enter(changed(&log, &revoking, &SRO[..2])).unwrap();
    let row = log.state.participant(&did(&tdp)).unwrap();
    assert_eq!(row.key(&kid(&tdp).thumbprint).unwrap().state, KeyState::Revoked);
    let withdrawal = ParticipantWithdrawal {
        schema: "participant-withdrawal.v1".into(),
        registry: did(REGISTRY),
        participant: did(&tdp),
        reason: "x".into(),
        at: log.now,
    };
    log.refused(Body::ParticipantLeft { withdrawal: by(&withdrawal, &[&tdp]) }, Code::SignerUnknown, "no key");
    log.refused(changed(&log, &revoking, &SRO[..2]), Code::StateTransition, "revoked already");
    let adding = add(&log, &tdp, second(), &[KeyUse::Document, KeyUse::Api]);
    log.enter(changed(&log, &adding, &SRO[..2])).unwrap();
    assert_eq!(log.state.key(&id_of(&tdp, &second()), Usage::Party), Some(second()));
}

#[test]
fn a_compromised_key_contests_what_it_signed() {
    let mut log = Log::furnished();
    let tdp = provider(1);
    let before = log.state.size();
    let contract = log.contract();
    let later = event(&log, &tdp, compromise(&tdp, log.state.size()));
    log.enter(changed(&log, &later, &[&tdp])).unwrap();
    assert_eq!(log.state.contract_state(&contract.sha256, log.now), Some(ContractState::Active), "signed before");
    assert!(!log.state.contested(&kid(&tdp), before));
    log.refused(changed(&log, &later, &SRO[..2]), Code::StateTransition, "reaches no further back");
    let earlier = event(&log, &tdp, compromise(&tdp, before));
    log.enter(changed(&log, &earlier, &SRO[..2])).unwrap();
    assert_eq!(log.state.contract_state(&contract.sha256, log.now), Some(ContractState::Suspended));
    assert!(log.state.contested(&kid(&tdp), before) && !log.state.contested(&kid(TDC), before));
}

#[test]
fn before_a_contract_is_in_force_the_signature_no_longer_counts() {
    let mut log = Log::furnished();
    let tdp = provider(1);
    let document = House::new().contracts.remove(0);
    log.enter(Body::ContractProposed { contract: by(&document, &[TDC]) }).unwrap();
    let reference = log.state.contracts().next().unwrap().reference();
    log.sign(&reference, &tdp).unwrap();
    assert_eq!(log.state.contract_state(&reference.sha256, log.now), Some(ContractState::PartiallySigned));
    let reported = event(&log, &tdp, compromise(&tdp, 0));
    log.enter(changed(&log, &reported, &[&tdp])).unwrap();
    assert_eq!(log.state.contract_state(&reference.sha256, log.now), Some(ContractState::Proposed));
    let adding = add(&log, &tdp, second(), &[KeyUse::Document]);
    log.enter(changed(&log, &adding, &SRO[..2])).unwrap();
    let signature = envelope(&document, id_of(&tdp, &second())).signatures.remove(0);
    log.enter(Body::ContractSigned { contract: reference.clone(), signature }).unwrap();
    assert_eq!(log.state.contract_state(&reference.sha256, log.now), Some(ContractState::PartiallySigned));
}

#[test]
fn offers_and_orders_of_a_compromised_key_do_not_run() {
    let mut log = Log::furnished();
    let tdp = provider(2);
    let offer = House::new().offers.remove(2);
    let reported = event(&log, &tdp, compromise(&tdp, 0));
    log.enter(changed(&log, &reported, &[&tdp])).unwrap();
    assert_eq!(log.state.dataset_state(&offer.dataset_id, 1), Some(DatasetState::Suspended));
    assert_eq!(log.state.dataset_state(&House::new().offers[0].dataset_id, 1), Some(DatasetState::Registered));
    let contract: Envelope<_> = by(&House::new().contracts[0], &[TDC]);
    log.refused(Body::ContractProposed { contract }, Code::DatasetNotAvailable, "contested offer");
}

#[test]
fn keys_that_a_compromised_key_brought_fall_with_it() {
    let mut log = Log::furnished();
    let tdp = provider(1);
    let since = log.state.size();
    let (theirs, next) = (id_of(&tdp, &second()), id_of(&tdp, &jwk(241)));
    let adding = add(&log, &tdp, second(), &[KeyUse::Document, KeyUse::Api]);
    log.enter(changed(&log, &adding, &[&tdp])).unwrap();
    let further = add(&log, &tdp, jwk(241), &[KeyUse::Document]);
    let body = Body::KeyChanged {
        event: with_keys(&further, std::slice::from_ref(&theirs)),
        resolution: log.resolved(&did(&tdp)),
    };
    log.enter(body).unwrap();
    let vouched = add(&log, &tdp, jwk(242), &[KeyUse::Document]);
    log.enter(changed(&log, &vouched, &SRO[..2])).unwrap();
    let reported = event(&log, &tdp, compromise(&tdp, since));
    log.enter(changed(&log, &reported, &SRO[..2])).unwrap();
    for fallen in [&kid(&tdp), &theirs, &next] {
        assert_eq!(log.state.key(fallen, Usage::Party), None, "{fallen}");
        assert!(log.state.contested(fallen, log.state.size()), "{fallen}");
    }
    assert_eq!(log.state.api_key(&theirs), None);
    assert_eq!(log.state.key(&id_of(&tdp, &jwk(242)), Usage::Party), Some(jwk(242)), "the SRO brought it");
}

#[test]
fn keys_brought_before_a_compromise_stay() {
    let mut log = Log::furnished();
    let tdp = provider(1);
    let adding = add(&log, &tdp, second(), &[KeyUse::Document]);
    log.enter(changed(&log, &adding, &[&tdp])).unwrap();
    let reported = event(&log, &tdp, compromise(&tdp, log.state.size()));
    log.enter(changed(&log, &reported, &[&tdp])).unwrap();
    assert_eq!(log.state.key(&id_of(&tdp, &second()), Usage::Party), Some(second()));
}

#[test]
fn an_ended_key_does_not_come_back_by_a_new_application() {
    let mut log = Log::furnished();
    let tdp = provider(1);
    let reported = event(&log, &tdp, compromise(&tdp, 0));
    log.enter(changed(&log, &reported, &[&tdp])).unwrap();
    log.decide(&tdp, Decision::Suspended).unwrap();
    log.decide(&tdp, Decision::Rejected).unwrap();
    let refused = log.apply(&crate::log::participant(&tdp, Kind::Tdp)).unwrap_err();
    assert_eq!(refused.code, Code::KeyExists);
    assert!(log.state.contested(&kid(&tdp), 0));
}

/// The living contracts that a key signed, found by looking at all of them.
fn scanned(log: &Log, thumbprint: &str) -> Vec<schemas::Digest> {
    use ContractState::{Active, AwaitingSro, PartiallySigned, Proposed, Scheduled, Suspended};
    let lives = [Active, AwaitingSro, PartiallySigned, Proposed, Scheduled, Suspended];
    let signed =
        |row: &&policies::lifecycle::ContractRow| row.signatures.iter().any(|s| s.kid.thumbprint == thumbprint);
    let mut found: Vec<_> =
        log.state.contracts().filter(|row| lives.contains(&row.state(log.now))).filter(signed).collect();
    found.sort_by_key(|row| row.sha256);
    found.into_iter().map(|row| row.sha256).collect()
}

#[test]
fn the_index_of_contracts_by_key_finds_what_looking_at_all_finds_and_forgets_what_ended() {
    let mut log = Log::furnished();
    let mut holders: Vec<String> = (0..3).map(provider).collect();
    holders.extend([TDC.to_owned(), crate::fixtures::CCRP.to_owned(), SRO[0].to_owned()]);
    let document = House::new().contracts.remove(0);
    let first = log.contract();
    let mut open = Vec::new();
    for n in 0..6u8 {
        let mut other = document.clone();
        other.contract_id = format!("ctr_018f4f5e-7a00-7000-8000-0000000000{:02x}", 0xa0 + n).parse().unwrap();
        log.enter(Body::ContractProposed { contract: by(&other, &[TDC]) }).unwrap();
        let reference = log.state.contract_by_id(&other.contract_id).unwrap().reference();
        if n % 2 == 0 {
            let holder = document.datasets[0].provider.as_str();
            let signature = envelope(&other, kid(holder)).signatures.remove(0);
            log.enter(Body::ContractSigned { contract: reference.clone(), signature }).unwrap();
        }
        open.push(reference);
    }
    let same = |log: &Log, what: &str| {
        for holder in &holders {
            let key = kid(holder).thumbprint;
            assert_eq!(log.state.living_contracts_of_key(&key), scanned(log, &key), "{holder}: {what}");
        }
    };
    same(&log, "all live");
    assert_eq!(log.state.living_contracts_of_key(&kid(TDC).thumbprint).len(), 7);
    let declined = |reference: &schemas::contract::ContractRef, log: &Log| schemas::contract::ContractDecline {
        schema: "contract-decline.v1".into(),
        registry: did(REGISTRY),
        contract: reference.clone(),
        reason: "No".into(),
        declined_at: log.now,
    };
    for reference in &open[..3] {
        let decline = by(&declined(reference, &log), &[TDC]);
        log.enter(Body::ContractDeclined { decline }).unwrap();
    }
    same(&log, "three were declined");
    // A report takes the signatures of open contracts out, and stops the one in force.
    let holder = document.datasets[0].provider.to_string();
    let reported = event(&log, &holder, compromise(&holder, 0));
    log.enter(changed(&log, &reported, &SRO[..2])).unwrap();
    same(&log, "after the report");
    assert_eq!(log.state.living_contracts_of_key(&kid(&holder).thumbprint), [first.sha256]);
    assert_eq!(log.state.contract_state(&first.sha256, log.now), Some(ContractState::Suspended));
    // What the clock ends leaves the index once an entry tells it.
    log.now = document.expires_at.plus_seconds(40 * 86_400);
    for body in log.state.due(log.now, 100) {
        log.enter(body).unwrap();
    }
    for holder in &holders {
        assert!(log.state.living_contracts_of_key(&kid(holder).thumbprint).is_empty(), "{holder}");
    }
    let rows: Vec<_> = log.state.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(policies::lifecycle::State::from_rows(rows).unwrap(), log.state, "made again from the kept rows");
}
