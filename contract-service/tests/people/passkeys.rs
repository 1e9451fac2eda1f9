//! Passkeys: what signs in and what does not; several, removed ones, stepping up.

use schemas::Code;
use serde_json::json;

use crate::browser::{Browser, Got, enrolled, link};
use crate::house::House;

fn refused(outcome: Got) {
    assert_eq!(outcome, Err(Code::SignInRefused));
}

#[test]
fn a_passkey_signs_in_and_nothing_is_asked_beforehand() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdps[0], &["signer"]);
    let first = browser.cookies.clone();
    let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
    assert!(begun["options"]["publicKey"]["allowCredentials"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(begun["options"]["publicKey"]["userVerification"], "required");
    let view = browser.sign_in().unwrap();
    assert_eq!(view["method"], "passkey");
    assert_ne!(browser.cookies, first, "every sign-in has a cookie of its own");
    assert_eq!(view["person_id"], browser.me().unwrap()["person_id"]);
    let mut before = Browser::new(&house);
    before.cookies = first;
    assert_eq!(before.me(), Err(Code::Unauthenticated), "the session before it has ended");
}

#[test]
fn registering_asks_for_a_key_that_is_found_by_itself() {
    let house = House::furnished();
    let mut browser = Browser::new(&house);
    let token = link(&house, &house.tdc, "Asha", &["signer"]);
    let begun = browser.post("/auth/enrol/options", json!({"token": token})).unwrap();
    let options = &begun["options"]["publicKey"];
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["rp"]["id"], "localhost");
    // Who, and for which organisation.
    assert_eq!(options["user"]["displayName"], "Asha");
    assert!(options["user"]["name"].as_str().unwrap().starts_with("Asha, Example "), "{}", options["user"]["name"]);
    let token = link(&house, &house.sro[0], "Asha", &["sro_admin"]);
    let begun = browser.post("/auth/enrol/options", json!({"token": token})).unwrap();
    assert_eq!(begun["options"]["publicKey"]["user"]["name"], "Asha, SRO");
}

#[test]
fn wrong_origins_relying_parties_and_unverified_people_do_not_register() {
    let house = House::furnished();
    let token = link(&house, &house.tdc, "Asha", &["signer"]);
    let spoil: [fn(&mut Browser); 4] = [
        |b| b.keys.origin = "https://evil.example".into(),
        |b| b.keys.rp = "evil.example".into(),
        |b| b.keys.verifies = false,
        |b| b.keys.framed = true,
    ];
    for spoil in spoil {
        let mut browser = Browser::new(&house);
        spoil(&mut browser);
        refused(browser.enrol(&token));
        assert_eq!(browser.me(), Err(Code::Unauthenticated));
    }
    Browser::new(&house).enrol(&token).unwrap();
}

#[test]
fn wrong_origins_relying_parties_and_unverified_people_do_not_sign_in() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let (origin, rp) = (browser.keys.origin.clone(), browser.keys.rp.clone());
    browser.keys.origin = origin.replace("localhost", "evil.localhost");
    refused(browser.sign_in());
    browser.keys.origin = origin;
    browser.keys.rp = "example".into();
    refused(browser.sign_in());
    browser.keys.rp = rp;
    browser.keys.verifies = false;
    refused(browser.sign_in());
    browser.keys.verifies = true;
    browser.keys.framed = true;
    refused(browser.sign_in());
    browser.keys.framed = false;
    browser.keys.keys[0].user[0] ^= 1;
    refused(browser.sign_in());
    browser.keys.keys[0].user[0] ^= 1;
    browser.sign_in().unwrap();
}

#[test]
fn a_challenge_counts_once_and_for_five_minutes() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
    let body = json!({"challenge_id": begun["challenge_id"], "credential": browser.keys.get(&begun["options"])});
    browser.post("/auth/passkey", body.clone()).unwrap();
    assert_eq!(browser.post("/auth/passkey", body), Err(Code::ChallengeUnknown));
    let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
    let other = browser.post("/auth/passkey/options", json!({})).unwrap();
    // An answer to another challenge, under this one's id.
    let crossed = json!({"challenge_id": begun["challenge_id"], "credential": browser.keys.get(&other["options"])});
    refused(browser.post("/auth/passkey", crossed));
    house.skip(300);
    let late = json!({"challenge_id": other["challenge_id"], "credential": browser.keys.get(&other["options"])});
    assert_eq!(browser.post("/auth/passkey", late), Err(Code::ChallengeUnknown));
    // A challenge for one thing is none for another.
    let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
    let elsewhere = json!({"challenge_id": begun["challenge_id"], "credential": browser.keys.get(&begun["options"])});
    assert_eq!(browser.post("/auth/step-up", elsewhere), Err(Code::ChallengeUnknown));
}

#[test]
fn a_counter_that_goes_back_or_stands_still_is_a_copy() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    browser.keys.keys[0].counter = 9;
    browser.sign_in().unwrap();
    for counter in [3, 9] {
        browser.keys.keys[0].counter = counter;
        refused(browser.sign_in());
    }
    browser.keys.keys[0].counter = 10;
    browser.sign_in().unwrap();
}

#[test]
fn unknown_foreign_and_garbled_credentials_look_alike() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let mut stranger = Browser::new(&house);
    let made = json!({"publicKey": {"challenge": "AAAA", "user": {"id": "AAAA"}}});
    stranger.keys.create(&made);
    refused(stranger.sign_in());
    let mut sign_in_with = |change: fn(&mut serde_json::Value)| {
        let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
        let mut credential = browser.keys.get(&begun["options"]);
        change(&mut credential);
        browser.post("/auth/passkey", json!({"challenge_id": begun["challenge_id"], "credential": credential}))
    };
    refused(sign_in_with(|credential| credential["response"]["signature"] = json!("MEUCIQ")));
    refused(sign_in_with(|credential| credential["response"]["userHandle"] = json!(null)));
    refused(sign_in_with(|credential| credential["rawId"] = json!("AAAA")));
    refused(sign_in_with(|credential| *credential = json!({})));
    sign_in_with(|_| {}).unwrap();
}

#[test]
fn several_passkeys_stand_side_by_side_and_a_removed_one_is_gone() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdps[0], &["signer"]);
    let only = browser.get("/v1/people/me/passkeys").unwrap()["passkeys"][0]["passkey_id"].as_str().unwrap().to_owned();
    let remove = |id: &str| format!("/v1/people/me/passkeys/{id}/remove");
    assert_eq!(browser.post(&remove(&only), json!({})), Err(Code::Forbidden), "the last one stays");
    let added = browser.add_passkey("phone").unwrap();
    assert_eq!(added["label"], "phone");
    browser.sign_in().unwrap();
    browser.post(&remove(&only), json!({})).unwrap();
    assert_eq!(browser.post(&remove(&only), json!({})), Err(Code::NotFound));
    let begun = browser.post("/auth/passkey/options", json!({})).unwrap();
    let credential = browser.keys.get_with(0, &begun["options"]);
    refused(browser.post("/auth/passkey", json!({"challenge_id": begun["challenge_id"], "credential": credential})));
    browser.sign_in().unwrap();
    // Of others, nothing is removed.
    let mut other = enrolled(&house, &house.tdps[1], &["signer"]);
    other.add_passkey("phone").unwrap();
    let theirs = added["passkey_id"].as_str().unwrap();
    assert_eq!(other.post(&remove(theirs), json!({})), Err(Code::NotFound));
}

#[test]
fn what_needs_a_fresh_assertion_gets_none_after_five_minutes() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    house.skip(299);
    browser.add_passkey("phone").unwrap();
    house.skip(1);
    for outcome in [
        browser.add_passkey("watch"),
        browser.post("/v1/people/me/recovery-codes", json!({})),
        browser.post("/v1/people/me/passkeys/pky_01900000-0000-7000-8000-000000000001/remove", json!({})),
    ] {
        assert_eq!(outcome, Err(Code::StepUpNeeded));
    }
    let before = browser.me().unwrap()["stepped_up_until"].clone();
    let view = browser.assert_at("/auth/step-up").unwrap();
    assert_ne!(view["stepped_up_until"], before);
    browser.add_passkey("watch").unwrap();
    house.skip(300);
    // Somebody else's passkey steps nothing up.
    let mut other = enrolled(&house, &house.tdc, &["signer"]);
    let begun = browser.post("/auth/step-up/options", json!({})).unwrap();
    let body = json!({"challenge_id": begun["challenge_id"], "credential": other.keys.get(&begun["options"])});
    refused(browser.post("/auth/step-up", body));
    // Nor does a challenge of another session.
    let begun = browser.post("/auth/step-up/options", json!({})).unwrap();
    let body = json!({"challenge_id": begun["challenge_id"], "credential": other.keys.get(&begun["options"])});
    assert_eq!(other.post("/auth/step-up", body), Err(Code::ChallengeUnknown));
    assert_eq!(browser.add_passkey("late"), Err(Code::StepUpNeeded));
}
