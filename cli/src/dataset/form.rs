//! The description of a dataset, as its provider writes it in TOML or JSON: what is sealed, and on which terms it is
//! offered. Columns that are not described are dropped before sealing.

use schemas::Digest;
use schemas::contract::{Assurance, Discount, Payee, Pricing, TermKind, Trigger};
use schemas::dataset::{Column, ColumnType, DataCard, Reference};
use schemas::id::{DatasetId, FamilyId};
use schemas::money::{Currency, Minor};
use schemas::payout::PrincipalPool;
use schemas::privacy::{Clause, Scope};
use schemas::text::Real;
use serde::{Deserialize, Serialize};

/// The description.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// A name for people.
    pub name: String,
    /// SRO data schema, creators, keywords, sample; the built-in schema and the provider's DID where absent.
    #[serde(default)]
    pub reference: Option<Reference>,
    /// The dataset, where this is a further version of one; a new one is drawn otherwise.
    #[serde(default)]
    pub dataset_id: Option<DatasetId>,
    /// The family, where these people stand behind another dataset already; a new one is drawn otherwise.
    #[serde(default)]
    pub family: Option<FamilyId>,
    /// Version of the sealed table, from 1.
    #[serde(default = "one")]
    pub version: u32,
    /// Version of the terms, from 1.
    #[serde(default = "one")]
    pub offer_version: u32,
    /// Base URL of the provider's own key service.
    pub kms: String,
    /// The least assurance that opens it.
    pub min_assurance: Assurance,
    /// The public count of principals; never counted from the table.
    pub public_rows: u64,
    /// The columns that are sealed, in order.
    pub columns: Vec<ColumnForm>,
    /// What may be done with them.
    pub usage: UsageForm,
    /// The most that contracts may reveal.
    pub cap: Cap,
    /// Prices.
    #[serde(default)]
    pub price: Vec<PriceForm>,
    /// Discounts open to every consumer whose contract meets them.
    #[serde(default)]
    pub discounts: Vec<Discount>,
    /// What of the price is the data principals': `ppm`, `minimum_minor` and `at_least` (depa payment payout).
    #[serde(default)]
    pub principal_pool: Option<PrincipalPool>,
    /// Data card.
    pub card: DataCard,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnForm {
    /// Its name in the sealed table.
    pub name: String,
    /// Its name in the source file, where that is another.
    #[serde(default)]
    pub source: Option<String>,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Public lower bound of a number: known beforehand, never taken from the table.
    #[serde(default)]
    pub lower: Option<Real>,
    /// Public upper bound.
    #[serde(default)]
    pub upper: Option<Real>,
}

impl ColumnForm {
    /// The name in the source file.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.name)
    }

    /// As the offer shows it.
    pub fn public(&self) -> Column {
        let ColumnForm { name, column_type, lower, upper, .. } = self.clone();
        Column { name, column_type, lower, upper }
    }
}

/// What may be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageForm {
    /// Purposes; `TRAINING` is the only one so far.
    #[serde(default = "training")]
    pub purposes: Vec<String>,
    /// Columns a pipeline may read.
    pub allowed_columns: Vec<String>,
    /// Columns a pipeline may join on.
    pub join_keys: Vec<String>,
    /// Columns that may be the target.
    #[serde(default)]
    pub target_columns: Vec<String>,
    /// SHA-256 of each Rego document that the provider's key service asks too (`depa policy digest`).
    #[serde(default)]
    pub rules: Vec<Digest>,
}

/// The privacy cap.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// ε.
    pub epsilon: Real,
    /// How far renewals may ever raise it, at level 1; never without.
    #[serde(default)]
    pub renewable_to: Option<Real>,
    /// δ, below 1/`public_rows`.
    pub delta: Real,
    /// Across whom the budget is shared.
    pub scope: Scope,
    /// How it is kept: 0 by law alone, 1 by machine (if absent), 2 so and with the model inside.
    #[serde(default = "enforced")]
    pub level: u8,
    /// Whether contracts may allow training without differential privacy, which no ε bounds: at level 0 alone. Not if
    /// absent.
    #[serde(default)]
    pub without_differential_privacy: bool,
}

fn enforced() -> u8 {
    Clause::ENFORCED
}

/// A price.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceForm {
    /// Unique in the offer.
    pub term_id: String,
    /// Pricing.
    #[serde(default = "per_run")]
    pub kind: TermKind,
    /// Who is paid; the provider alone if empty.
    #[serde(default)]
    pub payees: Vec<Payee>,
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units.
    pub amount_minor: Minor,
    /// When it falls due.
    #[serde(default = "completed")]
    pub trigger: Trigger,
    /// How the amount comes about: units, steps, floor, cap, period, share, days to pay, tax, rounding.
    #[serde(default)]
    pub pricing: Option<Pricing>,
}

fn one() -> u32 {
    1
}

fn training() -> Vec<String> {
    vec!["TRAINING".into()]
}

fn per_run() -> TermKind {
    TermKind::PerRun
}

fn completed() -> Trigger {
    Trigger::Completed
}
