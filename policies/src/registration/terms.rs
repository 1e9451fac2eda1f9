//! Do a contract's terms stay within the offers that it pins? Fair, reasonable and non-discriminatory: the price is the
//! offer's for everyone, and a difference is named.

use schemas::contract::{Contract, ContractDataset, PaymentTerm};
use schemas::dataset::{DatasetOffer, PriceTerm};
use schemas::id::Did;
use schemas::party::Kind;
use schemas::privacy::WITHOUT_PRIVACY;
use schemas::problem::{Code, R, Refusal};

use super::offer::shares;
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
/// Every price of every offer appears exactly once with the consumer as payer; anything more goes to the clean-room
/// provider alone.
pub fn payment(contract: &Contract, offers: &[&DatasetOffer]) -> R<()> {
    let mut open: Vec<(&DatasetOffer, &PriceTerm)> =
        offers.iter().flat_map(|offer| offer.payment.iter().map(move |price| (*offer, price))).collect();
    for term in &contract.payment {
        form(contract, term)?;
        // Equal prices are interchangeable, so taking the first one that is open is as good as any.
        match open.iter().position(|(_, price)| price.is_price_of(term)) {
            Some(at) => drop(open.swap_remove(at)),
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

fn form(contract: &Contract, term: &PaymentTerm) -> R<()> {
    let id = &term.term_id;
    ensure(is_token(id), Code::SchemaMismatch, "payment", "A term id is 1 to 32 of a-z, 0-9, _ and -.")?;
    let sentence = format!("Term {id}: the payer is the contract's tdc.");
    ensure(contract.role_of(&term.payer) == Some(Kind::Tdc), Code::TermsNotOffer, "payment.payer", sentence)?;
    let checked = shares(term.kind, term.amount_minor, &term.payees);
    let sentence = checked.err().map(|why| format!("Term {id}: {why}")).unwrap_or_default();
    ensure(checked.is_ok(), Code::SchemaMismatch, "payment", sentence)?;
    let stranger = term.payees.iter().find(|p| matches!(contract.role_of(&p.did), None | Some(Kind::Tdc)));
    let sentence = format!("Term {id}: every payee is a party of the contract other than its tdc.");
    ensure(stranger.is_none(), Code::ContractIncomplete, "payment.payees", sentence)
}

/// A term that is no price of an open offer: only the clean-room provider may be paid by it. Else the nearest price is
/// named with what differs.
fn extra(contract: &Contract, term: &PaymentTerm, open: &[(&DatasetOffer, &PriceTerm)]) -> R<()> {
    let provider: Vec<&Did> = contract.in_role(Kind::Ccrp).collect();
    if term.payees.iter().all(|payee| provider.contains(&&payee.did)) {
        return Ok(());
    }
    let near = open.iter().map(|(_, price)| price).find(|p| p.payees == term.payees || p.term_id == term.term_id);
    let difference = near.map_or("it is no price of an offer".to_owned(), |price| difference(price, term));
    Err(Refusal::new(Code::TermsNotOffer, format!("Term {}: {difference}.", term.term_id)).at("payment"))
}

fn difference(price: &PriceTerm, term: &PaymentTerm) -> String {
    let amounts = |a: i64, b: i64| format!("the amount is {a}, the offer's {b}");
    if price.amount_minor != term.amount_minor {
        return amounts(term.amount_minor.get(), price.amount_minor.get());
    }
    if price.currency != term.currency {
        return format!("the currency is {}, the offer's {}", term.currency, price.currency);
    }
    if price.kind != term.kind {
        return "the kind is not the offer's".to_owned();
    }
    "the payees are not the offer's".to_owned()
}
