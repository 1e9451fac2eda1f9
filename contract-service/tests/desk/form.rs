//! What is refused by its form alone, over bare HTTP.

use reqwest::blocking::{Client, Response};
use schemas::party::Kind;
use schemas::problem::Problem;
use schemas::{Code, Signer, canonical};

use crate::house::House;
use crate::papers;

/// A post with the usual headers, of which some may be changed.
fn post(house: &House, path: &str, media: &str, key: Option<&str>, body: &[u8]) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{}{path}", house.url())).header("content-type", media).body(body.to_vec());
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.send().unwrap()
}

fn refused(response: Response, code: Code) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: Problem = response.json().unwrap();
    assert_eq!(problem.code, code.as_str(), "{}", problem.detail);
    assert_eq!((status, problem.kind), (code.status(), format!("urn:depa:problem:{code}")));
}

fn application(house: &House) -> Vec<u8> {
    let who = &house.tdps[0];
    canonical::to_bytes(&house.sign(&papers::participant(house, who, Kind::Tdp), who)).unwrap()
}

#[test]
fn bodies_are_strict_json_within_limits() {
    let house = House::empty();
    let json = "application/json";
    let cases: [(&[u8], Code); 7] = [
        (b"{", Code::MalformedJson),
        (b"", Code::MalformedJson),
        (b"{\"payload\":\"e30\",\"payload\":\"e30\",\"signatures\":[]}", Code::DuplicateMember),
        (b"{\"payload\":\"e30\",\"signatures\":[],\"extra\":1}", Code::SchemaMismatch),
        (b"{\"payload\":\"e30\"}", Code::SchemaMismatch),
        (b"{\"payload\":1.5,\"signatures\":[]}", Code::MalformedNumber),
        (b"{\"payload\":\"e30=\",\"signatures\":[]}", Code::SchemaMismatch),
    ];
    for (body, code) in cases {
        refused(post(&house, "/v1/participants", json, Some("k"), body), code);
    }
    let large = vec![b' '; 1024 * 1024 + 1];
    refused(post(&house, "/v1/participants", json, Some("k"), &large), Code::BodyTooLarge);
    refused(post(&house, "/v1/participants", "text/plain", Some("k"), &application(&house)), Code::MediaType);
    refused(post(&house, "/v1/nothing", json, Some("k"), b"{}"), Code::NotFound);
    refused(post(&house, "/v1/trust", json, Some("k"), b"{}"), Code::MethodNotAllowed);
    // An application with a member that it does not have, signed all the same.
    let who = &house.tdps[0];
    let mut value = serde_json::to_value(papers::participant(&house, who, Kind::Tdp)).unwrap();
    value["colour"] = "red".into();
    let envelope = schemas::Envelope::<()>::new(canonical::to_bytes(&value).unwrap(), vec![]);
    let body = canonical::to_bytes(&envelope).unwrap();
    refused(post(&house, "/v1/participants", json, Some("k"), &body), Code::SchemaMismatch);
    // The same members in another order are not the bytes that are signed.
    let envelope = schemas::Envelope::<()>::new(b"{\"b\":1,\"a\":1}".to_vec(), vec![]);
    let body = canonical::to_bytes(&envelope).unwrap();
    refused(post(&house, "/v1/participants", json, Some("k"), &body), Code::NotCanonical);
}

#[test]
fn an_idempotency_key_is_needed_and_means_one_request() {
    let house = House::empty();
    let (json, body) = ("application/json", application(&house));
    refused(post(&house, "/v1/participants", json, None, &body), Code::IdempotencyKeyMissing);
    let long = "k".repeat(65);
    for bad in ["", "a b", long.as_str()] {
        refused(post(&house, "/v1/participants", json, Some(bad), &body), Code::IdempotencyKeyMissing);
    }
    let first = post(&house, "/v1/participants", json, Some("k1"), &body);
    assert_eq!(first.status(), 201);
    let first = first.bytes().unwrap();
    let again = post(&house, "/v1/participants", json, Some("k1"), &body);
    assert_eq!((again.status().as_u16(), again.bytes().unwrap()), (201, first));
    refused(post(&house, "/v1/participants", json, Some("k2"), &body), Code::ParticipantExists);
    let other =
        canonical::to_bytes(&house.sign(&papers::participant(&house, &house.tdc, Kind::Tdc), &house.tdc)).unwrap();
    refused(post(&house, "/v1/participants", json, Some("k1"), &other), Code::IdempotencyKeyReused);
    // A refusal is not kept: the key may be used again.
    let mut spoilt = papers::participant(&house, &house.tdc, Kind::Tdc);
    spoilt.jurisdiction = "India".into();
    let spoilt = canonical::to_bytes(&house.sign(&spoilt, &house.tdc)).unwrap();
    assert_eq!(post(&house, "/v1/participants", json, Some("k3"), &spoilt).status(), 422);
    assert_eq!(post(&house, "/v1/participants", json, Some("k3"), &other).status(), 201);
    // After a day the key is forgotten.
    house.skip(24 * 3600 + 1);
    refused(post(&house, "/v1/participants", json, Some("k1"), &body), Code::ParticipantExists);
}

#[test]
fn the_did_document_names_the_registry_key() {
    let house = House::empty();
    let client = Client::builder().no_proxy().build().unwrap();
    let document = client.get(format!("{}/.well-known/did.json", house.url())).send().unwrap().bytes().unwrap();
    let trust = house.trust();
    signing::did::document_names_key(&document, &trust.registry, &trust.registry_jwk).unwrap();
    assert!(signing::did::document_names_key(&document, &trust.registry, house.tdc.jwk()).is_err());
    house.client.ready().unwrap();
}
