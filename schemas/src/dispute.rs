//! Disputes about money, and money that came without a known reason.

use serde::{Deserialize, Serialize};

use crate::contract::ContractRef;
use crate::digest::Digest;
use crate::document;
use crate::id::{Did, DisputeId};
use crate::money::{Currency, Minor};
use crate::time::Timestamp;

/// `dispute.v1`: signed by a party of the contract, about one of its obligations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// `dispute.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dispute; its opener draws it.
    pub dispute_id: DisputeId,
    /// The contract.
    pub contract: ContractRef,
    /// The obligation.
    pub instruction_id: String,
    /// Who opens it.
    pub opener: Did,
    /// What is wrong, 1 to 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(Dispute, "dispute.v1", "dispute");

/// `dispute-answer.v1`: signed by the other side, once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeAnswer {
    /// `dispute-answer.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dispute.
    pub dispute_id: DisputeId,
    /// Who answers.
    pub by: Did,
    /// What it says to it, 1 to 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(DisputeAnswer, "dispute-answer.v1", "dispute-answer");

/// What two people of the SRO rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ruling {
    /// The payer gets it back: what is not paid is no longer owed, what was paid is owed back, what lies in suspense goes
    /// back to where it came from.
    Refund {},
    /// What lies in suspense counts as payment of this obligation of the same currency: what is missing is no longer owed,
    /// what is too much goes back.
    Release {
        /// The obligation.
        instruction_id: String,
    },
    /// It stays as it is. Not of what lies in suspense.
    Stand {},
}

/// `dispute-ruling.v1`: signed by two SRO people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeRuling {
    /// `dispute-ruling.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dispute.
    pub dispute_id: DisputeId,
    /// The ruling.
    pub ruling: Ruling,
    /// Why, 1 to 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(DisputeRuling, "dispute-ruling.v1", "dispute-ruling");

/// `dispute-close.v1`: after the ruling, signed by the opener or by two SRO people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeClose {
    /// `dispute-close.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dispute.
    pub dispute_id: DisputeId,
    /// One sentence, 1 to 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(DisputeClose, "dispute-close.v1", "dispute-close");

/// Where money that nobody can place comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody paid it.
    Paid,
    /// It was paid out and came back.
    Returned,
}

/// `payment-unmatched.v1`: a payment service provider holds money that no instruction explains. It goes to suspense, and a
/// dispute about it is opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentUnmatched {
    /// `payment-unmatched.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The provider's own reference, 1 to 100 characters; each names one amount for ever.
    pub reference: String,
    /// The instruction that came with it, if one did; at most 100 characters, whatever they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_id: Option<String>,
    /// How much.
    pub amount_minor: Minor,
    /// ISO 4217.
    pub currency: Currency,
    /// Where it comes from.
    pub direction: Direction,
    /// When.
    pub at: Timestamp,
}
document!(PaymentUnmatched, "payment-unmatched.v1", "payment-unmatched");

impl DisputeId {
    /// The id of the dispute that follows from a document by itself: made of its digest.
    pub fn derived(from: &Digest) -> DisputeId {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(from.0).for_each(|(to, byte)| *to = byte);
        DisputeId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
