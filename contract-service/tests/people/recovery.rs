//! Recovery codes: each opens one new passkey, once.

use schemas::Code;
use serde_json::json;

use crate::browser::{Browser, enrolled, link};
use crate::house::House;

#[test]
fn a_code_opens_one_new_passkey_once() {
    let house = House::furnished();
    let mut lost = Browser::new(&house);
    let made = lost.enrol(&link(&house, &house.tdps[0], "Asha", &["signer"])).unwrap();
    let code = made["recovery_codes"][0].as_str().unwrap().to_owned();
    let mut browser = Browser::new(&house);
    let typed = code.to_lowercase().replace('-', " ");
    let token = browser.post("/auth/recovery", json!({"code": typed})).unwrap()["token"].as_str().unwrap().to_owned();
    assert_eq!(browser.me(), Err(Code::Unauthenticated), "a code alone signs nobody in");
    let enrolled = browser.enrol(&token).unwrap();
    assert_eq!(enrolled["session"]["person_id"], made["session"]["person_id"]);
    assert!(enrolled["recovery_codes"].as_array().unwrap().is_empty());
    assert_eq!(browser.enrol(&token), Err(Code::EnrolmentInvalid));
    assert_eq!(browser.post("/auth/recovery", json!({"code": code})), Err(Code::SignInRefused));
    browser.sign_in().unwrap();
    // The next one still counts; what it opens closes after a quarter of an hour.
    let next = made["recovery_codes"][1].as_str().unwrap();
    let token = browser.post("/auth/recovery", json!({"code": next})).unwrap()["token"].as_str().unwrap().to_owned();
    house.skip(15 * 60);
    assert_eq!(browser.enrol(&token), Err(Code::EnrolmentInvalid));
}

#[test]
fn wrong_codes_and_wrong_forms_look_alike() {
    let house = House::furnished();
    let mut browser = Browser::new(&house);
    let made = browser.enrol(&link(&house, &house.tdps[0], "Asha", &["signer"])).unwrap();
    let code = made["recovery_codes"][0].as_str().unwrap();
    let last = if code.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &code[..code.len() - 1]);
    for bad in [wrong.as_str(), "0000-0000-0000-0000-0000-0000", "", "hello"] {
        assert_eq!(browser.post("/auth/recovery", json!({"code": bad})), Err(Code::SignInRefused), "{bad}");
    }
    browser.post("/auth/recovery", json!({"code": code})).unwrap();
}

#[test]
fn fresh_codes_end_the_earlier_ones() {
    let house = House::furnished();
    let mut browser = Browser::new(&house);
    let made = browser.enrol(&link(&house, &house.tdc, "Asha", &["signer"])).unwrap();
    let fresh = browser.post("/v1/people/me/recovery-codes", json!({})).unwrap();
    assert_eq!(fresh["codes"].as_array().unwrap().len(), 10);
    let old = &made["recovery_codes"][0];
    assert_eq!(browser.post("/auth/recovery", json!({"code": old})), Err(Code::SignInRefused));
    browser.post("/auth/recovery", json!({"code": fresh["codes"][0]})).unwrap();
}

#[test]
fn codes_of_a_suspended_person_open_nothing() {
    let house = House::furnished();
    let mut browser = Browser::new(&house);
    let made = browser.enrol(&link(&house, &house.tdc, "Asha", &["signer"])).unwrap();
    let id = made["session"]["person_id"].as_str().unwrap();
    let mut admin = enrolled(&house, &house.tdc, &["tdc_admin"]);
    admin.post(&format!("/v1/people/{id}/suspend"), json!({})).unwrap();
    let code = &made["recovery_codes"][0];
    assert_eq!(browser.post("/auth/recovery", json!({"code": code})), Err(Code::SignInRefused));
    assert_eq!(browser.sign_in(), Err(Code::SignInRefused));
}
