//! What a provider lets out of its data by itself, outside any run: statistics of a table, a sample, a sketch of its keys.
//!
//! Noise is drawn on the provider's own machine. What the file costs the people behind the data is charged to the same
//! family as training is, at the provider's own key service, before the file is written: whoever lets the file go without
//! the charge breaks the promise of the offer, and a charge without a file harms nobody.

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetOffer;
use crate::digest::Digest;
use crate::document;
use crate::envelope::Envelope;
use crate::id::Did;
use crate::privacy::DatasetCharge;
use crate::renewal::BudgetRenewal;
use crate::time::Timestamp;

/// What is let out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleasedKind {
    /// Noised statistics of every column.
    Profile,
    /// Rows that were made from noised statistics.
    Sample,
    /// A noised sketch of the keys, for an estimate of an overlap.
    Sketch,
}

/// `own-release.v1`: a provider tells its own key service what it is about to let out; signed by the provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnRelease {
    /// `own-release.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the key service: a copy sent elsewhere is refused.
    pub kms: String,
    /// The provider, whom the service serves.
    pub provider: Did,
    /// What is let out.
    pub kind: ReleasedKind,
    /// SHA-256 of the file, byte by byte: one file is charged once.
    pub file_sha256: Digest,
    /// The offer whose cap the charge must fit into.
    pub offer_sha256: Digest,
    /// The charge as it follows from the mechanisms and the offer's cap. It counts for every consumer, since nobody knows who
    /// will read the file.
    pub charge: DatasetCharge,
    /// When it was written.
    pub at: Timestamp,
}
document!(OwnRelease, "own-release.v1", "own-release");

/// Body of `POST /v1/budget/releases`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnReleaseRequest {
    /// What is let out.
    pub release: Envelope<OwnRelease>,
    /// The offer that it names.
    pub offer: Envelope<DatasetOffer>,
    /// Renewals that raised the offer's cap, where there are some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renewals: Vec<Envelope<BudgetRenewal>>,
}

/// Whether a ledger was charged with a file, as the file says itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Charging {
    /// Before it was written.
    Charged,
    /// None was.
    Uncharged,
}

/// The charge as it stands in the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnReleaseCharged {
    /// The file.
    pub file_sha256: Digest,
    /// What it costs.
    pub charge: DatasetCharge,
    /// When it was entered; before, where the file was charged before.
    pub at: Timestamp,
}
