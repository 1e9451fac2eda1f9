//! A bad network, and a restart: every call takes effect once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use contract_client::{Act, Client, Outgoing};
use contract_service::Service;
use schemas::Code;
use schemas::party::Kind;

use crate::house::House;
use crate::papers;

fn application(house: &House) -> schemas::Envelope<schemas::party::Participant> {
    house.sign(&papers::participant(house, &house.tdps[0], Kind::Tdp), &house.tdps[0])
}

#[test]
fn lost_delayed_and_doubled_calls_enter_once() {
    for act in [Act::DropRequest, Act::DropAnswer, Act::Delay(Duration::from_millis(50)), Act::Duplicate] {
        let house = House::empty();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let hook = move |call: &mut Outgoing| {
            counted.fetch_add(1, Ordering::Relaxed);
            if call.attempt == 1 { act } else { Act::Pass }
        };
        let client = house.hooked(Arc::new(hook));
        let receipt = client.apply(&application(&house)).unwrap();
        assert_eq!(receipt.index, 2, "{act:?}");
        let lost = matches!(act, Act::DropRequest | Act::DropAnswer);
        assert_eq!(calls.load(Ordering::Relaxed), if lost { 2 } else { 1 }, "{act:?}");
        // Genesis, application and the reading itself, each with the second tree's root.
        assert_eq!(house.as_(&house.sro[0]).export(0, 10).unwrap().size, 6, "{act:?}");
    }
}

#[test]
fn a_service_that_is_away_is_named_with_the_next_step() {
    let house = House::empty();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = attempts.clone();
    let hook = move |_: &mut Outgoing| {
        counted.fetch_add(1, Ordering::Relaxed);
        Act::DropRequest
    };
    let refusal = house.hooked(Arc::new(hook)).apply(&application(&house)).unwrap_err();
    assert_eq!((refusal.code, attempts.load(Ordering::Relaxed)), (Code::PeerUnreachable, 3));
    assert!(refusal.sentence.contains(house.url()) && refusal.sentence.contains("check"), "{}", refusal.sentence);
    let away = Client::new("http://127.0.0.1:1", None).unwrap();
    assert_eq!(away.trust().unwrap_err().code, Code::PeerUnreachable);
    for url in ["http://sro.example", "ftp://localhost", "localhost:80", "http://127.0.0.1.evil.example"] {
        assert_eq!(Client::new(url, None).unwrap_err().code, Code::ConfigInvalid, "{url}");
    }
}

#[test]
fn a_restart_keeps_everything() {
    let mut house = House::furnished();
    let contract = house.executed();
    let before = house.client.checkpoint().unwrap();
    house.running.take().unwrap().stop();
    assert_eq!(house.client.trust().unwrap_err().code, Code::PeerUnreachable);
    house.running = Some(Service::start(house.config.clone(), house.clock()).unwrap());
    assert_eq!(house.client.checkpoint().unwrap(), before);
    assert_eq!(house.as_(&house.tdc).contract(&contract.id).unwrap().sha256, contract.sha256);
    house.running.take().unwrap().stop();
    // Another SRO than the one of the genesis is another registry.
    let mut other = house.config.clone();
    other.sro.swap(0, 1);
    assert!(Service::start(other, house.clock()).is_err());
}

#[test]
fn the_same_at_the_same_time_enters_once() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let signature = signing::countersign(&contract, &*house.tdps[0], house.now()).unwrap();
    let reference = crate::house::reference(&contract);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let sign = || house.client.sign_contract(&reference.id, reference.sha256, signature.clone());
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(sign)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|refusal| refusal.code == Code::SignerTwice)
    );
    assert_eq!(house.as_(&house.tdc).contract(&reference.id).unwrap().contract.signatures.len(), 2);
}
