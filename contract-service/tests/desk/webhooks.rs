//! Webhooks: delivered once, signed twice over, tried again after failure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemas::desk::EndpointCreated;
use schemas::jwk::Jwk;
use schemas::{Code, R};
use sha2::Sha256;
use signing::webhook::{Verifier, verify};

use crate::catcher::{Catcher, Seen, eventually};
use crate::house::House;

const PAID: &str = "payment.instructed";

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

/// Both signatures, the first recomputed from the specification's words alone.
fn is_signed(seen: &Seen, endpoint: &EndpointCreated, house: &House) {
    let header = |name: &str| seen.header(name).unwrap().to_owned();
    let (id, at, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let mut content = format!("{id}.{at}.").into_bytes();
    content.extend_from_slice(&seen.body);
    let secret = STANDARD.decode(endpoint.secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(&content);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let parts: Vec<&str> = signatures.split(' ').collect();
    assert_eq!(parts[0], expected);
    let public = STANDARD.decode(endpoint.public_key.strip_prefix("whpk_").unwrap()).unwrap();
    let signature = STANDARD.decode(parts[1].strip_prefix("v1a,").unwrap()).unwrap();
    signing::check::verify_strict(&Jwk::ed25519(public.try_into().unwrap()), &content, &signature).unwrap();
    verify(&Verifier::Public(&endpoint.public_key), &id, &at, &signatures, &seen.body, house.now()).unwrap();
}

#[test]
fn instructions_arrive_once_and_signed() {
    let mut house = House::furnished();
    let catcher = Catcher::start(|_| (200, String::new()));
    let endpoint = house.as_(&house.psp).create_endpoint(&catcher.url("/pay"), &[PAID]).unwrap();
    let run = house.running();
    let completion = house.completion(&run);
    let completion = house.sign(&completion, &run.key);
    let done = house.client.complete(&run.run_id, &completion).unwrap();
    house.client.complete(&run.run_id, &completion).unwrap();
    assert!(eventually(|| catcher.seen().len() >= 2));
    std::thread::sleep(std::time::Duration::from_millis(200));
    let seen = catcher.seen();
    assert_eq!(seen.len(), 2, "one per obligation, once");
    let mut told = Vec::new();
    for one in &seen {
        is_signed(one, &endpoint, &house);
        assert_eq!((one.path.as_str(), one.header("content-type")), ("/pay", Some("application/json")));
        let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!(body["type"], PAID);
        told.push(body["data"]["instruction_id"].as_str().unwrap().to_owned());
    }
    told.sort();
    let mut owed: Vec<String> = done.obligations.iter().map(|o| o.instruction_id.clone()).collect();
    owed.sort();
    assert_eq!(told, owed);
    let psp = house.as_(&house.psp);
    assert!(eventually(|| psp.deliveries().unwrap().deliveries.iter().all(|d| d.state == "delivered")));
    let deliveries = psp.deliveries().unwrap().deliveries;
    assert!(deliveries.len() == 2 && deliveries.iter().all(|d| d.attempts == 1));
    // The list shows no secret, and nothing of others.
    assert_eq!(psp.endpoints().unwrap().endpoints[0].endpoint_id, endpoint.endpoint_id);
    assert!(house.as_(&house.tdc).endpoints().unwrap().endpoints.is_empty());
    assert!(house.as_(&house.tdc).deliveries().unwrap().deliveries.is_empty());
}

#[test]
fn failed_deliveries_are_tried_again_and_given_up_in_the_end() {
    let house = House::with(|config| {
        config.webhooks.retry_seconds = vec![0, 5, 300];
        config.webhooks.jitter_percent = 0;
    })
    .furnish();
    let fails = Catcher::start(|n| if n < 2 { (500, String::new()) } else { (204, String::new()) });
    let moved = Catcher::start(|_| (302, "location: http://localhost:1/\r\n".into()));
    let gone = Catcher::start(|_| (410, String::new()));
    for (who, catcher) in [(&house.tdps[0], &fails), (&house.tdps[1], &moved), (&house.tdc, &gone)] {
        house.as_(who).create_endpoint(&catcher.url("/"), &["contract.activated"]).unwrap();
    }
    house.executed();
    assert!(eventually(|| fails.seen().len() == 1 && moved.seen().len() == 1 && gone.seen().len() == 1));
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(fails.seen().len(), 1, "not before its time");
    // What a catcher has seen is not yet entered; the next try counts from when it is.
    let entered = |attempts| {
        let one = |who| house.as_(who).deliveries().unwrap().deliveries[0].clone();
        let waits = |who| (one(who).state.as_str(), one(who).attempts) == ("pending", attempts);
        eventually(|| house.tdps.iter().take(2).all(waits))
    };
    assert!(entered(1));
    house.skip(5);
    assert!(eventually(|| fails.seen().len() == 2 && moved.seen().len() == 2));
    assert!(entered(2));
    house.skip(300);
    assert!(eventually(|| fails.seen().len() == 3 && moved.seen().len() == 3));
    let state = |who| house.as_(who).deliveries().unwrap().deliveries[0].state.clone();
    assert!(eventually(|| state(&house.tdps[0]) == "delivered" && state(&house.tdps[1]) == "dead"));
    assert_eq!(state(&house.tdc), "dead");
    assert_eq!(house.as_(&house.tdc).endpoints().unwrap().endpoints[0].state, "disabled");
    let ids: Vec<_> = fails.seen().iter().map(|s| s.header("webhook-id").unwrap().to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one id for all attempts");
    house.skip(86_400);
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!((moved.seen().len(), gone.seen().len()), (3, 1));
}

#[test]
fn addresses_inside_are_not_called() {
    let house = House::furnished();
    let psp = house.as_(&house.psp);
    for url in [
        "http://10.0.0.1/",
        "https://169.254.169.254/latest",
        "http://hooks.example/",
        "https://[fd00::1]/",
        "file:///etc",
    ] {
        assert_eq!(code(psp.create_endpoint(url, &[PAID])), Code::AddressRefused, "{url}");
    }
    assert_eq!(code(psp.create_endpoint("http://localhost:9/", &[])), Code::SchemaMismatch);
    assert_eq!(code(psp.create_endpoint("http://localhost:9/", &["everything"])), Code::SchemaMismatch);
}
