//! Replay into another context (C6): for every pair of document types, the signature of the one offered as the other.

use schemas::envelope::{Document, Form, PartySignature, Usage};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Envelope, KeyBook, Signer};
use signing::{FileKey, cose, verify};

use crate::Walk;
use crate::keys::registry;

/// A book that knows one key for every holder and use: what separates the types must be the signature itself.
struct Any(Jwk);

impl KeyBook for Any {
    fn key(&self, _: &KeyId, _: Usage) -> Option<Jwk> {
        Some(self.0.clone())
    }
}

/// One document type with its example.
struct Kind {
    name: &'static str,
    payload_type: &'static str,
    payload: Vec<u8>,
}

fn example(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    schemas::canonical::to_bytes(&serde_json::from_slice::<serde_json::Value>(&text).unwrap()).unwrap()
}

/// A signature in JWS for this type over a payload.
fn signature(key: &FileKey, payload: &[u8], payload_type: &str) -> PartySignature {
    let header = format!(r#"{{"alg":"EdDSA","cty":"{payload_type}","iat":1,"kid":"{}"}}"#, key.kid());
    let (protected, payload) = (Bytes(header.into_bytes()), Bytes(payload.to_vec()));
    let input = format!("{}.{}", protected.text(), payload.text());
    let sig = Bytes(key.sign_bytes(input.as_bytes()).unwrap().to_vec());
    PartySignature { form: Form::Jws, protected, kid: key.kid().clone(), sig }
}

/// Offers every other type's signatures as `T`.
fn as_type<T: Document>(kind: &Kind, all: &[Kind], key: &FileKey, walk: &mut Walk) {
    let book = Any(key.jwk().clone());
    let own = vec![signature(key, &kind.payload, T::PAYLOAD_TYPE)];
    verify(Envelope::<T>::new(kind.payload.clone(), own), &registry(), &book).unwrap();
    for other in all.iter().filter(|o| o.name != kind.name) {
        let what = format!("{} as {}", other.name, kind.name);
        // The other document, as it was signed.
        let theirs = signature(key, &other.payload, other.payload_type);
        let whole = Envelope::<T>::new(other.payload.clone(), vec![theirs]);
        walk.refuse(&what, verify(whole, &registry(), &book), &[Code::SchemaMismatch]);
        // This document under a signature for the other type.
        let lifted = signature(key, &kind.payload, other.payload_type);
        let lifted = Envelope::<T>::new(kind.payload.clone(), vec![lifted]);
        walk.refuse(&what, verify(lifted, &registry(), &book), &[Code::SignatureContext]);
        // The same in COSE, where every type but a participant's is refused anyway.
        if T::USAGE == Usage::Party {
            let lifted =
                Envelope::<T>::new(kind.payload.clone(), vec![cosigned(key, &kind.payload, other.payload_type)]);
            walk.refuse(&what, verify(lifted, &registry(), &book), &[Code::SignatureContext]);
        }
    }
    if T::USAGE != Usage::Party {
        let cose = Envelope::<T>::new(kind.payload.clone(), vec![cosigned(key, &kind.payload, T::PAYLOAD_TYPE)]);
        walk.refuse(kind.name, verify(cose, &registry(), &book), &[Code::CoseForm]);
    }
}

/// A signature in COSE for this type over a payload.
fn cosigned(key: &FileKey, payload: &[u8], payload_type: &str) -> PartySignature {
    use ciborium::Value;
    let own = crate::keys::map(vec![
        (1, Value::from(-8)),
        (3, Value::Text(payload_type.into())),
        (4, Value::Bytes(key.kid().to_string().into_bytes())),
    ]);
    let sig = key.sign_bytes(&crate::keys::tbs1(&own, payload)).unwrap().to_vec();
    let message = crate::keys::cbor(&Value::Tag(
        18,
        Box::new(Value::Array(vec![
            Value::Bytes(own),
            Value::Map(vec![]),
            Value::Bytes(payload.to_vec()),
            Value::Bytes(sig),
        ])),
    ));
    cose::read(&message).unwrap().signatures[0].party().unwrap()
}

macro_rules! kinds {
    ($($name:literal = $type:ty),* $(,)?) => {
        pub fn every_type_as_every_other(walk: &mut Walk) {
            let key = FileKey::generate_for(&Did::parse("did:web:any.example").unwrap()).unwrap();
            let all = [$(Kind { name: $name, payload_type: <$type>::PAYLOAD_TYPE, payload: example($name) }),*];
            let mut kinds = all.iter();
            $(as_type::<$type>(kinds.next().unwrap(), &all, &key, walk);)*
        }
    };
}

kinds! {
    "abort" = schemas::event::Abort,
    "admission" = schemas::release::Admission,
    "certificate" = schemas::certificate::ModelCertificate,
    "completion" = schemas::event::Completion,
    "contract-decline" = schemas::contract::ContractDecline,
    "contract-revoke" = schemas::contract::ContractRevoke,
    "contract" = schemas::contract::Contract,
    "dataset-offer" = schemas::dataset::DatasetOffer,
    "image-set" = schemas::evidence::ImageSet,
    "job" = schemas::job::JobSpec,
    "kms-challenge" = schemas::release::Challenge,
    "kms-key" = schemas::release::KeyImport,
    "kms-lease" = schemas::release::Lease,
    "kms-receipt" = schemas::release::KmsReceipt,
    "kms-release" = schemas::release::Release,
    "participant-decision" = schemas::party::ParticipantDecision,
    "participant" = schemas::party::Participant,
    "payment-callback" = schemas::event::PaymentCallback,
    "run-event" = schemas::event::RunEvent,
    "run-request" = schemas::release::RunRequest,
    "status-list" = schemas::release::StatusList,
}
