//! People: rights that count once, passkeys whose counters race, sessions that end, on whichever database the house has.

use registry::{Ceremony, CodeHash, EnrolmentRight, NewMeans, NewSession, PasskeyUse, StoredPasskey};
use schemas::id::{PasskeyId, PersonId};
use schemas::person::Role;
use schemas::{Code, Digest};

use crate::house::{House, start, uuid};

fn right(house: &House, secret: &str) -> EnrolmentRight {
    EnrolmentRight {
        token_sha256: Digest::of(secret.as_bytes()),
        person_id: PersonId::new(uuid()),
        member: house.tdc.did().unwrap(),
        name: "Asha".into(),
        roles: vec![Role::TdcAdmin, Role::Signer],
        made_by: "somebody".into(),
        expires_at: start().plus_seconds(100),
    }
}

fn passkey(credential: &[u8]) -> StoredPasskey {
    StoredPasskey {
        passkey_id: PasskeyId::new(uuid()),
        credential: credential.to_vec(),
        label: "laptop".into(),
        passkey: "{}".into(),
        uses: 0,
        created_at: start(),
        last_used_at: None,
    }
}

fn session(cookie: &str, instead_of: Option<&str>) -> NewSession {
    let hash = |text: &str| Digest::of(text.as_bytes());
    let (token_sha256, instead_of) = (hash(cookie), instead_of.map(hash));
    NewSession { token_sha256, method: "passkey".into(), standing: 7, stepped_up: false, instead_of }
}

/// A house with one person, who has a passkey, two recovery codes and the session `one`.
fn enrolled() -> (House, EnrolmentRight) {
    let house = House::empty();
    let right = right(&house, "link");
    house.registry.add_enrolment(&right, start()).unwrap();
    let codes = ["a", "b"].map(|selector| CodeHash { selector: selector.into(), hash: vec![1; 48] });
    let means = NewMeans::Passkey(passkey(b"credential"));
    let made = house.registry.enrol(&right.token_sha256, means, codes.into(), session("one", None), start()).unwrap();
    assert_eq!(made.unwrap().roles, right.roles);
    (house, right)
}

#[test]
fn a_right_makes_its_person_once_and_in_time() {
    let (house, used) = enrolled();
    let again = NewMeans::Passkey(passkey(b"another"));
    let outcome = house.registry.enrol(&used.token_sha256, again, Vec::new(), session("two", None), start()).unwrap();
    assert_eq!(outcome, None);
    assert_eq!(house.registry.session(&Digest::of(b"two"), start()).unwrap(), None, "nothing of it stands");
    let late = right(&house, "late");
    house.registry.add_enrolment(&late, start()).unwrap();
    assert!(house.registry.enrolment(&late.token_sha256, start().plus_seconds(99)).unwrap().is_some());
    assert_eq!(house.registry.enrolment(&late.token_sha256, start().plus_seconds(100)).unwrap(), None);
    let same = NewMeans::Passkey(passkey(b"credential"));
    let taken = house.registry.enrol(&late.token_sha256, same, Vec::new(), session("two", None), start()).unwrap_err();
    assert_eq!(taken.code, Code::SignInRefused);
    assert!(house.registry.enrolment(&late.token_sha256, start()).unwrap().is_some(), "a refusal uses nothing up");
}

#[test]
fn a_member_has_so_many_open_links() {
    let house = House::empty();
    for n in 0..100 {
        house.registry.add_enrolment(&right(&house, &n.to_string()), start()).unwrap();
    }
    let refused = house.registry.add_enrolment(&right(&house, "more"), start()).unwrap_err();
    assert_eq!(refused.code, Code::LimitExceeded);
    house.registry.add_enrolment(&right(&house, "later"), start().plus_seconds(100)).unwrap();
}

#[test]
fn of_two_uses_of_one_passkey_at_one_time_one_counts() {
    let (house, right) = enrolled();
    let (stored, person) = house.registry.passkey(b"credential").unwrap().unwrap();
    assert_eq!(person.person_id, right.person_id);
    let sign_in = |cookie: &str| PasskeyUse::SignIn(right.person_id.clone(), session(cookie, Some("one")));
    assert!(house.registry.use_passkey(&stored, sign_in("two"), start()).unwrap());
    assert!(!house.registry.use_passkey(&stored, sign_in("three"), start()).unwrap());
    let found = |cookie: &[u8]| house.registry.session(&Digest::of(cookie), start()).unwrap().is_some();
    assert_eq!([found(b"one"), found(b"two"), found(b"three")], [false, true, false]);
    house.registry.add_passkey(&right.person_id, passkey(b"second"), start()).unwrap();
    assert!(house.registry.remove_passkey(&right.person_id, &stored.passkey_id).unwrap());
    assert!(!house.registry.remove_passkey(&right.person_id, &stored.passkey_id).unwrap());
    assert!(house.registry.passkey(b"credential").unwrap().is_none());
}

/// Whoever removes all passkeys at once keeps one.
#[test]
fn of_passkeys_removed_at_one_time_the_last_one_stays() {
    let (house, right) = enrolled();
    for credential in [&b"second"[..], b"third", b"fourth"] {
        house.registry.add_passkey(&right.person_id, passkey(credential), start()).unwrap();
    }
    let (house, holder) = (&house, &right.person_id);
    let all = house.registry.passkeys(holder).unwrap();
    let ends: Vec<Result<bool, Code>> = std::thread::scope(|scope| {
        let remove = |id| move || house.registry.remove_passkey(holder, id).map_err(|e| e.code);
        let threads: Vec<_> = all.iter().map(|p| scope.spawn(remove(&p.passkey_id))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(ends.iter().filter(|end| **end == Ok(true)).count(), 3, "{ends:?}");
    assert_eq!(ends.iter().filter(|end| **end == Err(Code::Forbidden)).count(), 1, "{ends:?}");
    assert_eq!(house.registry.passkeys(holder).unwrap().len(), 1);
}

#[test]
fn sessions_end_by_time_by_their_holder_and_with_their_person() {
    let (house, right) = enrolled();
    let registry = &house.registry;
    let token = Digest::of(b"one");
    let at = |seconds: i64| registry.session(&token, start().plus_seconds(seconds)).unwrap().map(|(s, _)| s);
    assert_eq!((at(0).unwrap().standing, at(59).unwrap().stale, at(60).unwrap().stale), (7, false, true));
    assert!(at(1799).is_some() && at(1800).is_none());
    registry.touch_session(&token, start().plus_seconds(43_199)).unwrap();
    assert!(at(43_199).is_some() && at(43_200).is_none());
    registry.end_session(&token).unwrap();
    assert!(at(43_199).is_none());
    registry.start_session(&right.person_id, session("two", None), start()).unwrap();
    registry.suspend_person(&right.person_id, start()).unwrap();
    assert!(registry.session(&Digest::of(b"two"), start()).unwrap().is_none());
    assert_eq!(registry.people(&[house.tdc.did().unwrap()]).unwrap()[0].suspended_at, Some(start()));
}

#[test]
fn challenges_and_recovery_codes_count_once() {
    let (house, person) = enrolled();
    let registry = &house.registry;
    let ceremony = Ceremony {
        id: "c".into(),
        kind: "sign-in".into(),
        subject: None,
        state: "{}".into(),
        expires_at: start().plus_seconds(300),
    };
    registry.begin_ceremony(&ceremony, start()).unwrap();
    assert_eq!(registry.take_ceremony("c", "sign-in", start()).unwrap(), ceremony);
    assert_eq!(registry.take_ceremony("c", "sign-in", start()).unwrap_err().code, Code::ChallengeUnknown);
    for (kind, seconds) in [("step-up", 0), ("sign-in", 300)] {
        registry.begin_ceremony(&ceremony, start()).unwrap();
        let refused = registry.take_ceremony("c", kind, start().plus_seconds(seconds)).unwrap_err();
        assert_eq!(refused.code, Code::ChallengeUnknown, "{kind}");
    }
    let mut grant = right(&house, "grant");
    grant.person_id = person.person_id.clone();
    assert!(registry.recovery_code("a").unwrap().is_some());
    assert!(registry.use_recovery_code("a", &grant, start()).unwrap());
    assert!(registry.recovery_code("a").unwrap().is_none());
    assert!(!registry.use_recovery_code("a", &grant, start()).unwrap());
    assert!(registry.enrolment(&grant.token_sha256, start()).unwrap().is_some());
    registry.replace_recovery_codes(&person.person_id, Vec::new()).unwrap();
    assert!(registry.recovery_code("b").unwrap().is_none());
}

#[test]
fn an_account_is_one_persons() {
    let (house, _) = enrolled();
    let link = |secret: &str| {
        let right = right(&house, secret);
        house.registry.add_enrolment(&right, start()).unwrap();
        let means = NewMeans::Oidc { issuer: "https://idp.example".into(), subject: "asha".into() };
        house.registry.enrol(&right.token_sha256, means, Vec::new(), session(secret, None), start())
    };
    let person = link("x").unwrap().unwrap();
    let found = house.registry.oidc_person("https://idp.example", "asha").unwrap().unwrap();
    assert_eq!(found.person_id, person.person_id);
    assert!(house.registry.oidc_person("https://other.example", "asha").unwrap().is_none());
    assert_eq!(link("y").unwrap_err().code, Code::SignInRefused);
}
