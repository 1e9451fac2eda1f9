//! Sessions: how long they last, what ends them, and what a change by one needs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

use contract_service::Service;
use reqwest::blocking::Response;
use schemas::Code;
use schemas::party::{Decision, Kind};
use serde_json::json;

use crate::browser::{Browser, enrolled};
use crate::house::House;
use crate::papers;

#[test]
fn the_cookie_is_for_this_site_alone_and_out_of_scripts_reach() {
    let house = House::furnished();
    let browser = enrolled(&house, &house.tdc, &["signer"]);
    let [cookie] = browser.set.as_slice() else { panic!("one cookie") };
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(value.len(), 43, "256 bits in base64url");
    // The database knows its hash and not the cookie itself.
    let mut stored = Vec::new();
    for file in std::fs::read_dir(&house.config.data_dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            stored.extend(std::fs::read(path).unwrap());
        }
    }
    assert!(!stored.windows(value.len()).any(|window| window == value.as_bytes()));
    assert!(stored.windows(8).any(|window| window == b"Asha Rao"), "the search looks where the person stands");
}

#[test]
fn half_an_hour_without_a_call_ends_it() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    for _ in 0..3 {
        house.skip(1799);
        browser.me().unwrap();
    }
    house.skip(1800);
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
}

#[test]
fn what_a_page_reads_by_itself_keeps_no_session_awake() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    for _ in 0..29 {
        house.skip(60);
        browser.get_quietly("/v1/contracts").unwrap();
        browser.get_quietly("/v1/people/me").unwrap();
    }
    house.skip(60);
    assert_eq!(browser.get_quietly("/v1/contracts"), Err(Code::Unauthenticated));
    // A person who asks in between is awake by that one call.
    browser.sign_in().unwrap();
    for _ in 0..40 {
        house.skip(60);
        browser.get_quietly("/v1/contracts").unwrap();
        house.skip(60);
        browser.me().unwrap();
    }
}

/// An open stream of events of who is signed in, after the line that says that it stands.
fn listens(house: &House, browser: &Browser) -> BufReader<Response> {
    let cookie: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let call = crate::browser::http().get(format!("{}/v1/events", house.url())).header("cookie", cookie.join("; "));
    let answer = call.timeout(Duration::from_secs(60)).send().unwrap();
    assert_eq!(answer.status(), 200);
    let (mut stream, mut line) = (BufReader::new(answer), String::new());
    stream.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), ": the log from here on");
    stream
}

/// Reads up to the next event of this kind.
fn hears(stream: &mut BufReader<Response>, kind: &str) {
    let mut line = String::new();
    while line.trim_end() != format!("event: {kind}") {
        line.clear();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream has ended");
    }
}

#[test]
fn who_only_listens_is_signed_out_in_time_and_the_stream_ends_with_the_session() {
    let house = House::furnished();
    let propose = || house.propose(&papers::contract(&house)).unwrap();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let mut stream = listens(&house, &browser);
    house.skip(1799);
    propose();
    hears(&mut stream, "contract_proposed");
    // What was told half an hour long was no call of the person's.
    house.skip(1);
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
    propose();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("event: contract_proposed"), "{rest}");
    browser.sign_in().unwrap();
    let mut stream = listens(&house, &browser);
    propose();
    hears(&mut stream, "contract_proposed");
    browser.post("/auth/sign-out", json!({})).unwrap();
    propose();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("event: contract_proposed"), "{rest}");
}

#[test]
fn twelve_hours_end_it_whatever_happens() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    for _ in 0..47 {
        house.skip(900);
        browser.me().unwrap();
    }
    house.skip(899);
    browser.me().unwrap();
    house.skip(1);
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
}

#[test]
fn signing_out_ends_one_session_or_all() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let mut copy = Browser::new(&house);
    copy.cookies = browser.cookies.clone();
    browser.post("/auth/sign-out", json!({})).unwrap();
    assert!(browser.cookies.is_empty(), "the cookie is taken away");
    assert_eq!(copy.me(), Err(Code::Unauthenticated), "the session has ended, not just the cookie");
    browser.sign_in().unwrap();
    let (first, csrf) = (browser.cookies.clone(), browser.csrf.clone());
    browser.cookies.clear();
    browser.sign_in().unwrap();
    copy.cookies = first;
    copy.csrf = csrf;
    copy.me().unwrap();
    copy.post("/auth/sign-out-everywhere", json!({})).unwrap();
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
}

#[test]
fn a_change_needs_the_csrf_token_and_the_own_origin() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    let other = enrolled(&house, &house.tdc, &["signer"]).csrf.unwrap();
    let csrf = browser.csrf.clone().unwrap();
    let cookie = browser.cookies.values().next().unwrap().clone();
    let path = "/auth/sign-out";
    assert_eq!(browser.post_with(path, &[]), Err(Code::CsrfInvalid));
    for wrong in ["", other.as_str(), cookie.as_str()] {
        assert_eq!(browser.post_with(path, &[("x-csrf-token", wrong)]), Err(Code::CsrfInvalid), "{wrong}");
    }
    let foreign = [("x-csrf-token", csrf.as_str()), ("origin", "https://evil.example")];
    assert_eq!(browser.post_with(path, &foreign), Err(Code::CsrfInvalid));
    browser.me().unwrap();
    browser.post_with(path, &[("x-csrf-token", &csrf), ("origin", house.url())]).unwrap();
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
}

#[test]
fn suspension_of_the_member_ends_its_sessions_for_good() {
    let house = House::furnished();
    let (mut seen, mut unseen) = (enrolled(&house, &house.tdc, &["signer"]), enrolled(&house, &house.tdc, &["signer"]));
    let decide =
        |decision| house.client.decide(&house.by_sro(&house.decision(&house.tdc, Kind::Tdc, decision))).unwrap();
    house.skip(1);
    decide(Decision::Suspended);
    assert_eq!(seen.me(), Err(Code::Unauthenticated));
    assert_eq!(seen.sign_in(), Err(Code::SignInRefused));
    house.skip(1);
    decide(Decision::Verified);
    assert_eq!(seen.me(), Err(Code::Unauthenticated));
    assert_eq!(unseen.me(), Err(Code::Unauthenticated), "also one that was not used in between");
    unseen.sign_in().unwrap();
}

#[test]
fn sessions_outlive_a_restart() {
    let mut house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    house.running.take().unwrap().stop();
    house.running = Some(Service::start(house.config.clone(), house.clock()).unwrap());
    browser.me().unwrap();
    browser.sign_in().unwrap();
}
