//! What the SRO lays down for everyone: contract templates, data schemas, withdrawn image sets, erasure, the log's own
//! keys and succession. Each counts once two different SRO people have signed the same bytes.

use serde::{Deserialize, Serialize};

use crate::dataset::Column;
use crate::digest::Digest;
use crate::document;
use crate::id::{Did, ImageSetId};
use crate::jwk::Jwk;
use crate::time::Timestamp;

/// The template that needs no registration: `training-v1`.
pub const BUILT_IN_TEMPLATE: &str = "training-v1";
/// What offers, templates, contracts and jobs may be for. Further purposes become further words here.
pub const PURPOSES: [&str; 1] = ["TRAINING"];
/// The data schema that needs no registration: any table.
pub const BUILT_IN_SCHEMA: &str = "urn:depa:schema:table-v1";

/// `template.v1`: the form of a contract and the legal text that goes with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// `template.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The name by which contracts choose it, like `oncology-v2`: `[a-z0-9-]{1,40}-v[0-9]+`, registered once.
    pub template: String,
    /// A title for people.
    pub title: String,
    /// Where the legal text lies.
    pub text_url: String,
    /// SHA-256 of the legal text.
    pub text_sha256: Digest,
    /// Purposes that it may be used for.
    pub purposes: Vec<String>,
    /// Jurisdictions that it may be used in; empty for every one.
    pub jurisdictions: Vec<String>,
    /// The longest period in days.
    pub max_days: u32,
    /// Days after which an unsigned proposal lapses.
    pub lapse_days: u32,
    /// Whether two SRO people must countersign.
    pub sro_countersigns: bool,
    /// Whether a statement of anticipated model risks is required.
    pub risk_statement: bool,
    /// SHA-256 of each Rego document of the SRO that contracts of this template must name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Digest>,
    /// When it was approved.
    pub at: Timestamp,
}
document!(Template, "template.v1", "template");

/// `data-schema.v1`: columns that every dataset of a kind has. An offer that names it has these columns, of these types
/// and within these bounds, and may have more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSchema {
    /// `data-schema.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The URI by which offers name it, registered once.
    pub uri: String,
    /// A title for people.
    pub title: String,
    /// The required columns.
    pub columns: Vec<Column>,
    /// When it was approved.
    pub at: Timestamp,
}
document!(DataSchema, "data-schema.v1", "data-schema");

/// `image-set-revocation.v1`: no run may show itself as this image set from this entry on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSetRevocation {
    /// `image-set-revocation.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The image set.
    pub image_set_id: ImageSetId,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(ImageSetRevocation, "image-set-revocation.v1", "image-set-revocation");

/// `erasure.v1`: the bodies and salts of one subject are destroyed (DPDP section 12); its leaves stay in the log. Only
/// of a subject whose events no other entry builds on: a proposal that never came into force, a rejected applicant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// `erasure.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Indices of the subject's entries, ascending: all of them.
    pub entries: Vec<u64>,
    /// One sentence of reason, at most 500 characters. Names nobody.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(Erasure, "erasure.v1", "erasure");

/// `log-key.v1`: the registry signs with another key from this entry on; old and new key both sign checkpoints until
/// `overlap_until`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogKey {
    /// `log-key.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Thumbprint of the key that is replaced.
    pub replaces: String,
    /// The new key.
    pub jwk: Jwk,
    /// Both keys sign checkpoints until here.
    pub overlap_until: Timestamp,
    /// When it was written.
    pub at: Timestamp,
}
document!(LogKey, "log-key.v1", "log-key");

/// `log-succeeded.v1`: a log that lost entries is closed and this one goes on in its place, under a new origin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSucceeded {
    /// `log-succeeded.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Origin of the log that is closed.
    pub old_origin: String,
    /// Its last checkpoint that a witness cosigned, as text.
    pub old_checkpoint: String,
    /// Entries that are still there: all below this index.
    pub kept: u64,
    /// Origin of the log that goes on.
    pub new_origin: String,
    /// RFC 7638 thumbprint of the key that the log which goes on begins with. None in documents of before it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_key: Option<String>,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(LogSucceeded, "log-succeeded.v1", "log-succeeded");
