//! did:web: resolved by the service at registration, believed only where it names the applicant's key.

use std::net::TcpListener;
use std::sync::Arc;

use schemas::id::Did;
use schemas::party::{Decision, Kind};
use schemas::text::Bytes;
use schemas::{Code, R, Signer};
use signing::FileKey;

use crate::catcher::Catcher;
use crate::house::House;
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

/// A key of a did:web whose host is a port here; not served yet.
fn host() -> (TcpListener, FileKey) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let did = Did::parse(&format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port())).unwrap();
    (listener, FileKey::generate_for(&did).unwrap())
}

fn document(who: &FileKey, key: &FileKey) -> String {
    signing::did::web_document(&who.did().unwrap(), key.jwk()).to_string()
}

#[test]
fn a_did_web_participant_is_resolved_and_may_act() {
    let house = House::empty();
    let (listener, key) = host();
    let served = Catcher::serving(listener, document(&key, &key));
    let application = house.sign(&papers::participant(&house, &key, Kind::Tdc), &key);
    let mut forged = application.clone();
    forged.signatures[0].sig = Bytes(vec![0; 64]);
    assert_eq!(code(house.client.apply(&forged)), Code::SignatureInvalid);
    assert!(served.seen().is_empty(), "nothing is fetched for a document that nobody signed");
    house.client.apply(&application).unwrap();
    assert_eq!(served.seen().len(), 1);
    assert_eq!(served.seen()[0].path, "/.well-known/did.json");
    house.client.decide(&house.by_sro(&house.decision(&key, Kind::Tdc, Decision::Verified))).unwrap();
    let did = key.did().unwrap();
    assert_eq!(house.client.participant(&did).unwrap().state, "verified");
    assert!(house.as_(&Arc::new(key)).contracts().unwrap().contracts.is_empty());
    assert_eq!(served.seen().len(), 1, "resolved once, at registration");
}

#[test]
fn documents_that_do_not_vouch() {
    let house = House::empty();
    let apply =
        |key: &FileKey| code(house.client.apply(&house.sign(&papers::participant(&house, key, Kind::Tdc), key)));
    let (listener, key) = host();
    let other = FileKey::generate().unwrap();
    let _served = Catcher::serving(listener, document(&key, &other));
    assert_eq!(apply(&key), Code::DidUnresolved, "another key");
    let (listener, key) = host();
    let _served = Catcher::serving(listener, document(&other, &key));
    assert_eq!(apply(&key), Code::DidUnresolved, "another id");
    let (listener, key) = host();
    let _served = Catcher::serving(listener, " ".repeat(65 * 1024));
    assert_eq!(apply(&key), Code::DidUnresolved, "too large");
    let moved = Catcher::start(|_| (301, "location: http://localhost:1/\r\n".into()));
    let did = moved.url("").replace("http://", "did:web:").replace("localhost:", "localhost%3A");
    let key = FileKey::generate_for(&Did::parse(&did).unwrap()).unwrap();
    assert_eq!(apply(&key), Code::DidUnresolved, "redirects are not followed");
    assert_eq!(moved.seen().len(), 1);
    let (listener, key) = host();
    drop(listener);
    assert_eq!(apply(&key), Code::DidUnresolved, "nobody answers");
}

#[test]
fn hosts_inside_are_not_asked() {
    let house = House::empty();
    for did in ["did:web:10.0.0.1", "did:web:169.254.169.254", "did:web:192.168.1.1%3A8443", "did:web:100.64.0.1:x"] {
        let key = FileKey::generate_for(&Did::parse(did).unwrap()).unwrap();
        let application = house.sign(&papers::participant(&house, &key, Kind::Tdc), &key);
        assert_eq!(code(house.client.apply(&application)), Code::AddressRefused, "{did}");
    }
}
