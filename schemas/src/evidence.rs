//! Attestation: the one transcript of every audience, the evidence over it, and what an appraisal found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::{Assurance, ContractRef};
use crate::digest::Digest;
use crate::document;
use crate::id::{ChallengeId, Did, ImageSetId, RunId};
use crate::jwk::Jwk;
use crate::log::CheckpointRef;
use crate::text::Bytes;
use crate::time::Timestamp;

/// Where evidence comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// SIMULATED: the software attester. Real code digests, no hardware; never accepted in production.
    Software,
    /// An Azure SEV-SNP confidential VM: HCL blob, SNP report, vTPM quote.
    AzureSnp,
    /// A bare SEV-SNP guest.
    Snp,
}

impl EvidenceKind {
    /// The assurance that this kind can reach.
    pub fn assurance(self) -> Assurance {
        match self {
            EvidenceKind::Software => Assurance::Software,
            EvidenceKind::AzureSnp | EvidenceKind::Snp => Assurance::Hardware,
        }
    }
}

/// What the room says to one audience; its SHA-384 is bound into the evidence.
///
/// B = SHA-384(JCS(transcript)); user-data = B ‖ 0^16; quote nonce = B.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Always 1.
    pub v: u8,
    /// Base URL of the service spoken to.
    pub aud: String,
    /// The challenge's 32 random bytes.
    pub nonce: Bytes,
    /// The challenge.
    pub challenge_id: ChallengeId,
    /// The run.
    pub run_id: RunId,
    /// SHA-256 of the signed job.
    pub job_sha256: Digest,
    /// The contracts, sorted by id.
    pub contracts: Vec<ContractRef>,
    /// The image set the room claims to be.
    pub image_set_id: ImageSetId,
    /// X25519 key that receives wrapped data keys; fresh per run.
    pub enc_jwk: Jwk,
    /// Ed25519 key that signs everything the run says later; fresh per run.
    pub run_jwk: Jwk,
    /// SHA-256 of the Admission's payload; none towards the contract service, which gives the Admission.
    pub admission_sha256: Option<Digest>,
    /// The log as the room saw it.
    pub checkpoint: CheckpointRef,
}

/// A vTPM quote with the PCR values it covers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// TPMS_ATTEST bytes.
    pub message: Bytes,
    /// RSASSA-SHA256 by the attestation key.
    pub signature: Bytes,
    /// All 24 sha256 PCRs in order, 32 bytes each.
    pub pcrs: Vec<Bytes>,
}

/// Evidence as the room sends it, at most 64 KiB as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its kind; decides which roots may vouch for it.
    pub kind: EvidenceKind,
    /// Azure and software: the HCL blob (header, SNP report, runtime data). Bare SNP: the 1184-byte report.
    pub report: Bytes,
    /// The quote; none for bare SNP.
    pub quote: Option<Quote>,
    /// VCEK, ASK, ARK as DER, in this order; VLEK, ASVK, ARK where a provider's key signs.
    pub certificates: Vec<Bytes>,
    /// The vTPM's certificate of the attestation key as DER, where there is one (Azure: NV index 0x01C101D0, cut to its
    /// own length). Judged only by a relying party that pins a vTPM root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ak_certificate: Option<Bytes>,
}

/// `image-set.v1`: an approved identity of the clean room; counts once two SRO people have signed it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSet {
    /// `image-set.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The set.
    pub image_set_id: ImageSetId,
    /// A name for people, with the release it stands for.
    pub name: String,
    /// The kind of evidence it is shown by.
    pub profile: EvidenceKind,
    /// Required PCR values by index (`"4"`, `"7"`, `"9"`, `"11"`, `"12"`): 32-byte digests.
    pub pcrs: BTreeMap<String, Digest>,
    /// Allowed launch measurements (48 bytes).
    pub measurements: Vec<Bytes>,
    /// Allowed id key digests (48 bytes).
    pub id_key_digests: Vec<Bytes>,
    /// Required host data (32 bytes) of a bare guest.
    pub host_data: Option<Digest>,
    /// Approved from here.
    pub valid_from: Timestamp,
    /// Approved until here, exclusive.
    pub valid_to: Timestamp,
}
document!(ImageSet, "image-set.v1", "image-set");

/// How one check of an appraisal ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// Not judged for this kind of evidence, or because an earlier part could not be read.
    NotEvaluated,
}

/// One named check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Stable name, lower_snake.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// For the relying party's people; never sent to the peer.
    pub detail: String,
}

/// What an appraisal found: every check, not the first error. The peer is told a code only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Appraisal {
    /// The kind of evidence.
    pub kind: EvidenceKind,
    /// Its assurance.
    pub assurance: Assurance,
    /// Whether every check passed (those not evaluated for this kind aside).
    pub accepted: bool,
    /// All checks in the order of `attestation-and-keys.md` 4.
    pub checks: Vec<Check>,
    /// The launch measurement.
    pub measurement: Bytes,
    /// SHA-256 over the 24 PCR values.
    pub pcr_sha256: Digest,
    /// SHA-256 of the evidence as canonical JSON.
    pub evidence_sha256: Digest,
    /// What was read off the platform, and by which policy and collateral it was judged.
    #[serde(default)]
    pub record: AppraisalRecord,
}

/// What a relying party keeps of an appraisal beside its verdicts (point 32 of the checklist). Members are absent where
/// the evidence could not be read so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppraisalRecord {
    /// `Milan`, `Genoa` or `Turin`.
    pub product: Option<String>,
    /// The reported TCB as fmc/bl/tee/snp/ucode.
    pub tcb: Option<String>,
    /// SHA-256 of the chip's id; the id itself names a machine and is not kept.
    pub chip_id_sha256: Option<Digest>,
    /// The paravisor's or guest's security version.
    pub guest_svn: Option<u32>,
    /// The vTPM's count of resets: a later run on the same machine with a smaller one is not the same vTPM.
    pub reset_count: Option<u32>,
    /// SHA-256 of the attestation key (SubjectPublicKeyInfo).
    pub ak_sha256: Option<Digest>,
    /// SHA-256 of the key of the chain's root (SubjectPublicKeyInfo), trusted or not.
    #[serde(default)]
    pub root_sha256: Option<Digest>,
    /// The platform level.
    pub level: Option<String>,
    /// SHA-256 of the policy as canonical JSON, platform data and level included.
    pub policy_sha256: Option<Digest>,
    /// SHA-256 over the collateral that was used: certificates, revocation lists, pinned vTPM roots.
    pub collateral_sha256: Option<Digest>,
}

/// What the entry of a check-in says of the platform, as the service read it off the evidence. It names no machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// The launch measurement.
    pub measurement: Bytes,
    /// `Milan`, `Genoa` or `Turin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The reported TCB as fmc/bl/tee/snp/ucode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcb: Option<String>,
    /// The platform level that the service judged it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// SHA-256 of the key of the root that vouches (SubjectPublicKeyInfo). The chip's own certificate names a machine and
    /// is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<Digest>,
}

impl Appraisal {
    /// Names of the checks that passed.
    pub fn passed(&self) -> Vec<String> {
        self.checks.iter().filter(|c| c.verdict == Verdict::Pass).map(|c| c.name.clone()).collect()
    }

    /// What a log may say of the platform that this evidence showed.
    pub fn platform(&self) -> Platform {
        let AppraisalRecord { product, tcb, level, root_sha256, .. } = self.record.clone();
        Platform { measurement: self.measurement.clone(), product, tcb, level, root_sha256 }
    }

    /// Names of the failed checks.
    pub fn failed(&self) -> Vec<&str> {
        self.checks.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| c.name.as_str()).collect()
    }
}
