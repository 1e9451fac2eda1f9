//! Weights that a training begins with: a consumer's own, in the clear nowhere but with the consumer and in the attested
//! room.
//!
//! The consumer seals a file of safetensors and hands the key to its own key service ([`WeightsImport`]). A signed job names
//! the sealed object, the SHA-256 of what is in it, and that key service with the key that signs its answers. The room
//! shows the service its evidence and the job's bundle ([`WeightsRequest`]) and gets the key, wrapped to itself
//! ([`WeightsRelease`]). No budget is at stake, so there is nothing to reserve, to renew or to commit.

use serde::{Deserialize, Serialize};

use crate::contract::Assurance;
use crate::dataset::{OfferKey, SealedObject};
use crate::digest::Digest;
use crate::document;
use crate::envelope::Envelope;
use crate::evidence::Transcript;
use crate::id::{DataKeyId, Did, RunId, WeightsId};
use crate::problem::{Code, R, Refusal};
use crate::release::{Admission, Attested};
use crate::text::Bytes;
use crate::time::Timestamp;

/// Bytes of a file of weights in the clear: as many as a model may have that leaves the room.
pub const MAX_BYTES: u64 = 64 << 20;
/// Bytes that a sealed file of weights may have beyond [`MAX_BYTES`]: header and tags.
pub const MAX_SEALING: u64 = 1 << 20;
/// What is sealed, as the object's media type.
pub const MEDIA_TYPE: &str = "application/vnd.safetensors";

/// The weights that a training begins with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// SHA-256 of the file in the clear: room and worker compare it before a number is read.
    pub sha256: Digest,
    /// Prefixes of parameters that are not in the file: new heads, which begin from `init_seed` and are learnt. Adapters
    /// that the recipe adds need not be named; a file has all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<String>,
    /// Where the file lies sealed and who has its key. A job names it; a rehearsal on samples has the file at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedWeights>,
}

/// Sealed weights and who keeps their key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedWeights {
    /// The weights.
    pub weights_id: WeightsId,
    /// The sealed object.
    pub object: SealedObject,
    /// Merkle root over it.
    pub manifest_root: Digest,
    /// The consumer's own key service, the key that signs its answers, and the key of the object.
    pub key: OfferKey,
}

impl SealedWeights {
    /// Refuses a sealed object that cannot hold weights of at most [`MAX_BYTES`] (`LIMIT_EXCEEDED`).
    pub fn in_size(bytes: u64) -> R<()> {
        if bytes <= MAX_BYTES + MAX_SEALING {
            return Ok(());
        }
        Err(Refusal::new(Code::LimitExceeded, "Weights have at most 64 MiB.").at("weights.sealed.object"))
    }
}

impl Weights {
    /// Refuses a file in the clear that is not the one named (`WEIGHTS_MISMATCH`), or is too large (`LIMIT_EXCEEDED`).
    pub fn expect(&self, file: &[u8]) -> R<()> {
        if file.len() as u64 > MAX_BYTES {
            return Err(Refusal::new(Code::LimitExceeded, "Weights have at most 64 MiB.").at("weights"));
        }
        if Digest::of(file) != self.sha256 {
            let sentence = "The weights are not those that the training names by their SHA-256.";
            return Err(Refusal::new(Code::WeightsMismatch, sentence).at("weights.sha256"));
        }
        Ok(())
    }

    /// Whether this parameter begins from the seed.
    pub fn is_fresh(&self, name: &str) -> bool {
        self.fresh.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// `weights-key.v1`: a consumer hands the key of its sealed weights to its own key service; signed by the consumer, the
/// key itself inside a JWE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsImport {
    /// `weights-key.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the key service: a copy sent elsewhere is refused.
    pub kms: String,
    /// The key.
    pub key_id: DataKeyId,
    /// The consumer, whom the service serves.
    pub provider: Did,
    /// The weights.
    pub weights_id: WeightsId,
    /// Merkle root over the sealed object.
    pub manifest_root: Digest,
    /// Fixed from here on.
    pub min_assurance: Assurance,
    /// The 32-byte key as compact JWE to the service's import key.
    pub jwe: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(WeightsImport, "weights-key.v1", "weights-key");

/// Body of `POST /v1/weights/release`: fresh evidence under a challenge of this service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsRequest {
    /// Transcript for this service and evidence over it.
    pub attested: Attested,
    /// The Admission, at most 60 s old.
    pub admission: Envelope<Admission>,
    /// Job, contracts, offers, participants, image set, with their receipts.
    pub bundle: crate::bundle::JobBundle,
    /// As in a request for data keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maa_token: Option<String>,
}

/// `weights-release.v1`: the key of sealed weights, wrapped to the attested room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsRelease {
    /// `weights-release.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the key service.
    pub kms: String,
    /// Whom it serves.
    pub provider: Did,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// SHA-256 of the transcript's canonical bytes.
    pub transcript_sha256: Digest,
    /// The weights.
    pub weights_id: WeightsId,
    /// Merkle root over the sealed object.
    pub manifest_root: Digest,
    /// The key.
    pub key_id: DataKeyId,
    /// Compact JWE (ECDH-ES+A256KW, A256GCM) to the run's `enc_jwk`.
    pub jwe: String,
    /// Behind a second gate, what opens under the key in the JWE; see [`crate::release::Release::gated`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gated: Option<Bytes>,
    /// When it was signed.
    pub at: Timestamp,
}
document!(WeightsRelease, "weights-release.v1", "weights-release", Service);

impl WeightsRelease {
    /// Whether it answers this transcript and is of these weights.
    pub fn answers(&self, transcript: &Transcript, sha256: &Digest, sealed: &SealedWeights) -> bool {
        self.run_id == transcript.run_id
            && self.job_sha256 == transcript.job_sha256
            && self.transcript_sha256 == *sha256
            && self.kms == sealed.key.kms
            && self.weights_id == sealed.weights_id
            && self.manifest_root == sealed.manifest_root
            && self.key_id == sealed.key.key_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_and_a_larger_one_are_refused() {
        let weights = Weights { sha256: Digest::of(b"file"), fresh: vec!["2.".into()], sealed: None };
        assert_eq!(weights.expect(b"file"), Ok(()));
        assert_eq!(weights.expect(b"fill").unwrap_err().code, Code::WeightsMismatch);
        let large = vec![0; MAX_BYTES as usize + 1];
        let weights = Weights { sha256: Digest::of(&large), ..weights };
        assert_eq!(weights.expect(&large).unwrap_err().code, Code::LimitExceeded);
        assert!(weights.is_fresh("2.weight") && !weights.is_fresh("12.weight"));
        assert!(SealedWeights::in_size(MAX_BYTES + MAX_SEALING).is_ok());
        assert_eq!(SealedWeights::in_size(MAX_BYTES + MAX_SEALING + 1).unwrap_err().code, Code::LimitExceeded);
    }
}
