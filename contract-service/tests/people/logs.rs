//! What the service tells its operator holds no secret of those who call it.

use std::fs::File;
use std::process::Command;

use schemas::party::{Decision, Kind, Participant};
use serde_json::Value;

use crate::browser::{Browser, bearer, http, link};
use crate::catcher::{Catcher, eventually};
use crate::house::House;
use crate::papers;
use crate::process::{SERVICE, serve_into, unserved};

/// The consumer is registered and verified by the machine's clock.
fn admit(house: &House) {
    let document = Participant { applied_at: house.now(), ..papers::participant(house, &house.tdc, Kind::Tdc) };
    let application = house.sign(&document, &house.tdc);
    house.client.apply(&application).unwrap();
    let decision = papers::decision(house, &house.tdc, application.digest(), Decision::Verified);
    house.client.decide(&house.by_sro(&decision)).unwrap();
}

#[test]
fn no_secret_stands_in_the_log_at_its_most_talkative() {
    let house = unserved();
    let log = house.dir.join("log");
    let mut command = Command::new(SERVICE);
    command.env("RUST_LOG", "trace");
    let service = serve_into(&house, command, File::create(&log).unwrap().into());
    admit(&house);
    // An endpoint is made and called.
    let catcher = Catcher::start(|_| (204, String::new()));
    let tdc = house.as_(&house.tdc);
    let endpoint = tdc.create_endpoint(&catcher.url("/hook"), &["contract.*"]).unwrap();
    tdc.ping_endpoint(&endpoint.endpoint_id).unwrap();
    assert!(eventually(|| !catcher.seen().is_empty()));
    // A token that counts, and one that does not.
    let token = bearer(&house, &house.tdc);
    let spoilt = format!("{token}x");
    for (token, counts) in [(&token, true), (&spoilt, false)] {
        let call = http().get(format!("{}/v1/webhooks/endpoints", house.url())).bearer_auth(token);
        assert_eq!(call.send().unwrap().status() == 200, counts);
    }
    // A person enrols, and its session is used.
    let invitation = link(&house, &house.tdc, "Asha Rao", &["signer"]);
    let mut browser = Browser::new(&house);
    browser.enrol(&invitation).unwrap();
    browser.me().unwrap();
    drop(service);

    let log = std::fs::read_to_string(log).unwrap();
    for told in ["\"access\"", "a request was refused"] {
        assert!(log.contains(told), "it is talkative, and this is its log: {log}");
    }
    let key: Value = serde_json::from_slice(&std::fs::read(&house.config.key_file).unwrap()).unwrap();
    let mut secrets =
        vec![token, endpoint.secret, invitation, browser.csrf.unwrap(), key["d"].as_str().unwrap().into()];
    assert!(!browser.cookies.is_empty());
    secrets.extend(browser.cookies.into_values());
    for secret in secrets {
        let secret = secret.trim_start_matches("whsec_");
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}
