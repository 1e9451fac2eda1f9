//! Tokens of attestation results: signed by the one known key, or nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use schemas::text::Bytes;
use schemas::{Code, Signer, Timestamp, canonical};
use serde_json::{Value, json};
use signing::{FileKey, ear};

fn now() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

fn claims() -> Value {
    json!({"iat": now().seconds(), "exp": now().seconds() + 300, "submods": {}})
}

fn refused(token: &str, key: &FileKey, at: Timestamp) {
    assert_eq!(ear::read(token, key.kid(), key.jwk(), at).unwrap_err().code, Code::Unauthenticated, "{token}");
}

#[test]
fn a_token_counts_under_its_key_until_it_ends() {
    let (key, other) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let token = ear::sign(&claims(), &key).unwrap();
    assert_eq!(ear::read(&token, key.kid(), key.jwk(), now()).unwrap(), claims());
    refused(&token, &other, now());
    refused(&token, &key, now().plus_seconds(300));
    refused(&ear::sign(&json!({"iat": 1}), &key).unwrap(), &key, now());
}

#[test]
fn a_key_in_the_header_is_not_read() {
    let (key, stranger) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let part = |value: &Value| Bytes(canonical::to_bytes(value).unwrap()).text();
    let made = |header: Value, signer: &FileKey| {
        let input = format!("{}.{}", part(&header), part(&claims()));
        format!("{input}.{}", Bytes(signer.sign_bytes(input.as_bytes()).unwrap().to_vec()).text())
    };
    let header = |kid: &FileKey| json!({"alg": "EdDSA", "kid": kid.kid(), "typ": "ear+jwt"});
    assert!(ear::read(&made(header(&key), &key), key.kid(), key.jwk(), now()).is_ok());
    let mut with_key = header(&key);
    with_key["jwk"] = json!(stranger.jwk());
    refused(&made(with_key.clone(), &stranger), &key, now());
    refused(&made(with_key, &key), &key, now());
    refused(&made(header(&key), &stranger), &key, now());
    refused(&made(header(&stranger), &stranger), &key, now());
    for (member, value) in [("alg", "none"), ("alg", "HS256"), ("typ", "at+jwt")] {
        let mut header = header(&key);
        header[member] = json!(value);
        refused(&made(header, &key), &key, now());
    }
}
