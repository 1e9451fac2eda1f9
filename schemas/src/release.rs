//! The run protocol: challenge, admission, reservation, release, renewal, commit, and their receipts.
//!
//! Requests of the room are envelopes signed by the run key ([`RunRequest`]), answers are envelopes signed by the
//! service. One form for everything signed: the house sends no compact JWS besides tokens and JWE.

use serde::{Deserialize, Serialize};

use crate::contract::{Assurance, ContractRef, ContractState};
use crate::digest::Digest;
use crate::document;
use crate::envelope::Envelope;
use crate::evidence::{Evidence, Transcript};
use crate::id::{ChallengeId, ContractId, DataKeyId, DatasetId, Did, ImageSetId, ReservationId, RunId};
use crate::jwk::Jwk;
use crate::log::CheckpointRef;
use crate::privacy::DatasetCharge;
use crate::text::Bytes;
use crate::time::Timestamp;

/// Asks a service for a challenge. The contract service mints the run id; a KMS is told it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// None towards the contract service at check-in.
    pub run_id: Option<RunId>,
    /// The job.
    pub job_sha256: Digest,
    /// The contracts, sorted by id.
    pub contracts: Vec<ContractRef>,
}

/// `kms-challenge.v1`: 32 random bytes, single use, signed by the service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// `kms-challenge.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The challenge.
    pub challenge_id: ChallengeId,
    /// 32 random bytes.
    pub nonce: Bytes,
    /// Base URL of the service: the audience of the transcript.
    pub aud: String,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// Not usable from here on (120 s after issue).
    pub expires_at: Timestamp,
    /// The log as the service knows it; none at a KMS, which knows the log through Admissions.
    pub checkpoint: Option<CheckpointRef>,
}
document!(Challenge, "kms-challenge.v1", "kms-challenge", Service);

/// A transcript with the evidence over it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// What the room says.
    pub transcript: Transcript,
    /// What proves it.
    pub evidence: Evidence,
}

/// A contract with its state, as an Admission and the status list state it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractStatus {
    /// The contract.
    pub id: ContractId,
    /// Its digest.
    pub sha256: Digest,
    /// Its state.
    pub state: ContractState,
}

/// The last logged audit head of a KMS: its journal sequence and the hash at it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KmsHead {
    /// Base URL of the KMS.
    pub kms: String,
    /// The highest sequence of its receipts in the log; 0 with an all-zero head when there is none.
    pub seq: u64,
    /// The receipt's own hash (SHA-256 of its payload).
    pub head: Digest,
}

/// `admission.v1`: the contract service's word that this run may ask for keys, at most 60 s old when used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// `admission.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// The contracts and their states now. A run that holds its keys is told of an end that lets it finish; with such a
    /// state no key service opens anything.
    pub contracts: Vec<ContractStatus>,
    /// The image set.
    pub image_set_id: ImageSetId,
    /// SHA-256 of the check-in evidence.
    pub evidence_sha256: Digest,
    /// Its assurance.
    pub assurance: Assurance,
    /// The run's signing key.
    pub run_jwk: Jwk,
    /// The run's key for wrapped keys.
    pub enc_jwk: Jwk,
    /// The log now.
    pub checkpoint: CheckpointRef,
    /// Per KMS of the job, what the log last heard of it.
    pub kms_heads: Vec<KmsHead>,
    /// A checkpoint note with cosignatures of witnesses, at most ten minutes old: for relying parties that ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned: Option<String>,
}
document!(Admission, "admission.v1", "admission", Service);

/// The most revoked image sets in a status list: so many may be within their period at once.
pub const MOST_IMAGE_SETS: usize = 1024;

/// `status-list.v1`: the state of every contract that is or was in force, and what was withdrawn of image sets; the only
/// base for "no later event".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusList {
    /// `status-list.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// The log then.
    pub checkpoint: CheckpointRef,
    /// Contracts that are not in force, sorted by id. Those absent are unknown or in force.
    pub not_in_force: Vec<ContractStatus>,
    /// Image sets that were revoked before the end of their period, ascending; at most [`MOST_IMAGE_SETS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_sets_revoked: Vec<ImageSetId>,
}
document!(StatusList, "status-list.v1", "status-list", Service);

/// What the room asks of a service after check-in; signed by the run key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunAct {
    /// A fresh Admission, from the contract service.
    RefreshAdmission {},
    /// The keys of a reservation.
    Release {
        /// The challenge of this KMS under which keys are wrapped.
        challenge_id: ChallengeId,
        /// The own reservation.
        reservation_id: ReservationId,
    },
    /// Another lease.
    Renew {},
    /// Fixes the only output of the run.
    Commit {
        /// SHA-256 of the sealed model.
        output_sha256: Digest,
    },
    /// How far the training is, told to the contract service: a public figure, kept in no log.
    Progress {
        /// The step of the plan that is done.
        step: u32,
    },
}

/// `run-request.v1`: signed by the run key, used once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// `run-request.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the service.
    pub aud: String,
    /// The run.
    pub run_id: RunId,
    /// Random, used once per run and service.
    pub jti: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// What is asked.
    pub request: RunAct,
}
document!(RunRequest, "run-request.v1", "run-request", Run);

/// Body of `POST /v1/reservations` at a KMS.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveRequest {
    /// Transcript for this KMS and evidence over it.
    pub attested: Attested,
    /// The Admission, at most 60 s old.
    pub admission: Envelope<Admission>,
    /// Job, contracts, offers, participants, image set, with their receipts.
    pub bundle: crate::bundle::JobBundle,
}

/// The longest token for a second gate, in bytes.
pub const MOST_TOKEN: usize = 32 * 1024;

/// Body of `POST /v1/reservations/{id}/release` at a KMS. Fresh evidence under a fresh challenge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// `RunAct::Release` by the run key.
    pub request: Envelope<RunRequest>,
    /// Transcript under the challenge named in the request, and evidence over it.
    pub attested: Attested,
    /// The Admission, at most 60 s old.
    pub admission: Envelope<Admission>,
    /// Signed reservations of all KMSs of the run.
    pub reservations: Vec<Envelope<KmsReceipt>>,
    /// A token of Microsoft Azure Attestation (compact JWS) over the machine and user data of this evidence, for a KMS
    /// that stands behind a second gate and refuses with `MAA_TOKEN_MISSING` without it; at most [`MOST_TOKEN`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maa_token: Option<String>,
    /// How the key that signed the Admission follows from earlier ones; none while the log has its first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_keys: Option<crate::lineage::LogLineage>,
}

/// Body of `POST /v1/runs/{id}/renew` at a KMS.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// `RunAct::Renew` by the run key.
    pub request: Envelope<RunRequest>,
    /// At most 60 s old.
    pub status_list: Envelope<StatusList>,
    /// How the key that signed the list follows from earlier ones; none while the log has its first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_keys: Option<crate::lineage::LogLineage>,
}

/// Body of `POST /v1/runs/{id}/refund` at a KMS: the logged abort before any step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// `aborted` with `steps_run` 0, signed by the run key.
    pub aborted: Envelope<crate::event::RunEvent>,
    /// Receipt of its entry in the log.
    pub receipt: crate::log::Receipt,
    /// How the key that signed its checkpoint follows from earlier ones; none while the log has its first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_keys: Option<crate::lineage::LogLineage>,
}

/// A dataset in a KMS statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasedDataset {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// The contract under which it is used.
    pub contract: ContractRef,
    /// Merkle root over its sealed object.
    pub manifest_root: Digest,
    /// Its key.
    pub key_id: DataKeyId,
}

/// What a KMS states in a receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum KmsStatement {
    /// Budget is reserved; no key has left.
    Reserved {
        /// The reservation.
        reservation_id: ReservationId,
        /// Forgotten from here on unless released.
        expires_at: Timestamp,
    },
    /// Keys were wrapped; the charge stands. It comes back only against a logged abort before the first step.
    Released {
        /// The reservation.
        reservation_id: ReservationId,
        /// SHA-256 of each JWE, in the order of `datasets`.
        jwe_sha256: Vec<Digest>,
    },
    /// The only output of the run is fixed.
    Committed {
        /// SHA-256 of the sealed model.
        output_sha256: Digest,
    },
    /// The charge is returned: the run aborted before its first step.
    Refunded {
        /// SHA-256 of the abort event.
        aborted_sha256: Digest,
    },
}

/// `kms-receipt.v1`: a KMS's signed statement about a run, chained to its journal. No key in it, fit for the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KmsReceipt {
    /// `kms-receipt.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the KMS.
    pub kms: String,
    /// The TDP it serves.
    pub provider: Did,
    /// Journal sequence, from 1 without gaps.
    pub seq: u64,
    /// SHA-256 of the payload of the receipt before it; all zero at sequence 1.
    pub prev: Digest,
    /// When it was signed.
    pub at: Timestamp,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// RFC 7638 thumbprint of the run's signing key.
    pub run_jwk_thumbprint: String,
    /// RFC 7638 thumbprint of the run's key for wrapped keys.
    pub enc_jwk_thumbprint: String,
    /// The image set.
    pub image_set_id: ImageSetId,
    /// The assurance of the evidence.
    pub assurance: Assurance,
    /// SHA-256 of the transcript's canonical bytes.
    pub transcript_sha256: Digest,
    /// SHA-256 of the evidence.
    pub evidence_sha256: Digest,
    /// The datasets of this KMS in the run.
    pub datasets: Vec<ReleasedDataset>,
    /// What is charged to each of them.
    pub charges: Vec<DatasetCharge>,
    /// SHA-256 of each Rego document that was asked and allowed it, ascending; none where none was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Digest>,
    /// Names of the checks that the evidence passed when this service appraised it for this statement; none where it
    /// appraised none, and in receipts of before they were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// What is stated.
    pub statement: KmsStatement,
}
document!(KmsReceipt, "kms-receipt.v1", "kms-receipt", Service);

/// `kms-release.v1`: one answer over the wrapped keys and the receipt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `kms-release.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// One compact JWE per dataset of the receipt, in its order (ECDH-ES+A256KW, A256GCM), to the run's `enc_jwk`.
    pub jwe: Vec<String>,
    /// Behind a second gate, one for each JWE: what opens under the key in that JWE, and then, with the transport key of
    /// the room's token, gives the data key. Empty where the JWEs hold the data keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gated: Vec<Bytes>,
    /// The receipt.
    pub receipt: Envelope<KmsReceipt>,
    /// Seconds until the keys must be wiped unless renewed.
    pub lease_seconds: u32,
}
document!(Release, "kms-release.v1", "kms-release", Service);

/// `kms-lease.v1`: the answer to a renewal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// `kms-lease.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// When it was signed.
    pub at: Timestamp,
    /// Seconds from `at`.
    pub lease_seconds: u32,
}
document!(Lease, "kms-lease.v1", "kms-lease", Service);

/// `kms-key.v1`: a TDP hands its data key to its own KMS; signed by the TDP, the key itself inside a JWE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyImport {
    /// `kms-key.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the KMS: a copy sent elsewhere is refused.
    pub kms: String,
    /// The key.
    pub key_id: DataKeyId,
    /// The TDP.
    pub provider: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Merkle root over the sealed object.
    pub manifest_root: Digest,
    /// Fixed from here on.
    pub min_assurance: Assurance,
    /// The 32-byte key as compact JWE to the KMS's import key.
    pub jwe: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(KeyImport, "kms-key.v1", "kms-key");

/// What a KMS publishes about itself under `/v1/kms`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KmsInfo {
    /// Base URL.
    pub kms: String,
    /// The TDP it serves.
    pub provider: Did,
    /// The key that signs its answers.
    pub sign_jwk: Jwk,
    /// X25519 key to which imported data keys are wrapped.
    pub import_jwk: Jwk,
    /// Kinds of evidence it accepts, for people.
    pub evidence: Vec<crate::evidence::EvidenceKind>,
    /// `demo` or `production`.
    pub profile: String,
}
