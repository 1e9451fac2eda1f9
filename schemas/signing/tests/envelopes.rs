//! Envelopes spoilt one thing at a time: each is refused with one code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use std::sync::Arc;

use schemas::contract::{Contract, ContractRef, ContractRevoke};
use schemas::envelope::{PartySignature, Proposed, Usage};
use schemas::event::Body;
use schemas::id::{ContractId, Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Digest, Document, Envelope, KeyBook, R, Signed, Signer, Timestamp};
use signing::{FileKey, countersign, sign, verify, verify_body, verify_by};

struct Book(Vec<(KeyId, Usage, Jwk)>);

impl KeyBook for Book {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        self.0.iter().find(|(k, u, _)| k.holder == kid.holder && *u == usage).map(|(_, _, j)| j.clone())
    }
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

fn document() -> ContractRevoke {
    ContractRevoke {
        schema: "contract-revoke.v1".into(),
        registry: registry(),
        contract: ContractRef { id: ContractId::new(uuid::Uuid::from_u128(7)), sha256: Digest([7; 32]) },
        reason: "consent withdrawn".into(),
        cause: schemas::contract::Cause::AtWill,
        revoked_at: now(),
    }
}

fn book(keys: &[&FileKey]) -> Book {
    Book(keys.iter().map(|k| (k.kid().clone(), Usage::Party, k.jwk().clone())).collect())
}

fn refusal(result: R<Signed<ContractRevoke>>) -> Code {
    result.map(|_| ()).unwrap_err().code
}

/// A signature with a protected header of the test's making, honestly signed.
fn with_header(key: &FileKey, payload: &Bytes, header: &str) -> PartySignature {
    let protected = Bytes(header.as_bytes().to_vec());
    let input = format!("{}.{}", protected.text(), payload.text());
    let sig = key.sign_bytes(input.as_bytes()).unwrap().to_vec();
    PartySignature { form: schemas::envelope::Form::Jws, protected, kid: key.kid().clone(), sig: Bytes(sig) }
}

#[test]
fn good_signatures_of_two_parties_make_signed() {
    let (a, b) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let mut envelope = sign(&document(), &a, now()).unwrap();
    envelope.signatures.push(countersign(&envelope, &b, now()).unwrap());
    let signed = verify(envelope, &registry(), &book(&[&a, &b])).unwrap();
    assert_eq!(signed.signers().len(), 2);
    assert!(signed.signed_by(&a.did().unwrap()) && signed.signed_by(&b.did().unwrap()));
    assert_eq!(signed.reason, "consent withdrawn");
}

#[test]
fn one_bad_signature_spoils_the_envelope_wherever_it_stands() {
    let (a, b) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let good = sign(&document(), &a, now()).unwrap();
    let mut zero = countersign(&good, &b, now()).unwrap();
    zero.sig = Bytes(vec![0; 64]);
    for order in [[0, 1], [1, 0]] {
        let both = [good.signatures[0].clone(), zero.clone()];
        let envelope = Envelope::new(good.payload.0.clone(), order.iter().map(|i| both[*i].clone()).collect());
        assert_eq!(refusal(verify(envelope, &registry(), &book(&[&a, &b]))), Code::SignatureInvalid);
    }
}

#[test]
fn what_is_spoilt_gives_its_own_code() {
    let key = FileKey::generate().unwrap();
    let stranger = FileKey::generate().unwrap();
    let keys = book(&[&key]);
    let good = sign(&document(), &key, now()).unwrap();
    let check = |e: Envelope<ContractRevoke>| refusal(verify(e, &registry(), &keys));

    assert_eq!(check(Envelope::new(good.payload.0.clone(), vec![])), Code::SignatureMissing);
    let twice = vec![good.signatures[0].clone(), countersign(&good, &key, now()).unwrap()];
    assert_eq!(check(Envelope::new(good.payload.0.clone(), twice)), Code::SignerTwice);
    assert_eq!(check(Envelope::new(good.payload.0.clone(), vec![good.signatures[0].clone(); 65])), Code::LimitExceeded);
    assert_eq!(check(sign(&document(), &stranger, now()).unwrap()), Code::SignerUnknown);
    let other = Did::parse("did:web:other.example").unwrap();
    assert_eq!(refusal(verify(good.clone(), &other, &keys)), Code::WrongRegistry);
    assert_eq!(refusal(verify_by(good.clone(), &registry(), &keys, "did:key:zElse")), Code::SignerNotParty);

    // Every bit of payload, header and signature counts.
    for (part, step) in [(0, 97), (1, 53), (2, 31)] {
        let mut spoilt = good.clone();
        let bytes = match part {
            0 => &mut spoilt.payload.0,
            1 => &mut spoilt.signatures[0].protected.0,
            _ => &mut spoilt.signatures[0].sig.0,
        };
        let bits = bytes.len() * 8;
        for bit in (0..bits).step_by(step) {
            let mut one = good.clone();
            let bytes = match part {
                0 => &mut one.payload.0,
                1 => &mut one.signatures[0].protected.0,
                _ => &mut one.signatures[0].sig.0,
            };
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(one, &registry(), &keys).is_err(), "part {part} bit {bit}");
        }
    }
    // S + L, the malleated twin of a good signature.
    let l = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut malleated = good.clone();
    let mut carry = 0u16;
    for (s, l) in malleated.signatures[0].sig.0[32..].iter_mut().zip(&l) {
        let sum = u16::from(*s) + u16::from(*l) + carry;
        *s = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(check(malleated), Code::SignatureInvalid);
}

#[test]
fn headers_that_other_readers_would_honour_are_refused() {
    let key = FileKey::generate().unwrap();
    let keys = book(&[&key]);
    let payload = sign(&document(), &key, now()).unwrap().payload;
    let kid = key.kid().to_string();
    let cty = "application/vnd.depa.contract-revoke.v1+json";
    let headers = [
        (format!(r#"{{"alg":"none","cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::AlgorithmRefused),
        (format!(r#"{{"alg":"HS256","cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::AlgorithmRefused),
        (format!(r#"{{"alg":"EdDSA","alg":"EdDSA","cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::SignatureForm),
        (format!(r#"{{"alg":"EdDSA","crit":["b64"],"cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::SignatureForm),
        (format!(r#"{{"alg":"EdDSA","b64":false,"cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::SignatureForm),
        (format!(r#"{{"alg":"EdDSA","cty":"{cty}","iat":1,"jku":"https://x","kid":"{kid}"}}"#), Code::SignatureForm),
        (format!(r#"{{"alg":"EdDSA","cty":"{cty}","iat":1,"jwk":{{}},"kid":"{kid}"}}"#), Code::SignatureForm),
        (format!(r#"{{"alg": "EdDSA","cty":"{cty}","iat":1,"kid":"{kid}"}}"#), Code::SignatureForm),
        (
            format!(r#"{{"alg":"EdDSA","cty":"application/vnd.depa.contract.v1+json","iat":1,"kid":"{kid}"}}"#),
            Code::SignatureContext,
        ),
        (format!(r#"{{"alg":"EdDSA","cty":"{cty}","iat":1,"kid":"{kid}","typ":"at+jwt"}}"#), Code::SignatureForm),
    ];
    for (header, code) in headers {
        let envelope = Envelope::new(payload.0.clone(), vec![with_header(&key, &payload, &header)]);
        assert_eq!(refusal(verify(envelope, &registry(), &keys)), code, "{header}");
    }
    let fine = format!(r#"{{"alg":"Ed25519","cty":"{cty}","iat":1,"kid":"{kid}"}}"#);
    assert!(
        verify(
            Envelope::<ContractRevoke>::new(payload.0.clone(), vec![with_header(&key, &payload, &fine)]),
            &registry(),
            &keys
        )
        .is_ok()
    );
}

#[test]
fn payloads_must_be_canonical_and_of_their_schema() {
    let key = FileKey::generate().unwrap();
    let keys = book(&[&key]);
    let canonical = String::from_utf8(schemas::canonical::to_bytes(&document()).unwrap()).unwrap();
    let kid = key.kid().to_string();
    let header =
        format!(r#"{{"alg":"EdDSA","cty":"application/vnd.depa.contract-revoke.v1+json","iat":1,"kid":"{kid}"}}"#);
    let cases = [
        (canonical.replacen('{', "{ ", 1), Code::NotCanonical),
        (canonical.replacen('{', r#"{"reason":"x","#, 1), Code::DuplicateMember),
        (canonical.replace("contract-revoke.v1", "contract.v1"), Code::SchemaMismatch),
        (
            canonical
                .replacen("\"reason\"", "\"raison\"", 1)
                .replace(r#""raison":"consent withdrawn","#, r#""raison":"x","#),
            Code::SchemaMismatch,
        ),
        (format!("{canonical} "), Code::NotCanonical),
    ];
    for (text, code) in cases {
        let payload = Bytes(text.clone().into_bytes());
        let envelope = Envelope::new(payload.0.clone(), vec![with_header(&key, &payload, &header)]);
        let got = refusal(verify(envelope, &registry(), &keys));
        assert!(got == code || (code == Code::SchemaMismatch && got == Code::NotCanonical), "{text}: {got}");
    }
}

#[test]
fn a_service_key_signs_no_document_of_a_person() {
    let key = FileKey::generate().unwrap();
    let keys = Book(vec![(key.kid().clone(), Usage::Service, key.jwk().clone())]);
    let envelope = sign(&document(), &key, now()).unwrap();
    assert_eq!(refusal(verify(envelope, &registry(), &keys)), Code::SignerUnknown);
}

/// What was read when it was proposed is not read again; what nobody read is, and nothing else is let off.
#[test]
fn a_further_signature_is_verified_over_proposed_bytes() {
    let key = FileKey::generate().unwrap();
    let payload = Bytes(br#"{"b":1, "a":2}"#.to_vec());
    let header = |cty: &str| format!(r#"{{"alg":"EdDSA","cty":"{cty}","iat":1,"kid":"{}"}}"#, key.kid());
    let good = with_header(&key, &payload, &header(Contract::PAYLOAD_TYPE));
    let enter = |read: bool, signature: &PartySignature, book: &Book| {
        let proposed = Proposed { payload: Arc::new(payload.clone()), read };
        let body = Body::ContractSigned { contract: document().contract, signature: signature.clone() };
        verify_body(body, &registry(), book, &|_| Some(proposed.clone())).map(drop).map_err(|e| e.code)
    };
    let keys = book(&[&key]);
    assert_eq!(enter(true, &good, &keys), Ok(()));
    assert_eq!(enter(false, &good, &keys), Err(Code::NotCanonical), "bytes that nobody read are read");
    let mut spoilt = good.clone();
    spoilt.sig.0[40] ^= 1;
    assert_eq!(enter(true, &spoilt, &keys), Err(Code::SignatureInvalid));
    assert_eq!(enter(true, &good, &Book(vec![])), Err(Code::SignerUnknown));
    let other = with_header(&key, &payload, &header(ContractRevoke::PAYLOAD_TYPE));
    assert_eq!(enter(true, &other, &keys), Err(Code::SignatureContext));
    let of_others = with_header(&key, &Bytes(b"{}".to_vec()), &header(Contract::PAYLOAD_TYPE));
    assert_eq!(enter(true, &of_others, &keys), Err(Code::SignatureInvalid), "over other bytes");
}
