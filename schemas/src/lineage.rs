//! The lineage of a log: its keys one after the other, the log that it continues, and the keys of the SRO's people. Whoever
//! pins one of the keys, and the people, can check offline that others came to be in use by the rules.

use serde::{Deserialize, Serialize};

use crate::bundle::{Logged, LoggedKeyEvent};
use crate::envelope::Envelope;
use crate::jwk::Jwk;
use crate::rules::{LogKey, LogSucceeded};

/// The keys of a log from `first` on. Each link is the entry that put the next key in use, signed by two SRO people, with
/// its receipt under a checkpoint that the key before it and the new one both signed. Verified by `signing::lineage`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLineage {
    /// Origin of the log.
    pub origin: String,
    /// The oldest key that the lineage speaks of.
    pub first: Jwk,
    /// The changes of key since, in the order of the log.
    pub links: Vec<Logged<LogKey>>,
    /// Why this log stands in the place of another one, signed by two SRO people; none for a log that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<Envelope<LogSucceeded>>,
    /// Every change of the keys of the SRO's people, in the order of the log, each signed by two of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<LoggedKeyEvent>,
}

impl LogLineage {
    /// Whether it tells nothing beyond one key of a log that succeeds none, and the first keys of its people.
    pub fn is_plain(&self) -> bool {
        self.links.is_empty() && self.succeeds.is_none() && self.people.is_empty()
    }
}
