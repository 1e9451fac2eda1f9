//! Participants and their keys.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::id::Did;
use crate::jwk::Jwk;
use crate::party::{KeyUse, Kind, Participant, ParticipantDecision};

messages! {
    /// A participant as the register knows it.
    ParticipantView {
        /// Its application.
        application: Envelope<Participant>,
        /// The last decision, with its receipt.
        decision: Option<Logged<ParticipantDecision>>,
        /// `applied`, `verified`, `rejected`, `suspended` or `withdrawn`.
        state: String,
    }
    /// A key of a participant.
    KeyView {
        /// RFC 7638 thumbprint.
        thumbprint: String,
        /// The key.
        jwk: Jwk,
        /// What it may be used for.
        uses: Vec<KeyUse>,
        /// `active`, `retired`, `revoked` or `compromised`.
        state: String,
        /// Index of the entry that brought it.
        active_from: u64,
        /// Index of the entry that ended it.
        ended: Option<u64>,
        /// The first entry whose signature is in doubt.
        compromised_since: Option<u64>,
        /// Of a reported key of an SRO person the entries that it signed since: what the SRO looks at again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        in_doubt: Vec<u64>,
    }
    /// The keys of a participant, in the order of their entries.
    KeyList {
        /// The keys.
        keys: Vec<KeyView>,
    }
    /// A participant in a list.
    ParticipantLine {
        /// Who.
        did: Did,
        /// As what.
        kind: Kind,
        /// Legal name.
        legal_name: String,
        /// ISO 3166 country code.
        jurisdiction: String,
        /// `applied`, `verified`, `rejected`, `suspended` or `withdrawn`.
        state: String,
        /// SHA-256 of the application: what a decision names.
        application_sha256: Digest,
        /// Index of the application's entry.
        applied: u64,
    }
    /// A page of participants.
    ParticipantList {
        /// The participants, by DID.
        participants: Vec<ParticipantLine>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
}
