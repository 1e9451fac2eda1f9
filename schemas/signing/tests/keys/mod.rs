//! Keys of every type for the tests, a document to sign, a book, and COSE messages put together by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)] // tests; each file uses a part

use ciborium::Value;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer as OpensslSigner};
use schemas::contract::{Cause, ContractRef, ContractRevoke};
use schemas::envelope::Usage;
use schemas::id::{ContractId, Did, KeyId};
use schemas::jwk::{EcCurve, Jwk};
use schemas::text::Bytes;
use schemas::{Digest, KeyBook, Signer, Timestamp};
use signing::FileKey;

pub fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

pub fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

pub fn document() -> ContractRevoke {
    ContractRevoke {
        schema: "contract-revoke.v1".into(),
        registry: registry(),
        contract: ContractRef { id: ContractId::new(uuid::Uuid::from_u128(7)), sha256: Digest([7; 32]) },
        reason: "consent withdrawn".into(),
        cause: Cause::AtWill,
        revoked_at: now(),
    }
}

/// A book of keys by holder; every key is known for one usage.
pub struct Book(pub Vec<(KeyId, Usage, Jwk)>);

impl Book {
    pub fn of(keys: &[&FileKey]) -> Book {
        Book(keys.iter().map(|k| (k.kid().clone(), Usage::Party, k.jwk().clone())).collect())
    }
}

impl KeyBook for Book {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        self.0.iter().find(|(k, u, _)| k.holder == kid.holder && *u == usage).map(|(_, _, j)| j.clone())
    }
}

/// A private key of any type, held by a did:web.
pub enum Key {
    Ed(Box<FileKey>),
    Ec(EcKey<Private>, Jwk, MessageDigest, i64),
    Rsa(PKey<Private>, Jwk, MessageDigest, i64),
}

impl Key {
    pub fn all() -> Vec<Key> {
        vec![Key::ed(), Key::p256(), Key::p384(), Key::p521(), Key::ps256(), Key::ps384(), Key::ps512()]
    }
    pub fn ed() -> Key {
        Key::Ed(Box::new(FileKey::generate_for(&Did::parse("did:web:eddsa.example").unwrap()).unwrap()))
    }
    pub fn p256() -> Key {
        Key::ec(EcCurve::P256, Nid::X9_62_PRIME256V1, MessageDigest::sha256(), -7)
    }
    pub fn p384() -> Key {
        Key::ec(EcCurve::P384, Nid::SECP384R1, MessageDigest::sha384(), -35)
    }
    pub fn p521() -> Key {
        Key::ec(EcCurve::P521, Nid::SECP521R1, MessageDigest::sha512(), -36)
    }
    pub fn ps256() -> Key {
        Key::rsa(MessageDigest::sha256(), -37)
    }
    pub fn ps384() -> Key {
        Key::rsa(MessageDigest::sha384(), -38)
    }
    pub fn ps512() -> Key {
        Key::rsa(MessageDigest::sha512(), -39)
    }

    fn ec(crv: EcCurve, nid: Nid, digest: MessageDigest, alg: i64) -> Key {
        let group = EcGroup::from_curve_name(nid).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let padded = |n: &BigNum| Bytes(n.to_vec_padded(crv.width() as i32).unwrap());
        let jwk = Jwk::Ec { crv, x: padded(&x), y: padded(&y) };
        Key::Ec(key, jwk, digest, alg)
    }

    fn rsa(digest: MessageDigest, alg: i64) -> Key {
        let key = Rsa::generate(2048).unwrap();
        let jwk = Jwk::Rsa { n: Bytes(key.n().to_vec()), e: Bytes(key.e().to_vec()) };
        Key::Rsa(PKey::from_rsa(key).unwrap(), jwk, digest, alg)
    }

    /// The number of the algorithm in COSE.
    pub fn alg(&self) -> i64 {
        match self {
            Key::Ed(_) => -8,
            Key::Ec(.., alg) | Key::Rsa(.., alg) => *alg,
        }
    }
    /// The name of the algorithm in JWS.
    pub fn jws(&self) -> &'static str {
        match self.alg() {
            -8 => "EdDSA",
            -7 => "ES256",
            -35 => "ES384",
            -36 => "ES512",
            -37 => "PS256",
            -38 => "PS384",
            _ => "PS512",
        }
    }
    pub fn jwk(&self) -> &Jwk {
        match self {
            Key::Ed(key) => key.jwk(),
            Key::Ec(_, jwk, ..) | Key::Rsa(_, jwk, ..) => jwk,
        }
    }
    pub fn did(&self) -> Did {
        Did::parse(&format!("did:web:{}.example", self.jws().to_lowercase())).unwrap()
    }
    pub fn kid(&self) -> KeyId {
        KeyId::new(self.did(), self.jwk().thumbprint())
    }
    pub fn book(&self) -> Book {
        Book(vec![(self.kid(), Usage::Party, self.jwk().clone())])
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::Ed(key) => key.sign_bytes(message).unwrap().to_vec(),
            Key::Ec(key, jwk, digest, _) => {
                let Jwk::Ec { crv, .. } = jwk else { unreachable!() };
                let sig = EcdsaSig::sign(&hash(*digest, message).unwrap(), key).unwrap();
                let width = crv.width() as i32;
                [sig.r().to_vec_padded(width).unwrap(), sig.s().to_vec_padded(width).unwrap()].concat()
            }
            Key::Rsa(key, _, digest, _) => {
                let mut signer = OpensslSigner::new(*digest, key).unwrap();
                signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                signer.set_rsa_mgf1_md(*digest).unwrap();
                signer.sign_oneshot_to_vec(message).unwrap()
            }
        }
    }

    /// A signature's protected header with alg, kid and these further entries.
    pub fn header(&self, more: &[(i64, Value)]) -> Vec<u8> {
        let kid = format!("#{}", self.jwk().thumbprint()).into_bytes();
        let mut entries = vec![(1, Value::from(self.alg())), (4, Value::Bytes(kid))];
        entries.extend(more.iter().cloned());
        map(entries)
    }
}

pub fn cbor(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

/// The bytes of a map with integer labels.
pub fn map(entries: Vec<(i64, Value)>) -> Vec<u8> {
    cbor(&Value::Map(entries.into_iter().map(|(k, v)| (Value::from(k), v)).collect()))
}

fn bytes(b: &[u8]) -> Value {
    Value::Bytes(b.to_vec())
}

/// The Sig_structure of one signature of a COSE_Sign.
pub fn tbs(body: &[u8], own: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor(&Value::Array(vec![Value::Text("Signature".into()), bytes(body), bytes(own), bytes(&[]), bytes(payload)]))
}

/// The Sig_structure of a COSE_Sign1.
pub fn tbs1(own: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor(&Value::Array(vec![Value::Text("Signature1".into()), bytes(own), bytes(&[]), bytes(payload)]))
}

/// A COSE_Sign put together by hand, honestly signed under whatever headers are given.
pub fn sign(body: &[u8], payload: &[u8], signers: &[(&Key, &[u8])]) -> Vec<u8> {
    sign_open(body, Value::Map(vec![]), payload, signers, Value::Map(vec![]))
}

/// The same with unprotected headers of body and signatures.
pub fn sign_open(body: &[u8], open: Value, payload: &[u8], signers: &[(&Key, &[u8])], own_open: Value) -> Vec<u8> {
    let one = |(key, own): &(&Key, &[u8])| {
        Value::Array(vec![bytes(own), own_open.clone(), bytes(&key.sign(&tbs(body, own, payload)))])
    };
    let signatures = Value::Array(signers.iter().map(one).collect());
    cbor(&Value::Tag(98, Box::new(Value::Array(vec![bytes(body), open, bytes(payload), signatures]))))
}

/// A COSE_Sign1 put together by hand, honestly signed.
pub fn sign1(key: &Key, own: &[u8], open: Value, payload: &[u8]) -> Vec<u8> {
    let sig = key.sign(&tbs1(own, payload));
    cbor(&Value::Tag(18, Box::new(Value::Array(vec![bytes(own), open, bytes(payload), bytes(&sig)]))))
}
