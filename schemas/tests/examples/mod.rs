//! One golden document per schema, of one imaginary agreement.

mod agreement;
mod kms;
mod money;
mod platform;
mod register;
mod result;
mod run;

pub use agreement::*;
pub use kms::*;
pub use money::*;
pub use platform::*;
pub use register::*;
pub use result::*;
pub use run::*;
use schemas::contract::ContractRef;
use schemas::envelope::{Form, PartySignature};
use schemas::id::*;
use schemas::jwk::{Curve, Jwk};
use schemas::log::CheckpointRef;
use schemas::text::{Bytes, Real};
use schemas::{Digest, Envelope, Timestamp};

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0000 + n)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

fn tdp() -> Did {
    Did::parse("did:web:hospital.example").unwrap()
}

fn tdc() -> Did {
    Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap()
}

fn ccrp() -> Did {
    Did::parse("did:web:cloud.example").unwrap()
}

fn ed() -> Jwk {
    let x = Bytes::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    Jwk::Okp { crv: Curve::Ed25519, x }
}

fn ecdh() -> Jwk {
    Jwk::x25519([9; 32])
}

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn contract_ref() -> ContractRef {
    ContractRef { id: ContractId::new(uuid(1)), sha256: digest(1) }
}

fn run() -> RunId {
    RunId::new(uuid(2))
}

fn dataset() -> DatasetId {
    DatasetId::new(uuid(3))
}

fn image() -> ImageSetId {
    ImageSetId::new(uuid(4))
}

fn kms() -> String {
    "https://kms.hospital.example".into()
}

fn head() -> CheckpointRef {
    CheckpointRef { size: 5310, root: digest(2) }
}

/// An envelope whose signature is a placeholder: examples show shapes, `signing` shows signatures.
fn envelope<T: schemas::Document>(document: &T) -> Envelope<T> {
    let mut envelope = Envelope::draft(document).unwrap();
    envelope.signatures.push(PartySignature {
        form: Form::Jws,
        protected: Bytes(b"{}".to_vec()),
        kid: KeyId::new(tdp(), ed().thumbprint()),
        sig: Bytes(vec![0; 64]),
    });
    envelope
}
