//! Payouts to data principals: the share of a price that is theirs, split by weights that their provider signs. The log
//! gets a Merkle root, counts, sums and a currency; each principal gets its own line with a proof.

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::Digest;
use crate::document;
use crate::envelope::Envelope;
use crate::id::{DatasetId, Did};
use crate::log::{Receipt, leaf_hash};
use crate::money::{Currency, Minor};
use crate::problem::R;
use crate::text::Bytes;
use crate::time::Timestamp;

/// What of a price is the principals', as the offer says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalPool {
    /// Share of what the provider is paid, in parts per million, 1 to 1,000,000; rounded down.
    pub ppm: u32,
    /// The least that is paid to one principal; less is carried forward.
    pub minimum_minor: Minor,
    /// The least number of principals that a batch is split among, and that it pays where it pays any; at least 10. Of
    /// fewer, the sum would tell what one of them got.
    pub at_least: u32,
}

/// `payout-batch.v1`: signed by the provider. One batch per dataset version and currency after another, without a gap.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutBatch {
    /// `payout-batch.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The provider.
    pub provider: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// ISO 4217.
    pub currency: Currency,
    /// Number of the batch, from 1.
    pub seq: u32,
    /// SHA-256 of the batch before this one; none for the first.
    pub previous: Option<Digest>,
    /// SHA-256 of the provider's weights with their salts, the same in every batch of a version.
    pub weights_sha256: Digest,
    /// The settled obligations whose principals' part this batch splits, ascending, 1 to 1,000.
    pub settled: Vec<String>,
    /// The sum of these parts.
    pub pool_minor: Minor,
    /// What the batch before carried forward.
    pub carried_in_minor: Minor,
    /// What this batch pays out.
    pub paid_minor: Minor,
    /// What it carries forward: pool and carried in, less what is paid.
    pub carried_out_minor: Minor,
    /// Number of principals.
    pub principals: u64,
    /// Number of those who are paid now: none, or at least as many as the offer's `at_least`.
    pub paid_principals: u64,
    /// Root over the lines (RFC 6962), see [`PayoutLine`].
    pub root: Digest,
    /// When it was made.
    pub at: Timestamp,
}
document!(PayoutBatch, "payout-batch.v1", "payout-batch");

/// One principal's line. It never stands in the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutLine {
    /// The provider's pseudonym for the principal, 1 to 200 characters.
    pub principal: String,
    /// 32 random bytes of this principal, without which id and amount could be guessed.
    pub salt: Bytes,
    /// The principal's weight.
    pub weight: u64,
    /// Carried from the batch before.
    pub carried_in_minor: Minor,
    /// Its share of the pool.
    pub share_minor: Minor,
    /// Paid now: nothing, or all that there is.
    pub paid_minor: Minor,
    /// Carried forward.
    pub carried_out_minor: Minor,
}

/// What a leaf is made of.
#[derive(Serialize)]
struct Leaf<'a> {
    schema: &'a str,
    dataset_id: &'a DatasetId,
    version: u32,
    currency: &'a Currency,
    seq: u32,
    line: &'a PayoutLine,
}

impl PayoutBatch {
    /// The leaf of a line: RFC 6962 leaf hash of the canonical line with dataset, version, currency and number of the batch.
    pub fn leaf(&self, line: &PayoutLine) -> R<Digest> {
        let Self { dataset_id, version, currency, seq, .. } = self;
        let leaf = Leaf { schema: "payout-line.v1", dataset_id, version: *version, currency, seq: *seq, line };
        Ok(leaf_hash(&canonical::to_bytes(&leaf)?))
    }
}

/// What a principal gets: its line, and the way from it to the root of the signed batch in the log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutProof {
    /// Always 1.
    pub v: u8,
    /// The batch as its provider signed it.
    pub batch: Envelope<PayoutBatch>,
    /// That the batch stands in the log.
    pub receipt: Receipt,
    /// Place of the line among `batch.principals`, from 0.
    pub index: u64,
    /// The line.
    pub line: PayoutLine,
    /// Inclusion path, leaf to root.
    pub path: Vec<Digest>,
}
