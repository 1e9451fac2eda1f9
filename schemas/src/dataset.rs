//! The dataset offer: a TDP's signed reference to a sealed table, its public schema, its use and its price.

use serde::{Deserialize, Serialize};

use crate::contract::{Assurance, Discount, Payee, PaymentTerm, Pricing, TermKind, Trigger};
use crate::digest::Digest;
use crate::document;
use crate::id::{DataKeyId, DatasetId, Did, FamilyId};
use crate::jwk::Jwk;
use crate::money::{Currency, Minor};
use crate::payout::PrincipalPool;
use crate::privacy::Clause;
use crate::statistics::Statistics;
use crate::text::Real;
use crate::time::Timestamp;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Text, compared exactly.
    Text,
    /// A number.
    Number,
    /// A picture, whose bounds are those of its samples (0 and 255 for eight bits).
    Image,
}

/// A column of the public schema.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name, `[A-Za-z_][A-Za-z0-9_]*`, at most 64 characters.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Public lower bound of a number; values outside are clamped.
    pub lower: Option<Real>,
    /// Public upper bound of a number.
    pub upper: Option<Real>,
}

/// A sealed object of the dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedObject {
    /// Where the ciphertext lies: `file:`, `https:`, or a bucket (`s3:`, `az:`, `abfss:`, `gs:`); `http:` on loopback only.
    pub url: String,
    /// Size of the ciphertext in bytes.
    pub bytes: u64,
    /// Media type of the plaintext.
    pub media_type: String,
}

/// The key service of the offer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferKey {
    /// Base URL of the key service.
    pub kms: String,
    /// The key that signs its answers; pinned by the contract through `offer_sha256`.
    pub kms_jwk: Jwk,
    /// The data key.
    pub key_id: DataKeyId,
    /// The least assurance that opens it.
    pub min_assurance: Assurance,
}

/// What may be done with the data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Purposes of the vocabulary ([`crate::rules::PURPOSES`]), at least one.
    pub purposes: Vec<String>,
    /// Columns a pipeline may read.
    pub allowed_columns: Vec<String>,
    /// Columns a pipeline may join on.
    pub join_keys: Vec<String>,
    /// Columns that may be the target.
    pub target_columns: Vec<String>,
    /// SHA-256 of each Rego document of the provider that its key service asks too; they can only refuse or tighten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Digest>,
}

/// A payment term before it has a payer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTerm {
    /// Unique in the offer, `[a-z0-9_-]{1,32}`; a contract may rename it.
    pub term_id: String,
    /// Pricing.
    pub kind: TermKind,
    /// Who is paid.
    pub payees: Vec<Payee>,
    /// ISO 4217.
    pub currency: Currency,
    /// Price in minor units.
    pub amount_minor: Minor,
    /// When it falls due.
    pub trigger: Trigger,
    /// How the amount comes about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

impl PriceTerm {
    /// Whether a contract's term is this price, whoever pays it and whatever its id; a discount is looked at apart.
    pub fn is_price_of(&self, term: &PaymentTerm) -> bool {
        self.kind == term.kind
            && self.payees == term.payees
            && self.currency == term.currency
            && self.amount_minor == term.amount_minor
            && self.trigger == term.trigger
            && self.pricing == term.pricing
    }
}

/// The data card, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataCard {
    /// What it is.
    pub description: String,
    /// How it was collected.
    pub collection: String,
    /// What it is not good for.
    pub limitations: String,
    /// What personal or sensitive data it holds.
    pub personal_data: String,
    /// Licence or terms, in words.
    pub licence: String,
}

/// How a sample came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Generated; shows no person.
    Synthetic,
    /// Real rows of people who consented to their being shown.
    Consented,
}

/// A sample that anyone may read. It is not the data: its digest is no digest of a sealed object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Where it lies.
    pub url: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Media type.
    pub media_type: String,
    /// How it came to be.
    pub kind: SampleKind,
}

/// Where the parts of a dataset reference that no rule reads are found. Every member is public.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// URI of the SRO data schema that the columns follow (D1); `urn:depa:schema:table-v1` is built in.
    pub data_schema: String,
    /// Who made the data, 1 to 16 names.
    pub creators: Vec<String>,
    /// Words to find it by, at most 16 of at most 40 characters.
    pub keywords: Vec<String>,
    /// A sample.
    pub sample: Option<Sample>,
    /// SHA-256 of the consent record (ISO/IEC TS 27560 form) under which the data may be used.
    pub consent_basis_sha256: Option<Digest>,
    /// Countries (ISO 3166) where the people of the data live, at most 32; empty where the provider does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

impl Reference {
    /// A reference to the built-in data schema with one creator and nothing else.
    pub fn plain(creator: impl Into<String>) -> Reference {
        Reference {
            data_schema: crate::rules::BUILT_IN_SCHEMA.to_owned(),
            creators: vec![creator.into()],
            keywords: Vec::new(),
            sample: None,
            consent_basis_sha256: None,
            regions: Vec::new(),
        }
    }
}

/// `dataset-offer.v1`: signed by the TDP; readable by every verified participant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetOffer {
    /// `dataset-offer.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version, from 1.
    pub version: u32,
    /// The version of the terms, from 1.
    pub offer_version: u32,
    /// The people behind it.
    pub family: FamilyId,
    /// The TDP.
    pub provider: Did,
    /// A name for people.
    pub name: String,
    /// Schema, creators, keywords, sample, consent.
    pub reference: Reference,
    /// The public schema of the sealed table, in the order of its columns.
    pub columns: Vec<Column>,
    /// The sealed objects; exactly one so far.
    pub objects: Vec<SealedObject>,
    /// Merkle root over header and chunks.
    pub manifest_root: Digest,
    /// Its key.
    pub key: OfferKey,
    /// The public count of principals; the sealed table holds no more.
    pub public_rows: u64,
    /// Usage policy.
    pub usage: Usage,
    /// The most that a contract may grant.
    pub privacy_cap: Clause,
    /// How far logged renewals ([`crate::renewal::BudgetRenewal`]) may ever raise the cap's ε, at the cap's δ: the total of
    /// all that is released together. At level 1 only; none where the cap is never renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable_to: Option<Real>,
    /// Price, the same for every consumer; the contract copies it and names the payer.
    pub payment: Vec<PriceTerm>,
    /// What of the price is the data principals'; none where it is all the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_pool: Option<PrincipalPool>,
    /// Discounts open to every consumer whose contract meets them; a contract's term copies the one that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// Statistics that everyone reads; none where the provider gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
    /// Data card.
    pub data_card: DataCard,
    /// When it was offered.
    pub offered_at: Timestamp,
}
document!(DatasetOffer, "dataset-offer.v1", "dataset-offer");

/// What happens to a registered dataset version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetActKind {
    /// No new contract and no run until resumed.
    Suspend,
    /// Registered again.
    Resume,
    /// For good: no new contract and no run.
    Withdraw,
}

/// `dataset-act.v1`: signed by the provider, or by two SRO people. The provider cannot undo a suspension of the SRO.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetAct {
    /// `dataset-act.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// What happens.
    pub act: DatasetActKind,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(DatasetAct, "dataset-act.v1", "dataset-act");

/// The state of a dataset version (`contract-service.md` 5.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetState {
    /// May be contracted.
    Registered,
    /// Neither contracted nor used for now.
    Suspended,
    /// A newer version stands; running contracts go on.
    Deprecated,
    /// Gone.
    Withdrawn,
}
