//! The form of a contract, as the TDC writes it in TOML or JSON, and the draft that follows from it and the offers.

use std::collections::BTreeSet;

use schemas::contract::{
    Compute, Condition, Contract, ContractDataset, ContractKey, KbsRelease, Obligations, Outputs, Party, Payee,
    PaymentTerm, Pricing, Revocation, Running, TermKind, Trigger,
};
use schemas::dataset::DatasetOffer;
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, DatasetId, Did, ImageSetId};
use schemas::money::{Currency, Minor};
use schemas::party::Kind;
use schemas::privacy::Clause;
use schemas::text::Real;
use schemas::{Code, Digest, Entered, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use signing::Trust;

/// The form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractForm {
    /// Template name.
    #[serde(default = "template")]
    pub template: String,
    /// The data consumer.
    pub tdc: Did,
    /// The clean-room provider.
    pub ccrp: Did,
    /// Purpose.
    #[serde(default = "training")]
    pub purpose: String,
    /// ISO 3166 country code of the law that applies.
    pub jurisdiction: String,
    /// In force from here; from now on if absent.
    #[serde(default)]
    pub effective_from: Option<Timestamp>,
    /// In force until here.
    pub expires_at: Timestamp,
    /// The datasets.
    pub datasets: Vec<DatasetTerms>,
    /// Where it may run.
    pub compute: ComputeTerms,
    /// What the clean-room provider is paid for a run, if anything.
    #[serde(default)]
    pub room_price: Option<RoomPrice>,
    /// Roles that may end it early; the SRO always may.
    #[serde(default = "revokers")]
    pub revocable_by: Vec<Kind>,
    /// Seconds between notice and end, where none of the conditions says otherwise.
    #[serde(default)]
    pub notice_seconds: u32,
    /// Ends for a cause.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// What becomes of runs in flight when the contract ends.
    #[serde(default = "abort")]
    pub running: Running,
    /// The most runs under the contract; any number that the privacy budget pays for if absent.
    #[serde(default)]
    pub max_runs: Option<u32>,
    /// SHA-256 of each Rego document of the SRO that the template asks for, or the parties agree on.
    #[serde(default)]
    pub rules: Vec<Digest>,
    /// What the parties accept, in words.
    pub risk_statement: String,
}

/// A dataset of the form: what is asked of it. Everything else is the offer's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetTerms {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// ε for all runs under the contract.
    pub epsilon: Real,
    /// δ for all runs under the contract.
    pub delta: Real,
    /// Allows training without differential privacy, which no ε bounds, where the offer does; not if absent.
    #[serde(default)]
    pub without_differential_privacy: bool,
    /// Columns to read; all that are offered if absent.
    #[serde(default)]
    pub allowed_columns: Option<Vec<String>>,
    /// Columns to join on; all that are offered if absent.
    #[serde(default)]
    pub join_keys: Option<Vec<String>>,
    /// Columns that may be the target; all that are offered if absent.
    #[serde(default)]
    pub target_columns: Option<Vec<String>>,
    /// Lets stock confidential guests fetch the key by the KBS protocol, at the price of all that is left of the clause;
    /// not if absent. `init_data` lists the digests of `depa kms init-data`.
    #[serde(default)]
    pub kbs: Option<KbsRelease>,
    /// The discount of the offer that its prices take, by id; none if absent.
    #[serde(default)]
    pub discount: Option<String>,
}

/// Where it may run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeTerms {
    /// Approved image sets.
    pub image_sets: Vec<ImageSetId>,
    /// Kinds of evidence.
    pub evidence: Vec<EvidenceKind>,
    /// Named platform level.
    #[serde(default = "baseline")]
    pub platform_level: String,
    /// The most rooms that one run may take together, 2 to 16, each of which holds the data; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms_max: Option<u32>,
}

/// The price of the room, per completed run unless it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomPrice {
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units.
    pub amount_minor: Minor,
    /// How it is priced.
    #[serde(default = "per_run")]
    pub kind: TermKind,
    /// When it falls due.
    #[serde(default = "completed")]
    pub trigger: Trigger,
    /// How the amount comes about.
    #[serde(default)]
    pub pricing: Option<Pricing>,
}

fn per_run() -> TermKind {
    TermKind::PerRun
}

fn completed() -> Trigger {
    Trigger::Completed
}

fn template() -> String {
    "training-v1".into()
}

fn training() -> String {
    "TRAINING".into()
}

fn revokers() -> Vec<Kind> {
    vec![Kind::Tdp, Kind::Sro]
}

fn abort() -> Running {
    Running::Abort
}

fn baseline() -> String {
    "baseline".into()
}

/// The contract of a form. Offers are given in the order of the form's datasets; what they pin is copied, and the rules
/// of the register are asked before anybody signs.
pub fn draft(
    form: &ContractForm,
    offers: &[Entered<DatasetOffer>],
    trust: &Trust,
    id: ContractId,
    now: Timestamp,
) -> R<Contract> {
    if offers.len() != form.datasets.len() {
        return Err(Refusal::new(Code::DatasetUnknown, "one offer per dataset of the form is needed"));
    }
    let pairs = || form.datasets.iter().zip(offers);
    let datasets: R<Vec<ContractDataset>> = pairs().map(|(terms, offer)| dataset(terms, offer)).collect();
    let inside = offers.iter().any(|offer| offer.privacy_cap.level == Clause::STAYS_INSIDE);
    let contract = Contract {
        schema: "contract.v1".into(),
        registry: trust.registry.clone(),
        contract_id: id,
        version: 1,
        supersedes: None,
        template: form.template.clone(),
        parties: parties(form, offers),
        purpose: form.purpose.clone(),
        jurisdiction: form.jurisdiction.clone(),
        effective_from: form.effective_from.unwrap_or(now),
        expires_at: form.expires_at,
        datasets: datasets?,
        compute: Compute {
            image_sets: form.compute.image_sets.clone(),
            evidence: form.compute.evidence.clone(),
            platform_level: form.compute.platform_level.clone(),
            rooms_max: form.compute.rooms_max,
        },
        outputs: Outputs {
            kinds: vec![if inside { "metrics" } else { "model" }.into()],
            recipient: form.tdc.clone(),
            release: "encrypted_to_recipient".into(),
        },
        payment: payment(form, offers)?,
        revocation: Revocation {
            by: form.revocable_by.clone(),
            notice_seconds: form.notice_seconds,
            running: form.running,
            conditions: form.conditions.clone(),
        },
        obligations: Obligations { risk_statement: form.risk_statement.clone() },
        max_runs: form.max_runs,
        rules: form.rules.clone(),
    };
    let pinned: Vec<(Digest, &DatasetOffer)> = offers.iter().map(|o| (o.digest(), &***o)).collect();
    policies::registration::contract(&contract, &pinned, &trust.registry, now)?;
    Ok(contract)
}

/// Each provider once, then the consumer, then the clean-room provider.
fn parties(form: &ContractForm, offers: &[Entered<DatasetOffer>]) -> Vec<Party> {
    let mut seen = BTreeSet::new();
    let providers = offers.iter().map(|o| &o.provider).filter(|did| seen.insert((*did).clone()));
    let tdps = providers.map(|did| Party { did: did.clone(), role: Kind::Tdp });
    let rest = [Party { did: form.tdc.clone(), role: Kind::Tdc }, Party { did: form.ccrp.clone(), role: Kind::Ccrp }];
    tdps.chain(rest).collect()
}

fn dataset(terms: &DatasetTerms, offer: &Entered<DatasetOffer>) -> R<ContractDataset> {
    if terms.dataset_id != offer.dataset_id {
        return Err(Refusal::new(Code::DatasetUnknown, format!("the offer of {} is needed", terms.dataset_id)));
    }
    let cap = &offer.privacy_cap;
    let asked = |list: &Option<Vec<String>>, offered: &[String]| list.clone().unwrap_or_else(|| offered.to_vec());
    Ok(ContractDataset {
        dataset_id: offer.dataset_id.clone(),
        version: offer.version,
        family: offer.family.clone(),
        provider: offer.provider.clone(),
        offer_sha256: offer.digest(),
        manifest_root: offer.manifest_root,
        key: ContractKey {
            kms: offer.key.kms.clone(),
            key_id: offer.key.key_id.clone(),
            min_assurance: offer.key.min_assurance,
        },
        public_rows: offer.public_rows,
        allowed_columns: asked(&terms.allowed_columns, &offer.usage.allowed_columns),
        join_keys: asked(&terms.join_keys, &offer.usage.join_keys),
        target_columns: asked(&terms.target_columns, &offer.usage.target_columns),
        privacy: Clause {
            epsilon: terms.epsilon.clone(),
            delta: terms.delta.clone(),
            without_differential_privacy: terms.without_differential_privacy,
            ..cap.clone()
        },
        kbs: terms.kbs.clone(),
    })
}

/// Every price of every offer with the consumer as payer, numbered `p1`, `p2`, …; then the room's price. What is more than
/// a price per run names its dataset, so that runs without it owe nothing for it.
fn payment(form: &ContractForm, offers: &[Entered<DatasetOffer>]) -> R<Vec<PaymentTerm>> {
    let mut terms: Vec<PaymentTerm> = Vec::new();
    for (asked, offer) in form.datasets.iter().zip(offers) {
        let discount = asked.discount.as_ref().map(|id| {
            let none = || {
                Refusal::new(Code::TermsNotOffer, format!("The offer of {} has no discount {id}.", asked.dataset_id))
            };
            offer.discounts.iter().find(|d| d.discount_id == *id).cloned().ok_or_else(none)
        });
        let discount = discount.transpose()?;
        for price in offer.payment.iter().cloned() {
            let plain = matches!(price.kind, TermKind::Free | TermKind::PerRun) && price.pricing.is_none();
            let named = !plain || offer.principal_pool.is_some();
            terms.push(PaymentTerm {
                term_id: format!("p{}", terms.len() + 1),
                kind: price.kind,
                payer: form.tdc.clone(),
                payees: price.payees,
                currency: price.currency,
                amount_minor: price.amount_minor,
                trigger: price.trigger,
                dataset_id: named.then(|| offer.dataset_id.clone()),
                pricing: price.pricing,
                discount: discount.clone().filter(|_| price.kind != TermKind::Free),
            });
        }
    }
    if let Some(room) = &form.room_price {
        terms.push(PaymentTerm {
            term_id: "room".into(),
            kind: room.kind,
            payer: form.tdc.clone(),
            payees: vec![Payee { did: form.ccrp.clone(), share_ppm: 1_000_000 }],
            currency: room.currency,
            amount_minor: room.amount_minor,
            trigger: room.trigger,
            dataset_id: None,
            pricing: room.pricing.clone(),
            discount: None,
        });
    }
    Ok(terms)
}
