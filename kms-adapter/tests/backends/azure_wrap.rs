//! `azure-wrap` against the fake of Azure, through the official crates.

use kms_adapter::Secret;
use kms_adapter::backend::azure::AzureWrap;
use kms_adapter::backend::{KekRef, KeyBackend};
use schemas::id::Did;
use schemas::{Code, R};
use serde_json::{Value, json};

use crate::azure_cloud::{Cloud, b64, rsa};
use crate::server::{Reply, Server};

const ATTEMPTS: usize = 3;

fn provider() -> Did {
    Did::parse("did:web:tdp.example").unwrap()
}

pub fn code<T>(result: R<T>) -> Code {
    let refusal = result.map(drop).unwrap_err();
    assert!(!refusal.sentence.contains("imds-token"), "{}", refusal.sentence);
    refusal.code
}

fn house() -> (Cloud, AzureWrap) {
    let cloud = Cloud::new();
    let backend = AzureWrap::new(&cloud.settings()).unwrap();
    (cloud, backend)
}

/// A key-encryption key, a key and its wrap.
fn wrapped(cloud: &Cloud, backend: &AzureWrap) -> (KekRef, Secret, Vec<u8>) {
    let (kek, key) = (backend.create_kek(&provider()).unwrap(), Secret::random().unwrap());
    let wrapped = backend.wrap(&kek, &key, b"aad").unwrap();
    cloud.server.taken();
    (kek, key, wrapped)
}

#[test]
fn a_key_opens_under_its_own_version_and_context_only() {
    let (cloud, backend) = house();
    let first = backend.create_kek(&provider()).unwrap();
    let requests = cloud.server.taken();
    let paths: Vec<&str> = requests.iter().map(|r| r.path.split('?').next().unwrap()).collect();
    let create = format!("/keys/{}/create", first.name);
    assert_eq!(paths, [create.as_str(), "/metadata/identity/oauth2/token", create.as_str()]);
    assert!(requests[0].body.is_empty() && requests[0].header("authorization").is_empty(), "the challenge first");
    let asked = requests[2].json();
    assert_eq!((&asked["kty"], &asked["key_ops"]), (&json!("RSA-HSM"), &json!(["wrapKey", "unwrapKey"])));
    let key = Secret::random().unwrap();
    let kept = backend.wrap(&first, &key, b"aad").unwrap();
    assert_eq!(backend.unwrap(&first, &kept, b"aad").unwrap().expose(), key.expose());
    backend.health().unwrap();
    assert_eq!(code(backend.unwrap(&first, &kept, b"other")), Code::KeyRowTampered);
    let other = backend.create_kek(&provider()).unwrap();
    assert_eq!(code(backend.unwrap(&other, &kept, b"aad")), Code::KeyRowTampered);
    for at in (0..kept.len()).step_by(37) {
        let mut spoilt = kept.clone();
        spoilt[at] ^= 1;
        assert_eq!(code(backend.unwrap(&first, &spoilt, b"aad")), Code::KeyRowTampered, "byte {at}");
    }
}

#[test]
fn versions_follow_each_other_and_are_switched_off() {
    let (cloud, backend) = house();
    let (first, key, kept) = wrapped(&cloud, &backend);
    let second = backend.rotate(&first).unwrap();
    assert_eq!(second.name, first.name);
    assert_ne!(second.version, first.version);
    let rewrapped = backend.wrap(&second, &key, b"aad").unwrap();
    assert_eq!(code(backend.unwrap(&second, &kept, b"aad")), Code::KeyRowTampered);
    for _ in 0..2 {
        backend.destroy(&first).unwrap();
    }
    assert_eq!(code(backend.unwrap(&first, &kept, b"aad")), Code::PeerFault);
    assert_eq!(backend.unwrap(&second, &rewrapped, b"aad").unwrap().expose(), key.expose());
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let (cloud, backend) = house();
    let (kek, key, kept) = wrapped(&cloud, &backend);
    let unwrap = || backend.unwrap(&kek, &kept, b"aad");
    let busy = Reply::With(429, vec![("Retry-After", "0".into())], Vec::new());
    let down = Reply::Json(500, json!({"error": {"code": "InternalError"}}));
    cloud.server.next([busy.clone(), down.clone()]);
    assert_eq!(unwrap().unwrap().expose(), key.expose());
    assert_eq!(cloud.server.taken().len(), 3);
    for reply in [busy, down, Reply::Json(503, json!({}))] {
        cloud.server.always(Some(reply));
        assert_eq!(code(unwrap()), Code::PeerFault);
        assert_eq!(cloud.server.taken().len(), ATTEMPTS);
    }
    for status in [403, 404, 409] {
        cloud.server.always(Some(Reply::Json(status, json!({"error": {"code": "Forbidden"}}))));
        assert_eq!(code(unwrap()), Code::PeerFault, "{status}");
        assert_eq!(cloud.server.taken().len(), 1, "{status} is not tried again");
    }
    cloud.server.honest();
    assert_eq!(unwrap().unwrap().expose(), key.expose());
}

#[test]
fn redirects_are_not_followed() {
    let (cloud, backend) = house();
    let (kek, _, kept) = wrapped(&cloud, &backend);
    let other = Server::start(|_| Reply::Json(200, json!({})));
    for status in [302, 307, 308] {
        cloud.server.always(Some(Reply::With(status, vec![("Location", other.url())], Vec::new())));
        assert_eq!(code(backend.unwrap(&kek, &kept, b"aad")), Code::PeerFault);
    }
    assert_eq!(cloud.server.taken().len(), 3);
    assert!(other.taken().is_empty());
}

#[test]
fn silence_is_a_time_out_after_few_attempts() {
    let cloud = Cloud::new();
    let mut settings = cloud.settings();
    settings.timeout_ms = 500;
    let backend = AzureWrap::new(&settings).unwrap();
    cloud.server.always(Some(Reply::Silence));
    assert_eq!(code(backend.health()), Code::Timeout);
    assert!(cloud.server.taken().len() <= ATTEMPTS);
}

#[test]
fn without_a_token_of_the_machine_nothing_is_asked() {
    for status in [400, 404, 410, 429, 500, 502] {
        let (cloud, backend) = house();
        cloud.server.lie(move |request, reply| match request.path.starts_with("/metadata") {
            true => Reply::Json(status, json!({"error": "invalid_request"})),
            false => reply,
        });
        assert_eq!(code(backend.create_kek(&provider())), Code::PeerFault, "{status}");
        let requests = cloud.server.taken();
        let asked = requests.iter().filter(|r| r.path.starts_with("/metadata")).count();
        assert_eq!(asked, if status == 429 || status >= 500 { ATTEMPTS } else { 1 }, "{status}");
        assert!(requests.iter().all(|r| r.body.is_empty()), "{status}");
    }
}

#[test]
fn a_challenge_without_end_or_for_another_vault_is_refused() {
    let challenge = |resource: &str| {
        let text = format!("Bearer authorization=\"https://login.test/t\", resource=\"{resource}\"");
        Reply::With(401, vec![("WWW-Authenticate", text)], Vec::new())
    };
    for (resource, most) in [("https://vault.test", 4), ("https://vault.evil", 1)] {
        let (cloud, backend) = house();
        let answer = challenge(resource);
        cloud.server.lie(move |request, reply| match request.path.starts_with("/keys") {
            true => answer.clone(),
            false => reply,
        });
        assert_eq!(code(backend.create_kek(&provider())), Code::PeerFault);
        let requests = cloud.server.taken();
        assert!(requests.len() <= most, "{} requests", requests.len());
        if resource == "https://vault.evil" {
            assert!(requests.iter().all(|r| r.header("authorization").is_empty()), "the token stays here");
        }
    }
}

/// Changes good JSON answers to paths with this end.
fn twist(cloud: &Cloud, end: &'static str, change: impl Fn(&mut Value) + Send + 'static) {
    cloud.server.lie(move |request, reply| match reply {
        Reply::Json(200, mut body) if request.path.split('?').next().unwrap().ends_with(end) => {
            change(&mut body);
            Reply::Json(200, body)
        }
        reply => reply,
    });
}

#[test]
fn a_key_other_than_was_asked_for_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 10] = [
        ("exportable", |b| b["attributes"]["exportable"] = json!(true)),
        ("a policy", |b| b["release_policy"] = json!({"data": b64(b"{}"), "contentType": "application/json"})),
        ("another type", |b| b["key"]["kty"] = json!("RSA")),
        ("a short key", |b| b["key"]["n"] = json!(b64(&[0xff; 128]))),
        ("a weak exponent", |b| b["key"]["e"] = json!(b64(&[3]))),
        ("no key", |b| b["key"] = Value::Null),
        ("no version", |b| b["key"]["kid"] = json!("https://tdp.vault.test/keys/depa-kek")),
        ("another name", |b| b["key"]["kid"] = json!("https://tdp.vault.test/keys/other/0123")),
        ("another vault", |b| {
            let kid = b["key"]["kid"].as_str().unwrap().replace("tdp.vault.test", "tdp.vault.test.evil");
            b["key"]["kid"] = json!(kid);
        }),
        ("no identifier", |b| b["key"]["kid"] = Value::Null),
    ];
    for (what, change) in changes {
        let (cloud, backend) = house();
        twist(&cloud, "/create", change);
        assert_eq!(code(backend.create_kek(&provider())), Code::PeerFault, "{what}");
    }
}

#[test]
fn a_public_key_that_is_not_the_vaults_keeps_nothing() {
    let (cloud, backend) = house();
    let n = b64(&rsa().rsa().unwrap().n().to_vec());
    twist(&cloud, "/create", move |body| body["key"]["n"] = json!(n));
    let kek = backend.create_kek(&provider()).unwrap();
    cloud.server.honest();
    let kept = backend.wrap(&kek, &Secret::random().unwrap(), b"aad");
    assert_eq!(code(kept), Code::KeyRowTampered);
}

#[test]
fn a_lying_vault_gives_no_key() {
    let (cloud, backend) = house();
    let (kek, key, kept) = wrapped(&cloud, &backend);
    let other = backend.wrap(&kek, &Secret::random().unwrap(), b"other").unwrap();
    cloud.server.taken();
    let value = |plain: &[u8]| {
        let value = b64(plain);
        move |body: &mut Value| body["value"] = json!(value)
    };
    let unwrap = || code(backend.unwrap(&kek, &kept, b"aad"));
    twist(&cloud, "/unwrapkey", value(key.expose()));
    assert_eq!(unwrap(), Code::KeyRowTampered, "the key alone");
    twist(&cloud, "/unwrapkey", value(&[b"DWK1", &key.expose()[..], &[7; 32]].concat()));
    assert_eq!(unwrap(), Code::KeyRowTampered, "another code");
    twist(&cloud, "/unwrapkey", |body| body["value"] = Value::Null);
    assert_eq!(unwrap(), Code::PeerFault, "nothing");
    twist(&cloud, "/unwrapkey", |body| body["value"] = json!("%%%"));
    assert_eq!(unwrap(), Code::PeerFault, "no Base64");
    twist(&cloud, "/unwrapkey", |body| {
        let (key, _) = body["kid"].as_str().unwrap().rsplit_once('/').unwrap();
        body["kid"] = json!(format!("{key}/{}", "0".repeat(32)));
    });
    assert_eq!(unwrap(), Code::PeerFault, "another version");
    // The genuine plaintext of another use.
    let genuine = std::sync::Mutex::new(None);
    cloud.server.lie(move |_, reply| genuine.lock().unwrap().get_or_insert(reply).clone());
    backend.unwrap(&kek, &other, b"other").unwrap();
    assert_eq!(unwrap(), Code::KeyRowTampered, "the plaintext of another use");
    cloud.server.honest();
    for (what, reply) in [
        ("no JSON", Reply::With(200, Vec::new(), b"{\"kid\":\"x\",\"val".to_vec())),
        ("less than announced", Reply::Cut(b"{\"kid\":\"".to_vec())),
        ("too much", Reply::With(200, Vec::new(), vec![b' '; 65 * 1024])),
        ("an empty success", Reply::With(204, Vec::new(), Vec::new())),
    ] {
        cloud.server.taken();
        cloud.server.next([reply]);
        assert_eq!(unwrap(), Code::PeerFault, "{what}");
        assert_eq!(cloud.server.taken().len(), 1, "{what} is not tried again");
    }
    assert_eq!(backend.unwrap(&kek, &kept, b"aad").unwrap().expose(), key.expose());
}

#[test]
fn only_the_named_authority_vouches_for_the_vault() {
    let (cloud, stranger) = (Cloud::new(), Cloud::new());
    let mut settings = cloud.settings();
    settings.ca_file = Some(stranger.server.ca_file.clone());
    assert_eq!(code(AzureWrap::new(&settings).unwrap().health()), Code::PeerUnreachable);
    assert!(cloud.server.taken().is_empty());
}
