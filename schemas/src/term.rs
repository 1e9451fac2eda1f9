//! Payment terms: what a contract costs, how the amount comes about, and when it falls due. An offer names them without a
//! payer ([`crate::dataset::PriceTerm`]), every contract copies them.
//!
//! All arithmetic is in whole minor units; quantities are public figures of the contract, attested by the run, or
//! differences of the log's own times. `policies::payment` reckons with these words.

use serde::{Deserialize, Serialize};

use crate::contract::ContractRef;
use crate::document;
use crate::id::{DatasetId, Did};
use crate::money::{Currency, Minor};
use crate::time::Timestamp;

/// A payee and its share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Payee {
    /// Who is paid.
    pub did: Did,
    /// Share in parts per million; the shares of a term add up to 1,000,000.
    pub share_ppm: u32,
}

/// How a term is priced. `amount_minor` is the price of `pricing.unit_count` units where the kind counts something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// Nothing is owed.
    Free,
    /// `amount_minor` for every run that reaches the trigger.
    PerRun,
    /// `amount_minor` once per contract, with the first run that reaches the trigger.
    Fixed,
    /// By passes over the data: steps of the attested completion times the job's sampling rate, rounded up to whole ones.
    PerEpoch,
    /// By the contracted public count of principals of the term's dataset; never a count made in the room.
    PerRecord,
    /// By the ε that the run was charged for the term's dataset, in units of 10^-6, as its key service states.
    PerEpsilon,
    /// By seconds of the log between check-in and completion, rounded up.
    PerComputeHour,
    /// `amount_minor` for every period of the contract, in advance.
    Subscription,
    /// `pricing.share_ppm` of the revenue that the consumer states for a period, at least `pricing.floor_minor`.
    RevenueShare,
    /// `amount_minor` for every run, blocked before the room checks in, paid at the trigger, returned if the run ends
    /// before it.
    Escrow,
}

/// What makes a term fall due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A completion was entered.
    Completed,
    /// The room holds every key of its job, whether or not the run completes.
    KeysReleased,
}

/// A step of a price that changes with quantity: from this unit on, counted over all of the contract, another price
/// stands until the next step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Units before this step begins, at least 1; ascending in the list.
    pub from: u64,
    /// Price of `unit_count` units from there on.
    pub amount_minor: Minor,
}

/// How fractions of a minor unit end. Shares always add up by largest remainders.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down, in favour of who pays; what a term without this member means.
    #[default]
    Down,
    /// Up.
    Up,
    /// To the nearest, halves up.
    HalfUp,
}

/// Tax on a term. Each line is an obligation of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// Added on top of each payee's part, in parts per million (GST, VAT).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gst_ppm: u32,
    /// Who gets what is added; the payee itself, who passes it on, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gst_payee: Option<Did>,
    /// Withheld from each payee's part, in parts per million (TDS).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tds_ppm: u32,
    /// Who gets what is withheld; must stand where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tds_payee: Option<Did>,
}

/// How an amount comes about, beyond one price for each occurrence.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pricing {
    /// Units that `amount_minor` pays for, so that a small unit price stays whole; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_count: Option<u64>,
    /// Other prices from some quantity on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The most that is owed for one run, period or statement, before tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_minor: Option<Minor>,
    /// The least that is owed for one run, period or statement, before tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_minor: Option<Minor>,
    /// Days after falling due in which it is to be paid; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_days: Option<u32>,
    /// Length of a period in days, counted from the contract's `effective_from`; for `subscription` and `revenue_share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_days: Option<u32>,
    /// Share of stated revenue in parts per million; for `revenue_share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_ppm: Option<u32>,
    /// Tax lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// How fractions end; `down` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// A discount of an offer, open to every consumer whose contract meets it. A term that takes it copies it whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// Unique in the offer, `[a-z0-9_-]{1,32}`.
    pub discount_id: String,
    /// What the price is lower by, in parts per million.
    pub off_ppm: u32,
    /// For contracts of this purpose alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// From this many runs on that the term was owed for under the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_runs: Option<u32>,
}

/// A payment term.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentTerm {
    /// Unique in the contract, `[a-z0-9_-]{1,32}`.
    pub term_id: String,
    /// Pricing.
    pub kind: TermKind,
    /// Who pays.
    pub payer: Did,
    /// Who is paid.
    pub payees: Vec<Payee>,
    /// ISO 4217.
    pub currency: Currency,
    /// Price in minor units.
    pub amount_minor: Minor,
    /// When it falls due.
    pub trigger: Trigger,
    /// The dataset whose price this is: the term is owed for runs that use it. Without, for every run of the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_id: Option<DatasetId>,
    /// How the amount comes about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// A discount of the offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
}

/// `revenue-statement.v1`: what a consumer earned in one period with what a contract gave it; signed by the TDC. The one
/// quantity that nobody attests: it is logged, and open to audit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevenueStatement {
    /// `revenue-statement.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The contract.
    pub contract: ContractRef,
    /// Its term.
    pub term_id: String,
    /// The period, from 0: period n begins n × `period_days` after the contract's `effective_from`.
    pub period: u32,
    /// The revenue of that period.
    pub revenue_minor: Minor,
    /// The term's currency.
    pub currency: Currency,
    /// When it was written.
    pub at: Timestamp,
}
document!(RevenueStatement, "revenue-statement.v1", "revenue-statement");

fn is_zero(ppm: &u32) -> bool {
    *ppm == 0
}
