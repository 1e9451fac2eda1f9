//! The receiver, over real HTTP: what is signed is kept once, everything else is refused, and instructions are answered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use depa::webhook::receiver::{Check, callback};
use depa::webhook::{Payer, Receiver, Running};
use schemas::contract::ContractRef;
use schemas::desk::PaymentInstruction;
use schemas::event::{PaymentCallback, PaymentResult};
use schemas::id::{ContractId, Did, RunId};
use schemas::money::{Currency, Minor};
use schemas::{Digest, Envelope, Signer as _, Timestamp};
use serde_json::json;
use signing::webhook::{public_text, secret_text, sign};
use signing::{FileKey, Trust};
use uuid::Uuid;

const NOW: i64 = 1_800_000_000;

fn folder() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-webhook-{}", Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn trust() -> Trust {
    let key = FileKey::generate().unwrap();
    let registry = Did::parse("did:web:sro.example").unwrap();
    Trust {
        registry,
        registry_jwk: key.jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    }
}

fn obligation(n: u128) -> PaymentInstruction {
    PaymentInstruction {
        instruction_id: format!("{n:0>32}"),
        contract: ContractRef { id: ContractId::new(Uuid::from_u128(n)), sha256: Digest([1; 32]) },
        obligation_id: None,
        act: None,
        from_block: None,
        attempt: 0,
        due_at: None,
        run_id: Some(RunId::new(Uuid::from_u128(n))),
        job_sha256: None,
        period: None,
        line: None,
        term_id: "p1".into(),
        payer: Did::parse("did:web:tdc.example").unwrap(),
        payee: Did::parse("did:web:tdp.example").unwrap(),
        currency: Currency::parse("INR").unwrap(),
        amount_minor: Minor::new(500_000).unwrap(),
    }
}

fn body(obligation: &PaymentInstruction) -> Vec<u8> {
    json!({"type": "payment.instructed", "timestamp": "2026-12-01T00:00:00Z", "data": obligation})
        .to_string()
        .into_bytes()
}

fn receiver(dir: &std::path::Path, check: Check, payer: Option<Payer>) -> Running {
    let receiver = Receiver {
        address: "127.0.0.1:0".parse().unwrap(),
        journal: dir.join("webhooks.jsonl"),
        check,
        payer,
        clock: Arc::new(|| Timestamp::from_seconds(NOW)),
    };
    receiver.start(|_| {}).unwrap()
}

struct Post<'a> {
    id: &'a str,
    at: i64,
    signature: &'a str,
    body: &'a [u8],
}

fn post(running: &Running, post: &Post) -> u16 {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(running.url())
        .header("webhook-id", post.id)
        .header("webhook-timestamp", post.at.to_string())
        .header("webhook-signature", post.signature)
        .body(post.body.to_vec());
    request.send().unwrap().status().as_u16()
}

#[test]
fn signed_deliveries_are_kept_once() {
    let (dir, key, secret) = (folder(), FileKey::generate().unwrap(), secret_text(&[7; 32]));
    let body = body(&obligation(1));
    for (n, check) in
        [Check::Secret(secret.clone()), Check::Public(public_text(key.jwk()).unwrap())].into_iter().enumerate()
    {
        let dir = dir.join(n.to_string());
        std::fs::create_dir(&dir).unwrap();
        let running = receiver(&dir, check.clone(), None);
        let header = sign("msg_1", NOW, &body, &secret, &key).unwrap();
        let good = Post { id: "msg_1", at: NOW, signature: &header, body: &body };
        assert_eq!(post(&running, &good), 204);
        assert_eq!(post(&running, &good), 204);
        assert_eq!((running.received(), running.duplicates()), (1, 1));
        // Another id, another time, another body, no signature of ours, too old: refused, and nothing is kept.
        let old = sign("msg_2", NOW - 301, &body, &secret, &key).unwrap();
        let dotted = sign("msg.2", NOW, &body, &secret, &key).unwrap();
        let stranger = sign("msg_2", NOW, &body, &secret_text(&[8; 32]), &FileKey::generate().unwrap()).unwrap();
        for spoilt in [
            Post { id: "msg_2", ..good },
            Post { at: NOW + 1, ..good },
            Post { body: b"{}", ..good },
            Post { signature: "v1,AAAA", ..good },
            Post { id: "msg_2", at: NOW - 301, signature: &old, ..good },
            Post { id: "msg.2", signature: &dotted, ..good },
            Post { id: "msg_2", signature: &stranger, ..good },
        ] {
            assert_eq!(post(&running, &spoilt), 401, "{} {} {}", spoilt.id, spoilt.at, spoilt.signature);
        }
        assert_eq!((running.received(), running.refused()), (1, 7));
        running.stop();
        // What was kept is known after a restart.
        let again = receiver(&dir, check, None);
        assert_eq!(again.received(), 1);
        assert_eq!(post(&again, &good), 204);
        assert_eq!((again.received(), again.duplicates()), (1, 1));
        again.stop();
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn large_bodies_and_other_addresses_are_refused() {
    let (dir, key, secret) = (folder(), FileKey::generate().unwrap(), secret_text(&[7; 32]));
    let running = receiver(&dir, Check::Secret(secret.clone()), None);
    let large = vec![b' '; 65 * 1024];
    let header = sign("msg_1", NOW, &large, &secret, &key).unwrap();
    assert_eq!(post(&running, &Post { id: "msg_1", at: NOW, signature: &header, body: &large }), 413);
    let twice = br#"{"type":"x","type":"y"}"#;
    let header = sign("msg_1", NOW, twice, &secret, &key).unwrap();
    assert_eq!(post(&running, &Post { id: "msg_1", at: NOW, signature: &header, body: twice }), 400);
    running.stop();
    let open = Receiver {
        address: "0.0.0.0:0".parse().unwrap(),
        journal: dir.join("other.jsonl"),
        check: Check::Secret(secret),
        payer: None,
        clock: Arc::new(|| Timestamp::from_seconds(NOW)),
    };
    assert_eq!(open.start(|_| {}).err().unwrap().code, schemas::Code::ConfigInvalid);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A contract service that takes payment callbacks, failing the first call.
fn desk(taken: Arc<Mutex<Vec<Envelope<PaymentCallback>>>>) -> String {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.server_addr());
    std::thread::spawn(move || {
        let mut first = true;
        for mut request in server.incoming_requests() {
            if std::mem::take(&mut first) {
                drop(request.respond(tiny_http::Response::from_string("busy").with_status_code(500)));
                continue;
            }
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body).unwrap();
            taken.lock().unwrap().push(schemas::canonical::parse(&body).unwrap());
            drop(request.respond(tiny_http::Response::from_string(r#"{"state":"settled"}"#)));
        }
    });
    url
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn instructions_are_answered_once_even_when_the_service_fails_at_first() {
    let (dir, key, secret, trust) = (folder(), FileKey::generate().unwrap(), secret_text(&[7; 32]), trust());
    let psp = Arc::new(FileKey::generate().unwrap());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let client = contract_client::Client::new(&desk(taken.clone()), None).unwrap();
    let payer = Payer { client, key: psp.clone(), trust: trust.clone() };
    let running = receiver(&dir, Check::Secret(secret.clone()), Some(payer.clone()));
    for n in 1..=3u128 {
        let (id, body) = (format!("msg_{n}"), body(&obligation(n)));
        let header = sign(&id, NOW, &body, &secret, &key).unwrap();
        assert_eq!(post(&running, &Post { id: &id, at: NOW, signature: &header, body: &body }), 204);
    }
    until(|| running.answered() == 3);
    running.stop();
    let mut ids: Vec<String> = Vec::new();
    let mut book = signing::book::PinnedBook::new(trust.clone());
    book.add_party(&psp.did().unwrap(), schemas::party::Kind::Psp, psp.jwk().clone());
    for envelope in taken.lock().unwrap().iter() {
        let signed = signing::verify(envelope.clone(), &trust.registry, &book).unwrap();
        assert_eq!((signed.result, signed.amount_minor.get()), (PaymentResult::Settled, 500_000));
        assert!(signed.reference.starts_with("SIMULATED-"));
        ids.push(signed.instruction_id.clone());
    }
    ids.sort();
    assert_eq!(ids, [1, 2, 3].map(|n| obligation(n).instruction_id));
    // After a restart nothing is answered again.
    let again = receiver(&dir, Check::Secret(secret), Some(payer));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((again.received(), again.answered()), (3, 0));
    again.stop();
    assert_eq!(taken.lock().unwrap().len(), 3);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn callbacks_repeat_what_was_instructed() {
    let (psp, trust) = (FileKey::generate().unwrap(), trust());
    let made = callback(&obligation(5), &psp, &trust, Timestamp::from_seconds(NOW)).unwrap().read_unverified().unwrap();
    assert_eq!((made.registry, made.instruction_id), (trust.registry, obligation(5).instruction_id));
}
