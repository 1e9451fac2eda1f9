//! COSE in the DEPA profile: ours against coset as a second implementation, messages of other tools, all seven algorithms.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod keys;

use ciborium::Value;
use coset::{CborSerializable, CoseSign, TaggedCborSerializable, iana};
use keys::{Book, Key, document, now, registry};
use schemas::contract::ContractRevoke;
use schemas::envelope::{Document, Form};
use schemas::{Code, Envelope, Signer};
use signing::cose::{self, CoseMessage};
use signing::{FileKey, countersign, verify};

const FEED: &str = "contract/7";

/// An envelope under COSE signatures of these keys.
fn signed(parties: &[&FileKey]) -> Envelope<ContractRevoke> {
    let mut envelope = Envelope::draft(&document()).unwrap();
    let dids: Vec<_> = parties.iter().map(|k| k.did().unwrap()).collect();
    for key in parties {
        let signature = cose::sign(&envelope, &dids, FEED, *key).unwrap();
        envelope.signatures.push(signature);
    }
    envelope
}

#[test]
fn a_message_of_two_parties_goes_out_and_comes_back() {
    let (a, b) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let envelope = signed(&[&a, &b]);
    let bytes = cose::write(&envelope, &[vec![0xf6]]).unwrap();
    let message = cose::read(&bytes).unwrap();
    assert_eq!(message.participants, [a.did().unwrap(), b.did().unwrap()]);
    assert_eq!(message.feed.as_deref(), Some(FEED));
    assert_eq!(message.content_type, ContractRevoke::PAYLOAD_TYPE);
    assert_eq!(message.receipts, [vec![0xf6]]);
    let back = message.envelope::<ContractRevoke>().unwrap();
    assert_eq!(back, envelope);
    let signed = verify(back, &registry(), &Book::of(&[&a, &b])).unwrap();
    assert_eq!(signed.signers().len(), 2);
    assert_eq!(cose::with_receipts(&bytes, &[]).unwrap(), cose::write(&envelope, &[]).unwrap());
    assert_eq!(message.envelope::<schemas::contract::Contract>().unwrap_err().code, Code::SignatureContext);
}

#[test]
fn another_library_reads_what_is_written_and_finds_the_same_bytes_to_sign() {
    let key = FileKey::generate().unwrap();
    let envelope = signed(&[&key]);
    let bytes = cose::write(&envelope, &[]).unwrap();
    let sign = CoseSign::from_tagged_slice(&bytes).unwrap();
    assert_eq!(sign.payload.as_deref(), Some(envelope.payload.0.as_slice()));
    let signature = &sign.signatures[0];
    assert_eq!(signature.protected.header.alg, Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)));
    assert_eq!(signature.protected.header.key_id, format!("#{}", key.kid().thumbprint).into_bytes());
    let labels: Vec<_> = sign.protected.header.rest.iter().map(|(l, _)| l.clone()).collect();
    assert_eq!(labels, [coset::Label::Int(491), coset::Label::Int(492)]);
    let tbs = sign.tbs_data(&[], signature);
    signing::check::verify_strict(key.jwk(), &tbs, &signature.signature).unwrap();
}

#[test]
fn forms_mix_in_one_envelope_and_each_party_counts_once() {
    let (a, b) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let mut envelope = signed(&[&a]);
    envelope.signatures.push(countersign(&envelope, &b, now()).unwrap());
    let both = Book::of(&[&a, &b]);
    assert_eq!(verify(envelope.clone(), &registry(), &both).unwrap().signers().len(), 2);
    assert_eq!(cose::write(&envelope, &[]).unwrap_err().code, Code::CoseForm, "JWS cannot stand in COSE");
    envelope.signatures[1] = countersign(&envelope, &a, now()).unwrap();
    assert_eq!(verify(envelope, &registry(), &both).unwrap_err().code, Code::SignerTwice);
    let alone = Envelope::<ContractRevoke>::draft(&document()).unwrap();
    let alone = Envelope::<ContractRevoke>::new(alone.payload.0.clone(), vec![cose::sign_alone(&alone, &a).unwrap()]);
    let message = cose::read(&cose::write(&alone, &[]).unwrap()).unwrap();
    assert!(message.participants.is_empty());
    verify(message.envelope::<ContractRevoke>().unwrap(), &registry(), &both).unwrap();
}

/// A payload that is not canonical may be signed in COSE, and its bytes stay as they came.
#[test]
fn a_payload_in_another_spelling_counts_under_cose_only() {
    let key = FileKey::generate().unwrap();
    let canonical = Envelope::draft(&document()).unwrap().payload.0;
    let spaced = String::from_utf8(canonical).unwrap().replacen('{', "{\n  ", 1).into_bytes();
    let mut envelope = Envelope::<ContractRevoke>::new(spaced.clone(), vec![]);
    let signature = cose::sign(&envelope, &[key.did().unwrap()], FEED, &key).unwrap();
    envelope.signatures.push(signature);
    let signed = verify(envelope.clone(), &registry(), &Book::of(&[&key])).unwrap();
    assert_eq!(signed.envelope().payload.0, spaced);
    let other = FileKey::generate().unwrap();
    assert_eq!(
        countersign(&Envelope::<ContractRevoke>::new(spaced, vec![]), &other, now()).unwrap_err().code,
        Code::NotCanonical
    );
}

#[test]
fn all_seven_algorithms_of_the_reference_verify() {
    let payload = Envelope::draft(&document()).unwrap().payload.0;
    for key in Key::all() {
        let body = keys::map(vec![
            (3, Value::Text(ContractRevoke::PAYLOAD_TYPE.into())),
            (491, Value::Array(vec![Value::Text(key.did().to_string())])),
            (492, Value::Text(FEED.into())),
        ]);
        let own = key.header(&[(494, Value::Text(key.did().to_string()))]);
        let bytes = keys::sign(&body, &payload, &[(&key, &own)]);
        let message = cose::read(&bytes).unwrap();
        assert_eq!(message.signatures[0].alg.cose(), key.alg());
        let envelope = message.envelope::<ContractRevoke>().unwrap();
        assert_eq!(envelope.signatures[0].form, Form::Cose);
        verify(envelope, &registry(), &key.book()).unwrap();
    }
}

/// The labels of the reference's code: feed 392, DID 493, receipts 394.
#[test]
fn the_labels_of_the_reference_are_read_and_every_signature_is_verified() {
    let (a, b) = (Key::p384(), Key::ps256());
    let payload = br#"{"id":"foreign","schemaVersion":"0.1"}"#;
    let dids = [&a, &b].map(|k| Value::Text(k.did().to_string()));
    let body = keys::map(vec![
        (3, Value::Text("application/json".into())),
        (491, Value::Array(dids.to_vec())),
        (392, Value::Text("feed".into())),
    ]);
    let own = |k: &Key| k.header(&[(493, Value::Text(k.did().to_string()))]);
    let bytes = keys::sign(&body, payload, &[(&a, &own(&a)), (&b, &own(&b))]);
    let message: CoseMessage = cose::read(&bytes).unwrap();
    assert_eq!(message.feed.as_deref(), Some("feed"));
    let keys = |did: &schemas::id::Did, kid: &str| {
        [&a, &b].into_iter().find(|k| k.did() == *did && k.jwk().thumbprint() == kid).map(|k| k.jwk().clone())
    };
    assert_eq!(cose::verify_all(&message, &keys).unwrap(), [a.did(), b.did()]);
    let mut forged = message.clone();
    forged.signatures[1].sig.0[7] ^= 1;
    assert_eq!(cose::verify_all(&forged, &keys).unwrap_err().code, Code::SignatureInvalid, "the second counts too");
    forged = message.clone();
    forged.payload[3] ^= 1;
    assert_eq!(cose::verify_all(&forged, &keys).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(cose::verify_all(&message, &|_, _| None).unwrap_err().code, Code::SignerUnknown);
    forged = message.clone();
    forged.signatures[1] = forged.signatures[0].clone();
    assert_eq!(cose::verify_all(&forged, &keys).unwrap_err().code, Code::SignerTwice);
    assert_eq!(message.envelope::<ContractRevoke>().unwrap_err().code, Code::SignatureContext);
}

#[test]
fn coset_itself_takes_no_part_in_the_strictness() {
    // coset reads what our reader refuses: the strictness is ours and has to stay.
    let key = FileKey::generate().unwrap();
    let mut sign = CoseSign::from_tagged_slice(&cose::write(&signed(&[&key]), &[]).unwrap()).unwrap();
    sign.signatures[0].unprotected.key_id = b"other".to_vec();
    let bytes = sign.to_tagged_vec().unwrap();
    assert!(CoseSign::from_tagged_slice(&bytes).is_ok());
    assert_eq!(cose::read(&bytes).unwrap_err().code, Code::CoseForm);
    assert!(coset::CoseSign::from_slice(&bytes).is_err());
}
