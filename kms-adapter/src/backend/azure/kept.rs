//! What is kept beside the name of a key of the vault: its public half and the digest of its release policy, as they were
//! when the key was made. The row that holds it has a MAC.

use openssl::pkey::{PKey, Public};
use schemas::{Code, Digest, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::KekRef;

/// The pins of one version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Of the policy in canonical JSON.
    pub policy: Option<[u8; 32]>,
}

impl Kept {
    /// The pins of a fresh version.
    pub fn new(public: &PKey<Public>, policy: Option<&Value>) -> R<Kept> {
        let fault = |_| Refusal::new(Code::Internal, "a public key cannot be written");
        let policy = policy.map(digest).transpose()?;
        Ok(Kept { spki: public.public_key_to_der().map_err(fault)?, policy })
    }

    /// As bytes.
    pub fn write(&self) -> R<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|e| Refusal::new(Code::Internal, e.to_string()))
    }

    /// The pins of a key and its public half.
    pub fn read(kek: &KekRef) -> R<(Kept, PKey<Public>)> {
        let bad = || Refusal::new(Code::KeyRowTampered, "what is kept of a key of the vault cannot be read");
        let kept: Kept = postcard::from_bytes(&kek.kept).map_err(|_| bad())?;
        let public = PKey::public_key_from_der(&kept.spki).map_err(|_| bad())?;
        Ok((kept, public))
    }
}

/// SHA-256 of a policy in canonical JSON, so that other spacing is no other policy.
pub(super) fn digest(policy: &Value) -> R<[u8; 32]> {
    Ok(Digest::of(&canonical::to_bytes(policy)?).0)
}
