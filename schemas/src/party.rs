//! Participants: who they are, the key they prove to hold, and the decision of two SRO people about them.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::envelope::Envelope;
use crate::id::Did;
use crate::jwk::Jwk;
use crate::text::Bytes;
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
    /// An auditor: reads what the SRO reads, and each such read is entered in the log.
    Auditor,
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
    /// The first key that signs for the applicant, for every use; `key-event.v1` adds and ends keys.
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
    /// Gone for good; its contracts are suspended, its keys no longer count for new acts.
    Withdrawn,
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

/// `participant-withdrawal.v1`: a participant leaves; signed by it. What it signed stays valid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParticipantWithdrawal {
    /// `participant-withdrawal.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Who leaves.
    pub participant: Did,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(ParticipantWithdrawal, "participant-withdrawal.v1", "participant-withdrawal");

/// What a participant's key may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Signing documents: offers, contracts, jobs, acts, SCITT statements.
    Document,
    /// Client assertions for access tokens.
    Api,
}

/// `key-proof.v1`: made by a new key about itself (proof of possession); the only signature is by that key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyProof {
    /// `key-proof.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Whose key it will be.
    pub holder: Did,
    /// The new key.
    pub jwk: Jwk,
    /// When it was made.
    pub at: Timestamp,
}
document!(KeyProof, "key-proof.v1", "key-proof");

/// What happens to a key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyAct {
    /// A further key, active from this entry on. For did:web the resolved document must name it.
    Add {
        /// The key's own word.
        proof: Envelope<KeyProof>,
        /// What it may be used for, at least one.
        uses: Vec<KeyUse>,
    },
    /// Signs nothing new from this entry on; what it signed stays valid.
    Retire {
        /// RFC 7638 thumbprint of the key.
        thumbprint: String,
    },
    /// As `retire`, for a cause: lost, wrongly issued.
    Revoke {
        /// RFC 7638 thumbprint of the key.
        thumbprint: String,
    },
    /// Somebody else may have signed with it: signatures entered at or after `since_index` are contested.
    Compromise {
        /// RFC 7638 thumbprint of the key.
        thumbprint: String,
        /// The first entry whose signature is in doubt.
        since_index: u64,
    },
}

/// `key-event.v1`: a change of a participant's keys; signed by the participant with an active key, or by two SRO people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEvent {
    /// `key-event.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Whose key.
    pub participant: Did,
    /// What happens.
    pub event: KeyAct,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(KeyEvent, "key-event.v1", "key-event");

/// How a did:web was resolved: the evidence that enters the log with the application or key event (CS11).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Where the document was fetched.
    pub url: String,
    /// The document as fetched.
    pub document: Bytes,
    /// When.
    pub fetched_at: Timestamp,
    /// SHA-256 of the server's certificate (DER); none over plain HTTP in the demo profile.
    pub certificate_sha256: Option<Digest>,
}
