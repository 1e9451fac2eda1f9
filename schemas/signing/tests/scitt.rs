//! Statements and both forms of receipt: written, verified, spoilt.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod keys;

use ciborium::Value;
use coset::{CoseSign1, TaggedCborSerializable};
use keys::Key;
use schemas::event::Body;
use schemas::id::Did;
use schemas::log::{leaf_hash, node_hash};
use schemas::text::Bytes;
use schemas::{Code, Digest, Signer};
use signing::scitt::ccf::{self, Leaf, Step};
use signing::scitt::receipt::{self, Claims, Place};
use signing::{EcKey, FileKey, scitt, verify_body};

const CLAIMS: Claims<'static> = Claims { issuer: "did:web:sro.example", subject: "dataset/7" };

fn statement(key: &Key, legacy: bool, payload: &[u8]) -> Vec<u8> {
    let (did, kid) = (key.did().to_string(), key.kid().to_string().into_bytes());
    let mut entries = vec![(1, Value::from(key.alg())), (4, Value::Bytes(kid))];
    if legacy {
        entries.extend([(391, Value::Text(did)), (392, Value::Text("dataset/7".into()))]);
    } else {
        let claims = vec![(Value::from(1), Value::Text(did)), (Value::from(2), Value::Text("dataset/7".into()))];
        entries.push((15, Value::Map(claims)));
    }
    keys::sign1(key, &keys::map(entries), Value::Map(vec![]), payload)
}

#[test]
fn statements_of_every_key_type_verify_and_carry_receipts() {
    for (key, legacy) in Key::all().into_iter().zip([false, true].into_iter().cycle()) {
        let bytes = statement(&key, legacy, b"{}");
        let read = scitt::read(&bytes).unwrap();
        assert_eq!((&read.issuer, read.subject.as_str()), (&key.did(), "dataset/7"));
        assert_eq!(scitt::verify(&read, &key.book()).unwrap(), key.kid());
        let transparent = scitt::with_receipts(&bytes, &[vec![0xf6], vec![0xf5]]).unwrap();
        let back = scitt::read(&transparent).unwrap();
        assert_eq!(back.receipts, [vec![0xf6], vec![0xf5]]);
        scitt::verify(&back, &key.book()).unwrap();
        assert_eq!(scitt::strip_unprotected(&transparent).unwrap(), bytes);
        assert_eq!((back.stripped.as_slice(), back.digest()), (bytes.as_slice(), Digest::of(&bytes)));
        CoseSign1::from_tagged_slice(&transparent).unwrap();
        let other = Key::ed();
        assert_eq!(scitt::verify(&read, &keys::Book(vec![])).unwrap_err().code, Code::SignerUnknown);
        assert!(read.verify_with(other.jwk()).is_err());
    }
}

#[test]
fn a_statement_enters_the_log_as_signed_under_its_issuer() {
    let key = Key::p256();
    let bytes = statement(&key, false, b"{}");
    let body = |issuer: Did, statement: Vec<u8>| Body::StatementRegistered { issuer, statement: Bytes(statement) };
    let enter = |body: Body| verify_body(body, &keys::registry(), &key.book(), &|_| None).map(|_| ());
    enter(body(key.did(), bytes.clone())).unwrap();
    let transparent = scitt::with_receipts(&bytes, &[vec![0xf6]]).unwrap();
    assert_eq!(enter(body(key.did(), transparent)).unwrap_err().code, Code::CoseForm);
    let other = Did::parse("did:web:other.example").unwrap();
    assert_eq!(enter(body(other, bytes.clone())).unwrap_err().code, Code::SignerNotParty);
    let mut spoilt = bytes;
    *spoilt.last_mut().unwrap() ^= 1;
    assert_eq!(enter(body(key.did(), spoilt)).unwrap_err().code, Code::SignatureInvalid);
}

/// Leaf data, the path of the last of three leaves, and the root.
fn tree() -> (&'static [u8], Vec<Digest>, Digest) {
    let (a, b, c) = (leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c"));
    let left = node_hash(&a, &b);
    (b"c", vec![left], node_hash(&left, &c))
}

#[test]
fn receipts_over_the_log_verify_for_their_entry_only() {
    let (registry, other) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let (leaf, path, root) = tree();
    let place = Place { size: 3, index: 2, path: &path, root };
    let bytes = receipt::write(&registry, &CLAIMS, leaf, &place).unwrap();
    let head = receipt::verify(&bytes, leaf, registry.jwk()).unwrap();
    assert_eq!((head.size, head.root), (3, root));
    // Another library finds the fields of RFC 9942 and the same bytes to sign.
    let sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
    assert!(sign1.payload.is_none());
    let tbs =
        coset::sig_structure_data(coset::SignatureContext::CoseSign1, sign1.protected.clone(), None, &[], &root.0);
    signing::check::verify_strict(registry.jwk(), &tbs, &sign1.signature).unwrap();

    assert_eq!(receipt::verify(&bytes, b"x", registry.jwk()).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(receipt::verify(&bytes, leaf, other.jwk()).unwrap_err().code, Code::SignerUnknown);
    for at in (0..bytes.len()).step_by(3) {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        assert!(receipt::verify(&spoilt, leaf, registry.jwk()).is_err(), "byte {at}");
    }
    let refused = |place: Place<'_>| receipt::write(&registry, &CLAIMS, leaf, &place).unwrap_err().code;
    assert_eq!(refused(Place { size: 1, index: 0, path: &[], root: leaf_hash(leaf) }), Code::InclusionInvalid);
    assert_eq!(refused(Place { index: 1, ..place }), Code::InclusionInvalid);
    assert_eq!(refused(Place { root: leaf_hash(b"x"), ..place }), Code::InclusionInvalid);
}

/// A receipt at tree size 1 made by somebody else is refused too: RFC 9942 has no such proof.
#[test]
fn nobody_passes_a_receipt_of_a_tree_of_one() {
    let registry = FileKey::generate().unwrap();
    let (leaf, path, root) = tree();
    let bytes = receipt::write(&registry, &CLAIMS, leaf, &Place { size: 3, index: 2, path: &path, root }).unwrap();
    let mut sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
    let alone = keys::cbor(&Value::Array(vec![Value::from(1), Value::from(0), Value::Array(vec![])]));
    let proofs = Value::Map(vec![(Value::from(-1), Value::Array(vec![Value::Bytes(alone)]))]);
    sign1.unprotected.rest = vec![(coset::Label::Int(396), proofs)];
    let tbs = coset::sig_structure_data(
        coset::SignatureContext::CoseSign1,
        sign1.protected.clone(),
        None,
        &[],
        &leaf_hash(leaf).0,
    );
    sign1.signature = registry.sign_bytes(&tbs).unwrap().to_vec();
    let forged = sign1.to_tagged_vec().unwrap();
    assert_eq!(receipt::verify(&forged, leaf, registry.jwk()).unwrap_err().code, Code::InclusionInvalid);
}

#[test]
fn receipts_in_the_shape_of_ccf_verify_for_their_claims_only() {
    let (key, other) = (EcKey::generate().unwrap(), EcKey::generate().unwrap());
    let claims = Digest::of(b"statement");
    let leaf = Leaf::new(5, leaf_hash(b"entry"), claims);
    assert_eq!(leaf.evidence, format!("ce:1.5:{}", leaf_hash(b"entry")));
    let path = [Step { left: true, hash: Digest([1; 32]) }, Step { left: false, hash: Digest([2; 32]) }];
    let inner = Digest::of(&[[1; 32], leaf.hash().0].concat());
    let root = Digest::of(&[inner.0, [2; 32]].concat());
    assert_eq!(ccf::root(leaf.hash(), &path), root);
    let bytes = ccf::write(&key, &CLAIMS, 5, &leaf, &path, root).unwrap();
    assert_eq!(ccf::verify(&bytes, &claims, key.jwk()).unwrap(), (leaf.clone(), root));
    let sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
    let hex = Digest::of(&key.spki().unwrap()).to_string();
    assert_eq!(sign1.protected.header.key_id, hex.into_bytes());
    let txid = sign1.protected.header.rest.iter().find(|(l, _)| *l == coset::Label::Text("ccf.v1".into()));
    assert_eq!(txid.unwrap().1, Value::Map(vec![(Value::Text("txid".into()), Value::Text("1.5".into()))]));

    assert_eq!(ccf::verify(&bytes, &Digest::of(b"x"), key.jwk()).unwrap_err().code, Code::ReceiptMismatch);
    assert_eq!(ccf::verify(&bytes, &claims, other.jwk()).unwrap_err().code, Code::SignerUnknown);
    assert_eq!(receipt::verify(&bytes, b"entry", key.jwk()).unwrap_err().code, Code::CoseForm, "another structure");
    for at in (0..bytes.len()).step_by(5) {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        assert!(ccf::verify(&spoilt, &claims, key.jwk()).is_err(), "byte {at}");
    }
    assert_eq!(ccf::write(&key, &CLAIMS, 5, &leaf, &[], leaf.hash()).unwrap_err().code, Code::InclusionInvalid);
    assert_eq!(ccf::write(&key, &CLAIMS, 5, &leaf, &path, Digest([0; 32])).unwrap_err().code, Code::InclusionInvalid);
}
