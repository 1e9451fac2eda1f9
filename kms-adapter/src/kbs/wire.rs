//! What is said in the protocol. Members that the protocol does not name are refused, but for `extra-params`, which it
//! leaves open.

use schemas::bundle::JobBundle;
use schemas::evidence::EvidenceKind;
use schemas::id::ContractId;
use schemas::jwk::{EcCurve, Jwk};
use schemas::release::StatusList;
use schemas::text::Bytes;
use schemas::{Code, Envelope, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Profile;

/// The one version.
pub const VERSION: &str = "0.4.0";
/// The one hash.
const HASH: &str = "sha384";
/// How a stock guest names its key's algorithm.
const KEY_ALG: &str = "ECDH-ES+A256KW";

/// Body of `POST /kbs/v0/auth`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthRequest {
    /// `0.4.0`.
    pub version: String,
    /// `az-snp-vtpm`, or, in demos, `depa-sample`.
    pub tee: String,
    /// `supported-hash-algorithms`, where it stands, holds `sha384`; the rest is not looked at.
    #[serde(rename = "extra-params", default)]
    pub extra_params: Value,
}

impl AuthRequest {
    /// The kind of evidence that is to come: `KBS_VERSION`, `KBS_TEE`, or `SCHEMA_MISMATCH` without a common hash.
    pub(crate) fn kind(&self, profile: Profile) -> R<EvidenceKind> {
        if self.version != VERSION {
            let sentence = format!("version {VERSION} of the protocol is spoken here");
            return Err(Refusal::new(Code::KbsVersion, sentence).at("version"));
        }
        if let Some(named) = self.extra_params.get("supported-hash-algorithms") {
            let said = |v: &Value| v.as_str().is_some_and(|name| name.to_lowercase() == HASH);
            if !named.as_array().is_some_and(|names| names.iter().any(said)) {
                let sentence = format!("{HASH} is used here");
                return Err(Refusal::new(Code::SchemaMismatch, sentence).at("extra-params.supported-hash-algorithms"));
            }
        }
        match (self.tee.as_str(), profile) {
            ("az-snp-vtpm", _) => Ok(EvidenceKind::AzureSnp),
            ("depa-sample", Profile::Demo) => Ok(EvidenceKind::Software),
            _ => Err(Refusal::new(Code::KbsTee, "guests of this kind are not known here").at("tee")),
        }
    }
}

/// Answer to it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct GuestChallenge {
    /// Base64 of 32 random bytes.
    pub nonce: String,
    /// `selected-hash-algorithm`.
    #[serde(rename = "extra-params")]
    pub extra_params: Value,
}

impl GuestChallenge {
    /// With this nonce.
    pub(crate) fn new(nonce: String) -> GuestChallenge {
        GuestChallenge { nonce, extra_params: json!({"selected-hash-algorithm": HASH}) }
    }
}

/// Body of `POST /kbs/v0/attest`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestRequest {
    /// What the guest was started with, where it was.
    #[serde(rename = "init-data", default)]
    pub init_data: Option<InitData>,
    /// What is bound into the evidence.
    #[serde(rename = "runtime-data")]
    pub runtime_data: RuntimeData,
    /// The evidence.
    #[serde(rename = "tee-evidence")]
    pub tee_evidence: TeeEvidence,
}

/// Init-data in the clear.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitData {
    /// `toml` or `json`.
    pub format: String,
    /// The document: `version`, `algorithm`, `data`.
    pub body: String,
}

/// Nonce and key.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuntimeData {
    /// As it was told.
    pub nonce: String,
    /// The guest's key: EC, P-256, `ECDH-ES+A256KW`.
    #[serde(rename = "tee-pubkey")]
    pub tee_pubkey: Value,
}

/// Evidence of the guest and of its devices.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeeEvidence {
    /// `az-snp-vtpm`, version 2.
    pub primary_evidence: Value,
    /// Empty, or `{}`: no device is judged here.
    pub additional_evidence: String,
}

/// A guest's key as it stands in `tee-pubkey`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TeePubKey {
    kty: String,
    crv: EcCurve,
    alg: String,
    x: Bytes,
    y: Bytes,
}

/// The guest's key; `KEY_FORM` unless it is a point of P-256 for `ECDH-ES+A256KW`.
pub(crate) fn guest_key(tee_pubkey: &Value) -> R<Jwk> {
    let bad = |why: &str| Refusal::new(Code::KeyForm, why).at("runtime-data.tee-pubkey");
    let key: TeePubKey = serde_json::from_value(tee_pubkey.clone()).map_err(|_| bad("kty, crv, alg, x and y"))?;
    if key.kty != "EC" || key.crv != EcCurve::P256 || key.alg != KEY_ALG {
        return Err(bad("a key on P-256 for ECDH-ES+A256KW is expected"));
    }
    let jwk = Jwk::Ec { crv: key.crv, x: key.x, y: key.y };
    signing::check::sound(&jwk)?;
    Ok(jwk)
}

/// Answer to it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct AttestAnswer {
    /// Attestation result of EAR's shape, a JWT of this service.
    pub token: String,
}

/// A key as flattened JWE (RFC 7516 7.2.2).
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Resource {
    /// `{"alg","enc","epk"}`, in this order.
    pub protected: String,
    /// The content key, wrapped.
    pub encrypted_key: String,
    /// 12 bytes.
    pub iv: String,
    /// The sealed key of the dataset.
    pub ciphertext: String,
    /// 16 bytes.
    pub tag: String,
}

/// A refusal as the protocol has it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ErrorInformation {
    /// `urn:depa:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A fixed sentence.
    pub detail: String,
}

/// Body of `POST /v1/kbs/papers`: what a stock guest cannot carry, brought by the provider.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Papers {
    /// Job, contracts, offers, participants, image set, with their receipts.
    pub bundle: JobBundle,
    /// Of the registry; good for 60 s.
    pub status_list: Envelope<StatusList>,
}

/// Answer to it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct PapersTaken {
    /// Contracts of which keys can be fetched while the status list is fresh.
    pub contracts: Vec<ContractId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(version: &str, tee: &str, extra_params: Value, profile: Profile) -> Result<EvidenceKind, Code> {
        AuthRequest { version: version.into(), tee: tee.into(), extra_params }.kind(profile).map_err(|e| e.code)
    }

    #[test]
    fn one_version_two_kinds_and_one_hash() {
        assert_eq!(kind("0.4.0", "az-snp-vtpm", json!(""), Profile::Production), Ok(EvidenceKind::AzureSnp));
        assert_eq!(kind("0.4.0", "depa-sample", json!({}), Profile::Demo), Ok(EvidenceKind::Software));
        assert_eq!(kind("0.4.0", "depa-sample", json!({}), Profile::Production), Err(Code::KbsTee));
        for version in ["0.1.1", "0.4.1", "0.4", "0.5.0", ""] {
            assert_eq!(kind(version, "az-snp-vtpm", json!({}), Profile::Demo), Err(Code::KbsVersion), "{version}");
        }
        for tee in ["sample", "snp", "tdx", "az-tdx-vtpm", ""] {
            assert_eq!(kind("0.4.0", tee, json!({}), Profile::Demo), Err(Code::KbsTee), "{tee}");
        }
        let hashes = |names: Value| json!({"supported-hash-algorithms": names, "other": 1});
        let both = hashes(json!(["SHA256", "SHA384"]));
        assert_eq!(kind("0.4.0", "az-snp-vtpm", both, Profile::Demo), Ok(EvidenceKind::AzureSnp));
        for names in [json!(["sha256"]), json!([]), json!("sha384")] {
            let code = kind("0.4.0", "az-snp-vtpm", hashes(names), Profile::Demo);
            assert_eq!(code, Err(Code::SchemaMismatch));
        }
    }
}
