//! Signing in with an identity provider: the good way in two algorithms, and each wrong one.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use contract_service::config::{Budget, Rates};
use contract_service::people::OidcSettings;
use schemas::{Code, Timestamp};
use serde_json::{Value, json};

use crate::browser::{Browser, Got, enrolled, link};
use crate::house::House;
use crate::provider::{CLIENT, Manner, Provider, SECRET};

/// A house with a provider; its clock is the house's, once there is one.
fn house() -> (House, Provider) {
    house_with(BTreeMap::new())
}

fn house_with(require: BTreeMap<String, Vec<String>>) -> (House, Provider) {
    let clock: Arc<OnceLock<contract_service::Clock>> = Arc::default();
    let late = clock.clone();
    let provider = Provider::start(Arc::new(move || late.get().map_or(Timestamp::from_seconds(0), |clock| clock())));
    let issuer = provider.url.clone();
    let house = House::with(move |config| {
        let file = config.key_file.with_file_name("oidc.secret");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        let (client_id, scopes) = (CLIENT.to_owned(), vec!["profile".to_owned()]);
        config.people.oidc = Some(OidcSettings { issuer, client_id, client_secret_file: file, scopes, require });
    });
    drop(clock.set(house.clock()));
    (house.furnish(), provider)
}

/// Goes to the provider and back.
fn go(browser: &mut Browser, provider: &Provider, begin: Value) -> Got {
    let url = browser.post("/auth/oidc", begin)?["url"].as_str().unwrap().to_owned();
    back(browser, &provider.agree(&url))
}

fn back(browser: &mut Browser, query: &BTreeMap<String, String>) -> Got {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    browser.get(&format!("/auth/oidc/callback?{}", pairs.join("&")))
}

fn linked(house: &House, provider: &Provider) -> Browser {
    let mut browser = Browser::new(house);
    let token = link(house, &house.tdc, "Asha Rao", &["signer"]);
    go(&mut browser, provider, json!({"token": token})).unwrap();
    browser
}

#[test]
fn an_account_is_linked_by_an_enrolment_and_signs_in_by_both_algorithms() {
    let (house, provider) = house();
    let mut browser = linked(&house, &provider);
    let me = browser.me().unwrap();
    assert_eq!((&me["method"], &me["display_name"]), (&json!("oidc"), &json!("Asha Rao")));
    assert_eq!(me["stepped_up_until"], Value::Null, "an account steps nothing up");
    for algorithm in ["ES256", "RS256"] {
        provider.set(|manner| manner.algorithm = algorithm);
        let mut again = Browser::new(&house);
        let page = go(&mut again, &provider, json!({})).unwrap();
        assert!(page.as_str().unwrap().contains("signed in"));
        assert!(again.set.iter().any(|cookie| cookie.starts_with("depa=") && cookie.contains("SameSite=Strict")));
        assert_eq!(again.me().unwrap()["person_id"], me["person_id"]);
    }
    browser.csrf = Some(me["csrf_token"].as_str().unwrap().into());
    assert_eq!(browser.add_passkey("phone"), Err(Code::StepUpNeeded));
    assert_eq!(browser.assert_at("/auth/step-up"), Err(Code::Forbidden), "there is no passkey to step up with");
}

#[test]
fn nobody_gets_in_by_an_account_alone() {
    let (house, provider) = house();
    linked(&house, &provider);
    provider.set(|manner| manner.subject = "mallory@idp".into());
    let mut browser = Browser::new(&house);
    assert_eq!(go(&mut browser, &provider, json!({})), Err(Code::SignInRefused));
    assert_eq!(browser.me(), Err(Code::Unauthenticated));
    assert_eq!(browser.post("/auth/oidc", json!({"token": "unknown"})), Err(Code::EnrolmentInvalid));
    // An account is one person's: a second link does not take it over.
    provider.set(|manner| manner.subject = "asha@idp".into());
    let token = link(&house, &house.tdps[0], "Bela", &["signer"]);
    assert_eq!(go(&mut browser, &provider, json!({"token": token})), Err(Code::SignInRefused));
}

#[test]
fn an_id_token_that_is_wrong_in_one_thing_is_refused() {
    let (house, provider) = house();
    linked(&house, &provider);
    let good = provider.manner.lock().unwrap().clone();
    let now = house.now().seconds();
    let claim = |name: &'static str, value: Value| -> Box<dyn Fn(&mut Manner)> {
        Box::new(move |manner| {
            let value = value.clone();
            manner.claims = Arc::new(move |claims| claims[name] = value.clone());
        })
    };
    type Spoil = (&'static str, Box<dyn Fn(&mut Manner)>);
    let spoils: Vec<Spoil> = vec![
        ("nonce", claim("nonce", json!("another"))),
        ("no nonce", claim("nonce", json!(null))),
        ("audience", claim("aud", json!("another-client"))),
        ("further audience", claim("aud", json!([CLIENT, "another-client"]))),
        ("issuer", claim("iss", json!("https://idp.example"))),
        ("expired", claim("exp", json!(now))),
        ("issued long ago", claim("iat", json!(now - 3600))),
        ("issued in the future", claim("iat", json!(now + 3600))),
        ("access token of another", claim("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("none", Box::new(|manner| manner.algorithm = "none")),
        ("shared secret", Box::new(|manner| manner.algorithm = "HS256")),
        ("foreign key", Box::new(|manner| manner.foreign_key = true)),
    ];
    for (name, spoil) in spoils {
        provider.set(|manner| {
            *manner = good.clone();
            spoil(manner);
        });
        let mut browser = Browser::new(&house);
        assert_eq!(go(&mut browser, &provider, json!({})), Err(Code::SignInRefused), "{name}");
        assert_eq!(browser.me(), Err(Code::Unauthenticated), "{name}");
    }
    provider.set(|manner| *manner = good);
    go(&mut Browser::new(&house), &provider, json!({})).unwrap();
}

#[test]
fn the_way_back_counts_once_and_in_the_browser_that_went() {
    let (house, provider) = house();
    linked(&house, &provider);
    let mut browser = Browser::new(&house);
    let url =
        |browser: &mut Browser| browser.post("/auth/oidc", json!({})).unwrap()["url"].as_str().unwrap().to_owned();
    let query = provider.agree(&url(&mut browser));
    // Another browser brings the answer: a login that was planted.
    let mut victim = Browser::new(&house);
    assert_eq!(back(&mut victim, &query), Err(Code::SignInRefused));
    url(&mut victim);
    assert_eq!(back(&mut victim, &query), Err(Code::SignInRefused));
    let cookies = browser.cookies.clone();
    back(&mut browser, &query).unwrap();
    browser.cookies = cookies.clone();
    assert_eq!(back(&mut browser, &query), Err(Code::ChallengeUnknown), "a state counts once");
    // A code that was used, in a fresh attempt: the provider refuses it, and PKCE would, if the provider forgot.
    provider.set(|manner| manner.forgetful = true);
    let mut replay = provider.agree(&url(&mut browser));
    replay.insert("code".into(), query["code"].clone());
    assert_eq!(back(&mut browser, &replay), Err(Code::SignInRefused));
    // The provider says no; another issuer answers; too late.
    let mut refused = provider.agree(&url(&mut browser));
    refused.remove("code");
    refused.insert("error".into(), "access_denied".into());
    assert_eq!(back(&mut browser, &refused), Err(Code::SignInRefused));
    let mut other = provider.agree(&url(&mut browser));
    other.insert("iss".into(), "https://idp.example".into());
    assert_eq!(back(&mut browser, &other), Err(Code::SignInRefused));
    let late = provider.agree(&url(&mut browser));
    house.skip(600);
    assert_eq!(back(&mut browser, &late), Err(Code::ChallengeUnknown));
}

#[test]
fn claims_that_the_configuration_names_must_hold() {
    let require = [("groups".to_owned(), vec!["desk".to_owned(), "office".to_owned()])];
    let (house, provider) = house_with(require.into());
    linked(&house, &provider);
    for wrong in [json!(["all"]), json!("desks"), json!(null), json!(7)] {
        let value = wrong.clone();
        provider.set(|manner| manner.claims = Arc::new(move |claims| claims["groups"] = value.clone()));
        let outcome = go(&mut Browser::new(&house), &provider, json!({}));
        assert_eq!(outcome, Err(Code::SignInRefused), "{wrong}");
    }
    provider.set(|manner| manner.claims = Arc::new(|claims| claims["groups"] = json!("office")));
    go(&mut Browser::new(&house), &provider, json!({})).unwrap();
}

#[test]
fn a_refused_way_back_tells_the_address_its_code_and_nothing_of_the_call() {
    let (house, _provider) = house();
    let query = "state=x&code=y&error=%3Cscript%3E&error_description=call+me&refused=OTHER&iss=https://evil.example";
    let url = format!("{}/auth/oidc/callback?{query}", house.url());
    let answer = crate::browser::http().get(url).send().unwrap();
    assert_eq!(answer.status(), 303);
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("location").as_deref(), Some("/portal/?refused=SIGN_IN_REFUSED"), "a path of this service alone");
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
    assert_eq!(header("set-cookie"), None, "another sign-in that is on its way goes on");
}

#[test]
fn a_way_back_that_comes_too_often_leads_to_the_page_too() {
    let tokens = Budget { per_second: 1, burst: 3 };
    let house = House::with(|config| config.rates = Rates { tokens, ..Rates::default() });
    let back = || crate::browser::http().get(format!("{}/auth/oidc/callback?code=x", house.url())).send().unwrap();
    let limited = |answer: &reqwest::blocking::Response| answer.headers().get("retry-after").is_some();
    let answer = (0..50).map(|_| back()).find(limited).unwrap();
    let place = answer.headers()["location"].to_str().unwrap();
    assert_eq!((answer.status().as_u16(), place), (303, "/portal/?refused=RATE_LIMITED"));
    assert_eq!(answer.text().unwrap(), "", "no problem document");
    // Whom no browser asks for is told as ever.
    let asked = |_| crate::browser::http().post(format!("{}/auth/oidc", house.url())).json(&json!({})).send().unwrap();
    assert!((0..50).map(asked).any(|answer| answer.status() == 429));
}

#[test]
fn without_a_provider_there_is_none() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdc, &["signer"]);
    assert_eq!(browser.post("/auth/oidc", json!({})), Err(Code::NotFound));
    assert_eq!(browser.get("/auth/oidc/callback?code=x&state=y"), Err(Code::NotFound));
}
