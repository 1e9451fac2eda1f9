//! The official verifiers of Standard Webhooks take our deliveries and nothing that was spoilt: in Rust here, in Python and
//! JavaScript where `sh infra/interop.sh` could make their environments.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use signing::FileKey;
use signing::webhook::sign;

use crate::catcher::{Catcher, eventually};
use crate::house::House;

/// What a receiver gets.
#[derive(Clone)]
struct Delivery {
    id: String,
    at: String,
    signatures: String,
    body: String,
}

/// Their time is the machine's, so the house's clock is set to it.
fn today() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn house() -> House {
    let house = House::furnished();
    house.skip(today() - house.now().seconds());
    house
}

/// The n-th delivery that came.
fn caught(catcher: &Catcher, n: usize) -> Delivery {
    assert!(eventually(|| catcher.seen().len() > n));
    let seen = catcher.seen().remove(n);
    let header = |name: &str| seen.header(name).unwrap().to_owned();
    Delivery {
        id: header("webhook-id"),
        at: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
        body: String::from_utf8(seen.body.clone()).unwrap(),
    }
}

/// What is wrong with a delivery, the secret it is checked with, and the delivery.
type Spoilt = (&'static str, String, Delivery);

/// Good deliveries with the secret that checks each, and spoilt ones: each differs from a good one in one thing.
fn cases() -> (Vec<(String, Delivery)>, Vec<Spoilt>) {
    let house = house();
    let catcher = Catcher::start(|_| (204, String::new()));
    let tdc = house.as_(&house.tdc);
    let old = tdc.create_endpoint(&catcher.url("/"), &["contract.activated"]).unwrap();
    tdc.ping_endpoint(&old.endpoint_id).unwrap();
    let plain = caught(&catcher, 0);
    let new = tdc.rotate_endpoint(&old.endpoint_id, 3600).unwrap();
    house.executed();
    let both = caught(&catcher, 1);
    assert_eq!((plain.signatures.split(' ').count(), both.signatures.split(' ').count()), (2, 4));
    let good =
        vec![(old.secret.clone(), plain.clone()), (old.secret.clone(), both.clone()), (new.secret.clone(), both)];
    let signed = |at: i64| {
        let signer = FileKey::generate().unwrap();
        let signatures = sign(&plain.id, at, plain.body.as_bytes(), &old.secret, &signer).unwrap();
        Delivery { at: at.to_string(), signatures, ..plain.clone() }
    };
    let another = (plain.at.parse::<i64>().unwrap() - 1).to_string();
    let v1a = plain.signatures.split(' ').nth(1).unwrap().to_owned();
    let stranger = signing::webhook::secret_text(&[7; 32]);
    let spoilt = vec![
        ("an old timestamp", old.secret.clone(), signed(today() - 310)),
        ("a future timestamp", old.secret.clone(), signed(today() + 330)),
        ("another timestamp", old.secret.clone(), Delivery { at: another, ..plain.clone() }),
        ("a swapped id", old.secret.clone(), Delivery { id: "msg_other".into(), ..plain.clone() }),
        ("a trailing space", old.secret.clone(), Delivery { body: format!("{} ", plain.body), ..plain.clone() }),
        ("the other version alone", old.secret.clone(), Delivery { signatures: v1a, ..plain.clone() }),
        ("another secret", stranger, plain.clone()),
        ("the new secret before the rotation", new.secret, plain),
    ];
    (good, spoilt)
}

fn compare(takes: impl Fn(&str, &Delivery) -> bool) {
    let (good, spoilt) = cases();
    for (n, (secret, delivery)) in good.iter().enumerate() {
        assert!(takes(secret, delivery), "good delivery {n} is refused");
    }
    for (what, secret, delivery) in spoilt {
        assert!(!takes(&secret, &delivery), "{what} is taken");
    }
}

#[test]
fn the_rust_verifier_takes_our_deliveries_and_nothing_spoilt() {
    compare(|secret, delivery| {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("webhook-id", delivery.id.parse().unwrap());
        headers.insert("webhook-timestamp", delivery.at.parse().unwrap());
        headers.insert("webhook-signature", delivery.signatures.parse().unwrap());
        verifier.verify(delivery.body.as_bytes(), &headers).is_ok()
    });
}

/// Runs a verifier; 0 is taken, 1 is refused, all else is a fault of the test's.
fn runs(command: &mut Command, secret: &str, delivery: &Delivery) -> bool {
    let headers = json!({
        "webhook-id": delivery.id, "webhook-timestamp": delivery.at, "webhook-signature": delivery.signatures,
    });
    let given = json!({"secret": secret, "headers": headers, "body": delivery.body}).to_string();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    match child.wait().unwrap().code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("the verifier ended with {other:?}"),
    }
}

/// A place under `.build/interop` that is made, or a word that it is missing.
fn made(name: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../.build/interop/{name}"));
    if place.join("made-of").exists() {
        return Some(place);
    }
    println!("NOT RUN webhook verifier {name}: sh infra/interop.sh makes its environment");
    None
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/interop").join(name)
}

#[test]
fn the_python_verifier_takes_our_deliveries_and_nothing_spoilt() {
    let Some(place) = made("webhooks") else { return };
    compare(|secret, delivery| {
        runs(Command::new(place.join("bin/python")).arg(script("verify_webhook.py")), secret, delivery)
    });
}

#[test]
fn the_javascript_verifier_takes_our_deliveries_and_nothing_spoilt() {
    let Some(place) = made("webhooks-js") else { return };
    compare(|secret, delivery| {
        let mut node = Command::new("node");
        runs(node.arg(script("verify_webhook.mjs")).arg(place.canonicalize().unwrap()), secret, delivery)
    });
}
