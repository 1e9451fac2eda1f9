//! Participants in the log: applied, decided about, withdrawn; names that look alike.

use policies::Code;
use policies::lifecycle::ParticipantState;
use schemas::contract::ContractState;
use schemas::envelope::Envelope;
use schemas::event::Body;
use schemas::party::{Decision, Kind, ParticipantWithdrawal};

use crate::fixtures::{CCRP, REGISTRY, TDC, did, provider};
use crate::log::{Log, SRO, by, key_of, participant};

const NEW: &str = "did:web:new.example";

fn withdrawal(log: &Log, holder: &str) -> ParticipantWithdrawal {
    ParticipantWithdrawal {
        schema: "participant-withdrawal.v1".into(),
        registry: did(REGISTRY),
        participant: did(holder),
        reason: "We close".into(),
        at: log.now,
    }
}

fn left(document: Envelope<ParticipantWithdrawal>) -> Body {
    Body::ParticipantLeft { withdrawal: document }
}

fn state(log: &Log, holder: &str) -> ParticipantState {
    log.state.participant(&did(holder)).unwrap().state
}

#[test]
fn names_and_dids_that_look_alike_are_refused() {
    let mut log = Log::new();
    let mut acme = participant("did:web:acme.example", Kind::Tdp);
    acme.legal_name = "Acme".into();
    log.apply(&acme).unwrap();
    for name in ["acme ", "аcme", "ACME", "Ａcme"] {
        let mut other = participant(NEW, Kind::Tdp);
        other.legal_name = name.into();
        let before = log.state.clone();
        crate::fixtures::expect(log.apply(&other), Code::LookAlike, name);
        assert_eq!(log.state, before);
    }
    let mut person = participant(NEW, Kind::Tdp);
    person.legal_name = "pers0n".into();
    crate::fixtures::expect(log.apply(&person), Code::LookAlike, "as an SRO person");
    let mut hidden = participant(NEW, Kind::Tdp);
    hidden.legal_name = "Ac\u{202e}me".into();
    crate::fixtures::expect(log.apply(&hidden), Code::SchemaMismatch, "turned direction");
    for holder in ["did:web:xn--acme-5cd.example", "did:web:%D0%B0cme.example", "did:web:Acme.example"] {
        crate::fixtures::expect(log.apply(&participant(holder, Kind::Tdp)), Code::LookAlike, holder);
    }
    log.apply(&participant("did:key:z6MkAbc", Kind::Tdp)).unwrap();
    let mut case = participant("did:key:z6Mkabc", Kind::Tdp);
    case.legal_name = "Another".into();
    crate::fixtures::expect(log.apply(&case), Code::LookAlike, "equal but for case");
    log.apply(&participant(NEW, Kind::Tdp)).unwrap();
}

#[test]
fn the_name_of_one_who_was_rejected_is_free_again() {
    let mut log = Log::new();
    let acme = participant("did:web:acme.example", Kind::Tdp);
    log.apply(&acme).unwrap();
    let mut other = participant(NEW, Kind::Tdp);
    other.legal_name = acme.legal_name.clone();
    crate::fixtures::expect(log.apply(&other), Code::LookAlike, "taken");
    log.decide("did:web:acme.example", Decision::Rejected).unwrap();
    log.apply(&other).unwrap();
    crate::fixtures::expect(log.apply(&acme), Code::LookAlike, "now the other one's");
}

#[test]
fn a_key_stands_under_one_name_only() {
    let mut log = Log::furnished();
    let mut other = participant(NEW, Kind::Tdp);
    other.jwk = key_of(TDC);
    crate::fixtures::expect(log.apply(&other), Code::KeyExists, "another participant's");
    other.jwk = key_of(SRO[0]);
    crate::fixtures::expect(log.apply(&other), Code::KeyExists, "an SRO person's");
}

#[test]
fn a_did_web_enters_with_its_document_fetched_just_now() {
    let mut log = Log::new();
    let enter = |log: &mut Log, holder: &str, resolution| {
        let application = by(&participant(holder, Kind::Tdp), &[holder]);
        log.enter(Body::ParticipantApplied { application, resolution })
    };
    crate::fixtures::expect(enter(&mut log, NEW, None), Code::DidUnresolved, "none");
    let mut old = log.resolved(&did(NEW));
    old.as_mut().unwrap().fetched_at = log.now.plus_seconds(-700);
    crate::fixtures::expect(enter(&mut log, NEW, old), Code::DidUnresolved, "old");
    let fresh = log.resolved(&did(NEW));
    crate::fixtures::expect(enter(&mut log, "did:key:z6MkX", fresh.clone()), Code::DidUnresolved, "not for a did:key");
    enter(&mut log, NEW, fresh).unwrap();
}

#[test]
fn who_leaves_is_gone_for_good_and_its_contracts_stop() {
    let mut log = Log::furnished();
    let contract = log.contract();
    let tdp = provider(1);
    let document = withdrawal(&log, &tdp);
    log.refused(left(by(&document, &[TDC])), Code::SignerNotParty, "by another");
    log.refused(left(by(&document, &SRO[..2])), Code::SignerNotParty, "the SRO decides instead");
    log.refused(left(by(&withdrawal(&log, NEW), &[NEW])), Code::NotFound, "unknown");
    let mut empty = document.clone();
    empty.reason = String::new();
    log.refused(left(by(&empty, &[&tdp])), Code::LimitExceeded, "no reason");
    log.enter(left(by(&document, &[&tdp]))).unwrap();
    assert_eq!(state(&log, &tdp), ParticipantState::Withdrawn);
    assert_eq!(log.state.contract_state(&contract.sha256, log.now), Some(ContractState::Suspended));
    log.refused(left(by(&document, &[&tdp])), Code::StateTransition, "again");
    crate::fixtures::expect(log.apply(&participant(&tdp, Kind::Tdp)), Code::ParticipantExists, "comes back");
    crate::fixtures::expect(log.decide(&tdp, Decision::Verified), Code::StateTransition, "by the SRO");
}

#[test]
fn the_sro_withdraws_and_suspends_and_contracts_stop() {
    for decision in [Decision::Suspended, Decision::Withdrawn] {
        let mut log = Log::furnished();
        let contract = log.contract();
        log.decide(CCRP, decision).unwrap();
        assert_eq!(log.state.contract_state(&contract.sha256, log.now), Some(ContractState::Suspended), "{decision:?}");
        let document = withdrawal(&log, CCRP);
        log.refused(left(by(&document, &[CCRP])), Code::StateTransition, "keys do not count");
    }
}

#[test]
fn decisions_of_one_second_all_enter_and_an_old_one_never_comes_back() {
    let mut log = Log::furnished();
    let second = log.now;
    let mut within = |decision| {
        log.now = second;
        let body = log.decision(TDC, decision);
        log.enter(body.clone()).map(|()| body)
    };
    let stopped = within(Decision::Suspended).unwrap();
    within(Decision::Verified).unwrap();
    crate::fixtures::expect(within(Decision::Suspended), Code::StateTransition, "the same bytes");
    log.refused(stopped, Code::StateTransition, "an old decision");
    assert_eq!(state(&log, TDC), ParticipantState::Verified);
    log.now = second.plus_seconds(1);
    log.decide(TDC, Decision::Suspended).unwrap();
}

#[test]
fn auditors_are_verified_as_everybody_else() {
    let mut log = Log::new();
    log.admit(NEW, Kind::Auditor);
    log.enter(Body::BodiesRead { by: did(NEW), from: 0, count: 2 }).unwrap();
    let read = |by: &str, from, count| Body::BodiesRead { by: did(by), from, count };
    log.enter(read(SRO[0], 0, 1)).unwrap();
    log.refused(read(NEW, 0, 100), Code::LimitExceeded, "beyond the end");
    log.refused(read(NEW, 0, 0), Code::LimitExceeded, "nothing");
    log.refused(read(NEW, u64::MAX, 2), Code::LimitExceeded, "wraps");
    log.admit(TDC, Kind::Tdc);
    log.refused(read(TDC, 0, 1), Code::ParticipantNotVerified, "no auditor");
}
