//! Keys of the SRO's people: two people change them, a signature counts by the key that was active at its entry, and a
//! report names what the key signed.

use policies::Code;
use policies::lifecycle::KeyState;
use schemas::KeyBook;
use schemas::envelope::Usage;
use schemas::event::Body;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::party::{Decision, KeyAct, KeyEvent, KeyUse, Kind};

use crate::fixtures::{House, REGISTRY, TDC, did, jwk, provider};
use crate::keys::{add, compromise, event, id_of, retire};
use crate::log::{Log, SRO, by, key_of, kid, participant, with_keys};

const BOTH: [KeyUse; 2] = [KeyUse::Document, KeyUse::Api];

fn second() -> Jwk {
    jwk(240)
}

fn changed(document: &KeyEvent, signers: &[KeyId]) -> Body {
    Body::KeyChanged { event: with_keys(document, signers), resolution: None }
}

/// A template that these keys approve.
fn template(log: &Log, name: &str, signers: &[KeyId]) -> Body {
    let house = crate::fixtures::read::<schemas::rules::Template>(serde_json::json!({"schema": "template.v1",
        "registry": REGISTRY, "template": name, "title": "T", "text_url": "https://sro.example/t",
        "text_sha256": "00".repeat(32), "purposes": ["TRAINING"], "jurisdictions": [], "max_days": 30,
        "lapse_days": 5, "sro_countersigns": false, "risk_statement": false, "at": log.now}));
    Body::TemplateApproved { template: with_keys(&house, signers) }
}

/// The first person has a second key, which the first and the second person signed.
fn rotated() -> (Log, KeyId) {
    let mut log = Log::furnished();
    let adding = add(&log, SRO[0], second(), &BOTH);
    log.enter(changed(&adding, &[kid(SRO[0]), kid(SRO[1])])).unwrap();
    (log, id_of(SRO[0], &second()))
}

#[test]
fn a_persons_key_is_changed_by_two_people_and_the_old_one_signs_nothing_later() {
    let mut log = Log::furnished();
    let adding = add(&log, SRO[0], second(), &BOTH);
    log.refused(changed(&adding, &[kid(SRO[0])]), Code::TwoPeopleNeeded, "one person");
    log.refused(changed(&adding, &[kid(SRO[0]), kid(TDC)]), Code::TwoPeopleNeeded, "a person and a participant");
    log.refused(changed(&adding, &[kid(TDC)]), Code::TwoPeopleNeeded, "a participant");
    let (mut log, new) = rotated();
    assert_eq!(log.state.key(&new, Usage::Party), Some(second()));
    assert_eq!(log.state.key(&kid(SRO[0]), Usage::Party), Some(key_of(SRO[0])), "both until the old one ends");
    let both = template(&log, "both-v1", &[kid(SRO[0]), new.clone()]);
    log.refused(both, Code::TwoPeopleNeeded, "two keys of one person are one person");
    let retiring = event(&log, SRO[0], retire(SRO[0]));
    let by_itself = changed(&retiring, &[kid(SRO[0]), kid(SRO[1])]);
    log.refused(by_itself, Code::TwoPeopleNeeded, "a key does not sign its own end");
    log.enter(changed(&retiring, &[new.clone(), kid(SRO[1])])).unwrap();
    let old = template(&log, "old-v1", &[kid(SRO[0]), kid(SRO[1])]);
    log.refused(old, Code::SignerUnknown, "the old key's later signature");
    assert_eq!(log.state.api_key(&kid(SRO[0])), None, "nor does it ask for tokens");
    let body = template(&log, "new-v1", &[new.clone(), kid(SRO[2])]);
    log.enter(body).unwrap();
    let row = log.state.person(&did(SRO[0])).unwrap();
    assert_eq!(row.keys.iter().map(|key| key.state).collect::<Vec<_>>(), [KeyState::Retired, KeyState::Active]);
    let again = changed(&retiring, &[new.clone(), kid(SRO[1])]);
    log.refused(again, Code::StateTransition, "it has ended");
    let back = add(&log, SRO[0], key_of(SRO[0]), &BOTH);
    log.refused(changed(&back, &[new, kid(SRO[1])]), Code::KeyExists, "it does not come back");
}

#[test]
fn a_persons_key_is_nobody_elses() {
    let (mut log, _) = rotated();
    for (holder, key, what) in [
        (SRO[1], second(), "the first person's second key"),
        (SRO[1], key_of(SRO[0]), "the first person's first key"),
        (SRO[1], key_of(TDC), "a participant's"),
        (SRO[1], jwk(201), "the registry's"),
    ] {
        let adding = add(&log, holder, key, &BOTH);
        log.refused(changed(&adding, &[kid(SRO[1]), kid(SRO[2])]), Code::KeyExists, what);
    }
    let mut application = participant("did:web:new.example", Kind::Tdp);
    application.jwk = second();
    let kids = [id_of("did:web:new.example", &second())];
    let resolution = log.resolved(&application.did);
    let body = Body::ParticipantApplied { application: with_keys(&application, &kids), resolution };
    log.refused(body, Code::KeyExists, "a participant with a person's second key");
    let stranger = add(&log, "did:key:z6MkNobody", jwk(9), &BOTH);
    log.refused(changed(&stranger, &[kid(SRO[1]), kid(SRO[2])]), Code::NotFound, "no person of the SRO");
}

#[test]
fn two_people_who_can_sign_always_stay() {
    let mut log = Log::new();
    let revoked = |log: &Log, who: &str| event(log, who, KeyAct::Revoke { thumbprint: kid(who).thumbprint });
    let first = revoked(&log, SRO[0]);
    log.enter(changed(&first, &[kid(SRO[1]), kid(SRO[2])])).unwrap();
    // The first person has lost everything; two are left, and none of them goes.
    let third = revoked(&log, SRO[2]);
    log.refused(changed(&third, &[kid(SRO[1]), kid(SRO[2])]), Code::TwoPeopleNeeded, "its own end");
    let adding = add(&log, SRO[1], jwk(241), &BOTH);
    log.enter(changed(&adding, &[kid(SRO[1]), kid(SRO[2])])).unwrap();
    let reported = event(&log, SRO[2], compromise(SRO[2], 0));
    let alone = changed(&reported, &[kid(SRO[1]), id_of(SRO[1], &jwk(241))]);
    log.refused(alone, Code::TwoPeopleNeeded, "one person with two keys");
    let back = add(&log, SRO[0], second(), &BOTH);
    log.enter(changed(&back, &[kid(SRO[1]), kid(SRO[2])])).unwrap();
    log.enter(changed(&reported, &[kid(SRO[1]), id_of(SRO[0], &second())])).unwrap();
    let last = revoked(&log, SRO[1]);
    let signers = [id_of(SRO[1], &jwk(241)), id_of(SRO[0], &second())];
    log.enter(changed(&last, &signers)).unwrap();
    let gone = event(&log, SRO[0], KeyAct::Revoke { thumbprint: second().thumbprint() });
    log.refused(changed(&gone, &signers), Code::TwoPeopleNeeded, "its own end once more");
    assert_eq!(log.state.key(&kid(SRO[2]), Usage::Party), None);
}

#[test]
fn a_report_names_what_the_key_signed_and_undoes_no_two_peoples_act() {
    let mut log = Log::furnished();
    let (genesis, since) = (0, log.state.size());
    log.enter(template(&log, "one-v1", &[kid(SRO[0]), kid(SRO[1])])).unwrap();
    log.enter(template(&log, "two-v1", &[kid(SRO[1]), kid(SRO[2])])).unwrap();
    let name = participant("did:web:late.example", Kind::Tdp);
    log.apply(&name).unwrap();
    let decision = log.decision("did:web:late.example", Decision::Verified);
    log.enter(decision).unwrap();
    let acts = |log: &Log, since| log.state.acts_of_person_key(&kid(SRO[0]).thumbprint, since).collect::<Vec<_>>();
    assert_eq!(acts(&log, since), [since, since + 3]);
    assert!(acts(&log, genesis).len() > 2);
    let ahead = event(&log, SRO[0], compromise(SRO[0], 1_000_000));
    log.refused(changed(&ahead, &[kid(SRO[1]), kid(SRO[2])]), Code::SchemaMismatch, "an entry that lies ahead");
    let reported = event(&log, SRO[0], compromise(SRO[0], since + 1));
    log.enter(changed(&reported, &[kid(SRO[1]), kid(SRO[2])])).unwrap();
    let key = log.state.person(&did(SRO[0])).unwrap().keys.remove(0);
    assert_eq!((key.state, key.compromised_since), (KeyState::Compromised, Some(since + 1)));
    assert_eq!(acts(&log, since + 1), [since + 3], "the decision, and nothing before");
    assert!(log.state.contested(&kid(SRO[0]), since + 3) && !log.state.contested(&kid(SRO[0]), since));
    assert!(log.state.require_verified(&did("did:web:late.example"), Kind::Tdp).is_ok(), "a second person signed it");
    let further = event(&log, SRO[0], compromise(SRO[0], since + 2));
    log.refused(changed(&further, &[kid(SRO[1]), kid(SRO[2])]), Code::StateTransition, "it only reaches further back");
    log.refused(template(&log, "three-v1", &[kid(SRO[0]), kid(SRO[1])]), Code::SignerUnknown, "it signs no more");
    let rows: Vec<_> = log.state.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(policies::lifecycle::State::from_rows(rows).unwrap(), log.state);
}

#[test]
fn a_participant_cannot_change_a_persons_key_nor_the_other_way_round_alone() {
    let mut log = Log::furnished();
    let tdp = provider(0);
    let adding = add(&log, &tdp, second(), &BOTH);
    let body = Body::KeyChanged { event: by(&adding, &SRO[..1]), resolution: log.resolved(&did(&tdp)) };
    log.refused(body, Code::TwoPeopleNeeded, "one person for a participant");
    assert_eq!(log.state.person(&did(&tdp)), None);
    assert_eq!(House::new().offers[0].provider, did(&tdp));
}
