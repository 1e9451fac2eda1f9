//! Envelopes: signed bytes as they came, with one signature per party; and the types that remember a check.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::Digest;
use crate::id::{Did, KeyId};
use crate::jwk::Jwk;
use crate::log::Receipt;
use crate::problem::{Code, R, Refusal};
use crate::text::Bytes;

/// The most signatures an envelope may carry.
pub const MAX_SIGNATURES: usize = 64;

/// A kind of signed document. The payload type is the domain separation: a signature counts for its act only.
pub trait Document: Serialize + DeserializeOwned {
    /// The value of the `schema` member, like `contract.v1`.
    const SCHEMA: &'static str;
    /// The fixed payload type, like `application/vnd.depa.contract.v1+json`; stands in the protected header as `cty`.
    const PAYLOAD_TYPE: &'static str;
    /// Which of a holder's keys may sign it: a key service's key never signs a contract, a person's never a receipt.
    const USAGE: Usage;
    /// The value of the `schema` member of this document.
    fn schema(&self) -> &str;
    /// The registry in which the document counts.
    fn registry(&self) -> &Did;
}

/// What a key may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Usage {
    /// A participant's or SRO person's own key: offers, contracts, jobs, decisions.
    Party,
    /// The key of a service: the registry's (admissions, status lists, checkpoints) or a TDP's KMS's (receipts).
    Service,
    /// A run's key, attested at check-in.
    Run,
}

/// Declares [`Document`] for a struct with members `schema` and `registry`.
#[macro_export]
macro_rules! document {
    ($type:ty, $schema:literal, $name:literal) => {
        $crate::document!($type, $schema, $name, Party);
    };
    ($type:ty, $schema:literal, $name:literal, $usage:ident) => {
        impl $crate::envelope::Document for $type {
            const SCHEMA: &'static str = $schema;
            const PAYLOAD_TYPE: &'static str = concat!("application/vnd.depa.", $name, ".v1+json");
            const USAGE: $crate::envelope::Usage = $crate::envelope::Usage::$usage;
            fn schema(&self) -> &str {
                &self.schema
            }
            fn registry(&self) -> &$crate::id::Did {
                &self.registry
            }
        }
    };
}

/// The cryptographic form of a signature; all forms cover the same payload bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// JWS (RFC 7515) over canonical bytes.
    Jws,
    /// COSE (RFC 9052) in the DEPA profile: one signature of a COSE_Sign, or a COSE_Sign1.
    Cose,
}

/// One party's signature over the payload, as received.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartySignature {
    /// The form.
    pub form: Form,
    /// JWS: the protected header, byte for byte. COSE: a CBOR array of the protected headers as byte strings, byte for
    /// byte: body and signature of a COSE_Sign, or the one of a COSE_Sign1.
    pub protected: Bytes,
    /// The key that signed; the same as in the protected header.
    pub kid: KeyId,
    /// The raw signature.
    pub sig: Bytes,
}

/// Signed bytes with the signatures over them. Nothing is checked yet; `signing::verify` makes a [`Signed`] of it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Envelope<T> {
    /// The signed bytes as they came.
    pub payload: Bytes,
    /// One signature per party, at most [`MAX_SIGNATURES`].
    pub signatures: Vec<PartySignature>,
    #[serde(skip)]
    #[schemars(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Envelope<T> {
    fn clone(&self) -> Self {
        Envelope { payload: self.payload.clone(), signatures: self.signatures.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Envelope<T> {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload && self.signatures == other.signatures
    }
}

impl<T> Envelope<T> {
    /// An envelope of these bytes and signatures.
    pub fn new(payload: Vec<u8>, signatures: Vec<PartySignature>) -> Envelope<T> {
        Envelope { payload: Bytes(payload), signatures, of: PhantomData }
    }

    /// SHA-256 of the payload: the digest of the document, the same in every envelope.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload.0)
    }
}

/// The signed bytes of a proposed document, for verifying a further signature over them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// The signed bytes.
    pub payload: Arc<Bytes>,
    /// Whether the entry that proposed them was verified under a JWS signature: then they were read in canonical form,
    /// in their schema and under this registry, and need not be read again.
    pub read: bool,
}

impl Proposed {
    /// Bytes that nobody has read yet.
    pub fn unread(payload: Vec<u8>) -> Proposed {
        Proposed { payload: Arc::new(Bytes(payload)), read: false }
    }
}

impl<T: Document> Envelope<T> {
    /// An envelope without signatures over the canonical bytes of a document.
    pub fn draft(document: &T) -> R<Envelope<T>> {
        Ok(Envelope::new(canonical::to_bytes(document)?, Vec::new()))
    }

    /// Reads the document without checking any signature: for drafts, display and for finding the keys to check with.
    ///
    /// A payload under COSE signatures alone may be in any spelling that the strict parser takes; every other must be
    /// canonical.
    pub fn read_unverified(&self) -> R<T> {
        let cose = !self.signatures.is_empty() && self.signatures.iter().all(|s| s.form == Form::Cose);
        let document: T = if cose {
            canonical::parse_document(&self.payload.0)?
        } else {
            canonical::parse_canonical(&self.payload.0)?
        };
        if document.schema() != T::SCHEMA {
            return Err(Refusal::new(Code::SchemaMismatch, format!("schema {} is expected", T::SCHEMA)).at("schema"));
        }
        Ok(document)
    }
}

/// A document whose signatures were all verified, with the parties who signed. Only `signing` makes it.
#[derive(Debug)]
pub struct Signed<T> {
    value: T,
    envelope: Envelope<T>,
    signers: Vec<KeyId>,
}

impl<T> Signed<T> {
    /// For the crate `signing` alone, after every signature was verified; a source test holds this.
    #[doc(hidden)]
    pub fn vouched_by_signing(value: T, envelope: Envelope<T>, signers: Vec<KeyId>) -> Signed<T> {
        Signed { value, envelope, signers }
    }

    /// The envelope as it came.
    pub fn envelope(&self) -> &Envelope<T> {
        &self.envelope
    }

    /// SHA-256 of the signed bytes.
    pub fn digest(&self) -> Digest {
        self.envelope.digest()
    }

    /// The keys that signed, each once, at least one.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// Whether this party signed.
    pub fn signed_by(&self, party: &Did) -> bool {
        self.signers.iter().any(|k| k.holder == party.as_str())
    }
}

impl<T: Clone> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Signed { value: self.value.clone(), envelope: self.envelope.clone(), signers: self.signers.clone() }
    }
}

impl<T> Deref for Signed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A verified document together with a verified receipt of its entry in the log. Only `signing` makes it.
#[derive(Debug)]
pub struct Entered<T> {
    signed: Signed<T>,
    receipt: Receipt,
}

impl<T> Entered<T> {
    /// For the crate `signing` alone, after the receipt was verified; a source test holds this.
    #[doc(hidden)]
    pub fn vouched_by_signing(signed: Signed<T>, receipt: Receipt) -> Entered<T> {
        Entered { signed, receipt }
    }

    /// The receipt.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The document with its signatures.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }
}

impl<T> Deref for Entered<T> {
    type Target = Signed<T>;
    fn deref(&self) -> &Signed<T> {
        &self.signed
    }
}

/// Something verified that is not a document of its own: a log body or a set of statements. Only `signing` makes it.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// For the crate `signing` alone, after every signature inside was verified; a source test holds this.
    #[doc(hidden)]
    pub fn vouched_by_signing(value: T) -> Verified<T> {
        Verified(value)
    }

    /// Gives up the mark.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Makes signatures of one party. Implementations hold the key; it never leaves them.
pub trait Signer: Send + Sync {
    /// The key that signs.
    fn kid(&self) -> &KeyId;
    /// Its public half.
    fn jwk(&self) -> &Jwk;
    /// Ed25519 over the bytes.
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]>;
    /// The holder, where it is a participant or service.
    fn did(&self) -> R<Did> {
        Did::parse(&self.kid().holder)
    }
}

impl<S: Signer + ?Sized> Signer for &S {
    fn kid(&self) -> &KeyId {
        (**self).kid()
    }
    fn jwk(&self) -> &Jwk {
        (**self).jwk()
    }
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]> {
        (**self).sign_bytes(message)
    }
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn kid(&self) -> &KeyId {
        (**self).kid()
    }
    fn jwk(&self) -> &Jwk {
        (**self).jwk()
    }
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]> {
        (**self).sign_bytes(message)
    }
}

/// Finds the public key behind a key id, as of the point in the log that the book stands for.
pub trait KeyBook {
    /// The key for this usage, or `None` when the holder is unknown, not verified, or has no such active key.
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk>;
}
