//! The renewal of a privacy budget: a provider's dated word that a family's cap rises by a stated amount.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::id::{DatasetId, Did, FamilyId};
use crate::text::Real;
use crate::time::Timestamp;

/// `budget-renewal.v1`: signed by the TDP alone and entered in the log. It raises the cap of one offer in one ledger and
/// forgets nothing: what was spent stays spent, and cap and renewals together stay within the offer's `renewable_to`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRenewal {
    /// `budget-renewal.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The TDP.
    pub provider: Did,
    /// The family whose budget is renewed.
    pub family: FamilyId,
    /// The dataset of the offer.
    pub dataset_id: DatasetId,
    /// The offer whose cap rises, as contracts pin it.
    pub offer_sha256: Digest,
    /// The consumer whose ledger it is, where the offer's cap is per consumer; none where it is global.
    pub tdc: Option<Did>,
    /// Counts the renewals of this offer in this ledger, from 1: the same one sent twice counts once.
    pub number: u32,
    /// ε by which the cap rises, above 0, at the δ of the offer's cap.
    pub epsilon: Real,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(BudgetRenewal, "budget-renewal.v1", "budget-renewal");
