//! The model certificate: what a released model is, under which contracts it was made, and what it cost in privacy.

use serde::{Deserialize, Serialize};

use crate::contract::{Assurance, ContractRef};
use crate::digest::Digest;
use crate::document;
use crate::evidence::EvidenceKind;
use crate::id::{DatasetId, Did, ImageSetId, RunId};
use crate::pipeline::OutputKind;
use crate::privacy::{DatasetCharge, Plan};
use crate::text::Bytes;
use crate::time::Timestamp;
use crate::worker::{NoiseSampler, NoisedMetrics};

/// A dataset that the model was trained on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedDataset {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Merkle root of the sealed object that was read.
    pub manifest_root: Digest,
    /// What the run cost it: what its ledger was charged.
    pub charge: DatasetCharge,
    /// The ε of the same mechanisms at the same δ by their privacy loss distribution, in 10^-6, rounded up: a tighter
    /// bound of what this run alone reveals. No ledger counts with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon_pld_micro: Option<u64>,
}

/// What a room showed to be that took part beside the one that signs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRoom {
    /// The kind of its evidence; `software` means SIMULATED.
    pub evidence: EvidenceKind,
    /// Its launch measurement, 48 bytes.
    pub measurement: Bytes,
    /// SHA-256 over its 24 PCR values; none for a bare guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcr_sha256: Option<Digest>,
}

/// `certificate.v1`: signed by the run key. Holds no row count, loss or exact metric.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCertificate {
    /// `certificate.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// The contracts.
    pub contracts: Vec<ContractRef>,
    /// What ran.
    pub image_set_id: ImageSetId,
    /// SHA-256 of the evidence of every room that took part beside the one that signs, in their order; absent where it
    /// was alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Digest>,
    /// What each of these rooms showed to be, in the same order, as the room that signs appraised it; absent in
    /// certificates of before it was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_rooms: Vec<MemberRoom>,
    /// How strong the evidence was; `software` means SIMULATED.
    pub assurance: Assurance,
    /// The datasets.
    pub datasets: Vec<CertifiedDataset>,
    /// The privacy plan that was carried out.
    pub plan: Plan,
    /// SHA-256 of what left the room, in the clear: the model (safetensors), or the metrics (canonical JSON) where the
    /// job's output is metrics.
    pub model_sha256: Digest,
    /// Its size.
    pub model_bytes: u64,
    /// What that output is, written where it is no model: `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_kind: Option<OutputKind>,
    /// Noised metrics, charged to the datasets.
    pub metrics: Option<NoisedMetrics>,
    /// What drew the noise of the training; absent in certificates of before it was said: the exact sampler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseSampler>,
    /// When it was made.
    pub issued_at: Timestamp,
}
document!(ModelCertificate, "certificate.v1", "certificate", Run);
