//! Participants: who they are, the key they prove to hold, and the decision of two SRO people about them.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::id::Did;
use crate::jwk::Jwk;
use crate::time::Timestamp;

/// What a participant is to the registry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Training data provider.
    Tdp,
    /// Training data consumer.
    Tdc,
    /// Clean-room provider.
    Ccrp,
    /// Payment service provider.
    Psp,
    /// A person of the self-regulatory organisation; named in the genesis of the log.
    Sro,
}

/// `participant.v1`: an application, signed by the key it names (proof of possession). Readable by everyone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// `participant.v1`.
    pub schema: String,
    /// The registry applied to.
    pub registry: Did,
    /// The applicant. For `did:key` the DID encodes `jwk`; for `did:web` the resolved document must name it.
    pub did: Did,
    /// What the applicant wants to be.
    pub kind: Kind,
    /// Legal name, 1 to 200 characters.
    pub legal_name: String,
    /// ISO 3166 country code.
    pub jurisdiction: String,
    /// The Ed25519 key that signs for the applicant.
    pub jwk: Jwk,
    /// When the application was written.
    pub applied_at: Timestamp,
}
document!(Participant, "participant.v1", "participant");

/// What the SRO decided about a participant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// May act.
    Verified,
    /// May not act.
    Rejected,
    /// May not act for now.
    Suspended,
}

/// `participant-decision.v1`: counts once two different SRO people have signed the same bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParticipantDecision {
    /// `participant-decision.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Who was decided about.
    pub participant: Did,
    /// SHA-256 of the application decided about.
    pub participant_sha256: Digest,
    /// The decision.
    pub decision: Decision,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was decided.
    pub decided_at: Timestamp,
}
document!(ParticipantDecision, "participant-decision.v1", "participant-decision");
