//! The token that a guest gets: what its appraisal found, in the shape that its tools know (EAR, profile of Trustee).

use schemas::contract::Assurance;
use schemas::evidence::Appraisal;
use schemas::{Digest, Timestamp};
use serde_json::{Value, json};

use super::session::Guest;

const PROFILE: &str = "tag:github.com,2024:confidential-containers/Trustee";

/// AR4SI: affirmed.
const AFFIRMED: i64 = 2;
/// AR4SI: approved code was started.
const APPROVED: i64 = 3;
/// AR4SI: hardware that nobody vouches for.
const UNRECOGNISED: i64 = 97;

/// The claims about a guest, good until its session ends. SIMULATED evidence is contraindicated: no hardware stands
/// behind it.
pub(crate) fn claims(url: &str, jti: &str, guest: &Guest, appraisal: &Appraisal, now: Timestamp) -> Value {
    let genuine = appraisal.assurance == Assurance::Hardware;
    let checks: Vec<&str> = appraisal.checks.iter().map(|check| check.name.as_str()).collect();
    json!({
        "eat_profile": PROFILE,
        "iss": url,
        "iat": now.seconds(),
        "nbf": now.seconds(),
        "exp": guest.until.seconds(),
        "jti": jti,
        "ear.verifier-id": {"developer": "depa", "build": concat!("kms-adapter ", env!("CARGO_PKG_VERSION"))},
        "submods": {"cpu0": {
            "ear.status": if genuine { "affirming" } else { "contraindicated" },
            "ear.trustworthiness-vector": {
                "hardware": if genuine { AFFIRMED } else { UNRECOGNISED },
                "configuration": AFFIRMED,
                "executables": APPROVED,
            },
            "ear.appraisal-policy-id": appraisal.record.policy_sha256.map(|digest| digest.to_string()),
            "ear.veraison.annotated-evidence": {
                "assurance": if genuine { "hardware" } else { "software" },
                "checks": checks,
                "evidence_sha256": appraisal.evidence_sha256,
                "init_data_sha256": guest.init_data.as_ref().map(Digest::to_string),
                "runtime_data_claims": {
                    "nonce": guest.transcript.nonce,
                    "tee-pubkey": guest.transcript.tee_pubkey,
                },
            },
        }},
    })
}
