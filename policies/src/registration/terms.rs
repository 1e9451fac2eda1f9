//! Do a contract's terms stay within the offers that it pins? Fair, reasonable and non-discriminatory: the price is the
//! offer's for everyone, and a difference is named.

use schemas::contract::{Contract, ContractDataset, PaymentTerm, Pricing, TermKind};
use schemas::dataset::{DatasetOffer, PriceTerm};
use schemas::id::Did;
use schemas::party::Kind;
use schemas::privacy::WITHOUT_PRIVACY;
use schemas::problem::{Code, R, Refusal};

use super::pricing::{self, Price};
use crate::forms::{ensure, is_token, unique};
use crate::reals;

/// A contracted dataset against its offer: identity, key and public figures equal, columns and privacy within it.
pub fn dataset(terms: &ContractDataset, offer: &DatasetOffer) -> R<()> {
    let (key, offered) = (&terms.key, &offer.key);
    let equal = [
        (terms.dataset_id == offer.dataset_id, "dataset_id"),
        (terms.version == offer.version, "version"),
        (terms.family == offer.family, "family"),
        (terms.provider == offer.provider, "provider"),
        (terms.manifest_root == offer.manifest_root, "manifest_root"),
        (key.kms == offered.kms, "key.kms"),
        (key.key_id == offered.key_id, "key.key_id"),
        (key.min_assurance == offered.min_assurance, "key.min_assurance"),
        (terms.public_rows == offer.public_rows, "public_rows"),
        (terms.privacy.unit == offer.privacy_cap.unit, "privacy.unit"),
        (terms.privacy.adjacency == offer.privacy_cap.adjacency, "privacy.adjacency"),
        (terms.privacy.accountant == offer.privacy_cap.accountant, "privacy.accountant"),
        (terms.privacy.scope == offer.privacy_cap.scope, "privacy.scope"),
        (terms.privacy.level == offer.privacy_cap.level, "privacy.level"),
    ];
    for (same, member) in equal {
        let sentence = format!("Dataset {}: {member} is not the offer's.", terms.dataset_id);
        ensure(same, Code::TermsNotOffer, &format!("datasets.{member}"), sentence)?;
    }
    crate::kbs::form(terms)?;
    columns(terms, offer)?;
    let (asked, cap) = (&terms.privacy, &offer.privacy_cap);
    // A contract may keep more privacy than the offer asks, never less.
    let sentence = format!("Dataset {}: the offer does not allow training {WITHOUT_PRIVACY}.", terms.dataset_id);
    let leave = cap.without_differential_privacy || !asked.without_differential_privacy;
    ensure(leave, Code::TermsNotOffer, "datasets.privacy.without_differential_privacy", sentence)?;
    // A budget that may be renewed is granted up to its total: what is released together is contracted beforehand.
    let most = offer.renewable_to.as_ref().unwrap_or(&cap.epsilon);
    let sentence = format!("Dataset {}: ε {} exceeds the offer's cap {most}.", terms.dataset_id, asked.epsilon);
    let within = reals::order(&asked.epsilon, most).is_le();
    ensure(within, Code::EpsilonOutOfRange, "datasets.privacy.epsilon", sentence)?;
    let sentence = format!("Dataset {}: δ {} exceeds the offer's cap {}.", terms.dataset_id, asked.delta, cap.delta);
    let within = reals::order(&asked.delta, &cap.delta).is_le();
    ensure(within, Code::DeltaTooLarge, "datasets.privacy.delta", sentence)
}

fn columns(terms: &ContractDataset, offer: &DatasetOffer) -> R<()> {
    let usage = &offer.usage;
    for (asked, offered, member) in [
        (&terms.allowed_columns, &usage.allowed_columns, "datasets.allowed_columns"),
        (&terms.join_keys, &usage.join_keys, "datasets.join_keys"),
        (&terms.target_columns, &usage.target_columns, "datasets.target_columns"),
    ] {
        ensure(unique(asked), Code::SchemaMismatch, member, "A column stands twice.")?;
        let beyond = asked.iter().find(|name| !offered.contains(name));
        let sentence = format!("The offer of dataset {} does not give {}.", terms.dataset_id, beyond.map_or("", |n| n));
        ensure(beyond.is_none(), Code::TermsNotOffer, member, sentence)?;
    }
    Ok(())
}

/// The payment terms of a contract against the offers of its datasets, in the order of the datasets.
///
/// Every price of every offer appears exactly once with the consumer as payer, less a discount of that offer at most;
/// anything more goes to the clean-room provider alone, who has no offer and signs the contract.
pub fn payment(contract: &Contract, offers: &[&DatasetOffer]) -> R<()> {
    let mut open: Vec<(&DatasetOffer, &PriceTerm)> =
        offers.iter().flat_map(|offer| offer.payment.iter().map(move |price| (*offer, price))).collect();
    // Terms that name their dataset choose first; among the others equal prices are interchangeable.
    let (named, others): (Vec<_>, Vec<_>) = contract.payment.iter().partition(|term| term.dataset_id.is_some());
    for term in named.into_iter().chain(others) {
        form(contract, term)?;
        let own = |(offer, price): &(&DatasetOffer, &PriceTerm)| price.is_price_of(term) && is_of(term, offer);
        match open.iter().position(own) {
            Some(at) => {
                let (offer, _) = open.swap_remove(at);
                let sentence = format!(
                    "Term {}: the offer sets a part aside for the people of its dataset, which the term must name.",
                    term.term_id
                );
                let named = offer.principal_pool.is_none() || term.dataset_id.is_some();
                ensure(named, Code::ContractIncomplete, "payment.dataset_id", sentence)?;
                discount(contract, term, offer)?;
            }
            None => extra(contract, term, &open)?,
        }
    }
    ensure(
        unique(contract.payment.iter().map(|t| &t.term_id)),
        Code::SchemaMismatch,
        "payment",
        "A term id stands twice.",
    )?;
    let missing = open.first().map(|(offer, price)| {
        let price = format!("{} {} {}", price.term_id, price.currency, price.amount_minor.get());
        format!("The price {price} of the offer of dataset {} is missing.", offer.dataset_id)
    });
    ensure(missing.is_none(), Code::TermsNotOffer, "payment", missing.unwrap_or_default())
}

/// Whether a term that names a dataset names this offer's.
fn is_of(term: &PaymentTerm, offer: &DatasetOffer) -> bool {
    term.dataset_id.as_ref().is_none_or(|id| *id == offer.dataset_id)
}

fn form(contract: &Contract, term: &PaymentTerm) -> R<()> {
    let id = &term.term_id;
    ensure(is_token(id), Code::SchemaMismatch, "payment", "A term id is 1 to 32 of a-z, 0-9, _ and -.")?;
    let sentence = format!("Term {id}: the payer is the contract's tdc.");
    ensure(contract.role_of(&term.payer) == Some(Kind::Tdc), Code::TermsNotOffer, "payment.payer", sentence)?;
    let checked = pricing::form(Price {
        kind: term.kind,
        amount: term.amount_minor,
        payees: &term.payees,
        trigger: term.trigger,
        pricing: term.pricing.as_ref(),
    });
    let sentence = checked.err().map(|why| format!("Term {id}: {why}")).unwrap_or_default();
    ensure(checked.is_ok(), Code::SchemaMismatch, "payment", sentence)?;
    let stranger = term.payees.iter().find(|p| matches!(contract.role_of(&p.did), None | Some(Kind::Tdc)));
    let sentence = format!("Term {id}: every payee is a party of the contract other than its tdc.");
    ensure(stranger.is_none(), Code::ContractIncomplete, "payment.payees", sentence)?;
    let rows = counted(contract, term)?;
    let sentence = format!("Term {id}: it could owe more than can be written; a cap bounds it.");
    ensure(pricing::bounded(term, rows), Code::LimitExceeded, "payment.pricing", sentence)
}

/// What is counted by dataset names one of the contract's; hands back its public count. What has no ε has no price by ε.
fn counted(contract: &Contract, term: &PaymentTerm) -> R<u64> {
    let field = "payment.dataset_id";
    let dataset = term.dataset_id.as_ref().map(|id| contract.datasets.iter().find(|d| d.dataset_id == *id));
    let by_dataset = matches!(term.kind, TermKind::PerRecord | TermKind::PerEpsilon);
    let sentence = format!("Term {}: a price by record or ε names its dataset.", term.term_id);
    ensure(dataset.is_some() || !by_dataset, Code::ContractIncomplete, field, sentence)?;
    let Some(dataset) = dataset else { return Ok(0) };
    let sentence = format!("Term {}: its dataset is none of the contract's.", term.term_id);
    ensure(dataset.is_some(), Code::ContractIncomplete, field, sentence)?;
    let unbounded =
        dataset.is_some_and(|d| d.privacy.without_differential_privacy) && term.kind == TermKind::PerEpsilon;
    let sentence = format!("Term {}: a price by ε needs every run to have one.", term.term_id);
    ensure(!unbounded, Code::NotPrivateEnforced, field, sentence)?;
    Ok(dataset.map_or(0, |d| d.public_rows))
}

/// A discount is one of the offer's, which everybody may take whose contract meets it.
fn discount(contract: &Contract, term: &PaymentTerm, offer: &DatasetOffer) -> R<()> {
    let (Some(taken), id) = (&term.discount, &term.term_id) else { return Ok(()) };
    let field = "payment.discount";
    let sentence = format!("Term {id}: discount {} is none of the offer's.", taken.discount_id);
    ensure(offer.discounts.contains(taken), Code::TermsNotOffer, field, sentence)?;
    let meant = taken.purpose.as_ref().is_none_or(|purpose| *purpose == contract.purpose);
    let sentence = format!("Term {id}: discount {} is for another purpose.", taken.discount_id);
    ensure(meant, Code::TermsNotOffer, field, sentence)?;
    let counted = taken.after_runs.is_none() || !matches!(term.kind, TermKind::Escrow | TermKind::Fixed);
    let sentence = format!("Term {id}: a discount after some runs is for what every run owes anew.");
    ensure(counted, Code::SchemaMismatch, field, sentence)
}

/// A term that is no price of an open offer: only the clean-room provider may be paid by it. Else the nearest price is
/// named with what differs.
fn extra(contract: &Contract, term: &PaymentTerm, open: &[(&DatasetOffer, &PriceTerm)]) -> R<()> {
    let provider: Vec<&Did> = contract.in_role(Kind::Ccrp).collect();
    if term.payees.iter().all(|payee| provider.contains(&&payee.did)) && !term.payees.is_empty() {
        let sentence = format!("Term {}: a discount is of an offer, and this is no price of one.", term.term_id);
        return ensure(term.discount.is_none(), Code::TermsNotOffer, "payment.discount", sentence);
    }
    let near = |(offer, price): &&(&DatasetOffer, &PriceTerm)| {
        is_of(term, offer) && (price.payees == term.payees || price.term_id == term.term_id)
    };
    let near = open.iter().find(near).map(|(_, price)| price);
    let difference = near.map_or("it is no price of an offer".to_owned(), |price| difference(price, term));
    Err(Refusal::new(Code::TermsNotOffer, format!("Term {}: {difference}.", term.term_id)).at("payment"))
}

/// Every member in which a term is not the price.
fn difference(price: &PriceTerm, term: &PaymentTerm) -> String {
    let mut differs = Vec::new();
    if price.amount_minor != term.amount_minor {
        let (asked, offered) = (term.amount_minor.get(), price.amount_minor.get());
        differs.push(format!("the amount is {asked}, the offer's {offered}"));
    }
    if price.currency != term.currency {
        differs.push(format!("the currency is {}, the offer's {}", term.currency, price.currency));
    }
    for (same, member) in [
        (price.kind == term.kind, "kind is"),
        (price.trigger == term.trigger, "trigger is"),
        (price.payees == term.payees, "payees are"),
    ] {
        differs.extend((!same).then(|| format!("the {member} not the offer's")));
    }
    if price.pricing != term.pricing {
        differs.push(format!("pricing: {}", members(price.pricing.as_ref(), term.pricing.as_ref())));
    }
    if differs.is_empty() { "the offer's price stands once".to_owned() } else { differs.join("; ") }
}

/// The members of two pricings that differ.
fn members(offered: Option<&Pricing>, asked: Option<&Pricing>) -> String {
    let (offered, asked) = (offered.cloned().unwrap_or_default(), asked.cloned().unwrap_or_default());
    let all = [
        (offered.unit_count == asked.unit_count, "unit_count"),
        (offered.tiers == asked.tiers, "tiers"),
        (offered.cap_minor == asked.cap_minor, "cap_minor"),
        (offered.floor_minor == asked.floor_minor, "floor_minor"),
        (offered.due_days == asked.due_days, "due_days"),
        (offered.period_days == asked.period_days, "period_days"),
        (offered.share_ppm == asked.share_ppm, "share_ppm"),
        (offered.tax == asked.tax, "tax"),
        (offered.rounding == asked.rounding, "rounding"),
    ];
    let differ: Vec<&str> = all.iter().filter(|(same, _)| !same).map(|(_, name)| *name).collect();
    format!("{} not the offer's", if differ.is_empty() { "it is".to_owned() } else { differ.join(", ") + " are" })
}
