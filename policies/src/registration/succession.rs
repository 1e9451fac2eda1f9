//! May this version take the place of that one? A counter-offer or an amendment changes purpose, period, columns, ε and
//! δ, image sets, obligations and how it ends; never who, which datasets, or a price. A new price is a new offer,
//! registered and open to all.

use schemas::contract::{Contract, ContractDataset, Party, PaymentTerm};
use schemas::dataset::DatasetOffer;
use schemas::digest::Digest;
use schemas::id::{DatasetId, Did};
use schemas::problem::{Code, R};

use crate::forms::ensure;

/// Judges a new version against the one it names. `offer` finds a registered offer by its digest.
pub fn succession<'o>(old: &Contract, new: &Contract, offer: impl Fn(&Digest) -> Option<&'o DatasetOffer>) -> R<()> {
    let sentence = format!("Version {} follows on version {}.", old.version.saturating_add(1), old.version);
    ensure(Some(new.version) == old.version.checked_add(1), Code::SchemaMismatch, "version", sentence)?;
    let sentence = "A newer version has the same parties in the same roles.";
    ensure(parties(old) == parties(new), Code::ContractIncomplete, "parties", sentence)?;
    let sentence = "A newer version is about the same datasets; others are for another contract.";
    ensure(datasets(old) == datasets(new), Code::ContractIncomplete, "datasets", sentence)?;
    let repriced = repriced(old, new, offer)?;
    let sentence = "A price changes by a newer registered offer only, which the newer version names.";
    ensure(kept(old, &repriced) == kept(new, &repriced), Code::PriceChanged, "payment", sentence)
}

fn parties(contract: &Contract) -> Vec<(&Did, u8)> {
    let mut all: Vec<_> = contract.parties.iter().map(|Party { did, role }| (did, *role as u8)).collect();
    all.sort_unstable();
    all
}

fn datasets(contract: &Contract) -> Vec<&DatasetId> {
    let mut all: Vec<_> = contract.datasets.iter().map(|d| &d.dataset_id).collect();
    all.sort_unstable();
    all
}

/// Providers whose offer is another one; it must be newer.
fn repriced<'c, 'o>(
    old: &'c Contract,
    new: &'c Contract,
    offer: impl Fn(&Digest) -> Option<&'o DatasetOffer>,
) -> R<Vec<&'c Did>> {
    let mut providers = Vec::new();
    for ContractDataset { dataset_id, offer_sha256, provider, .. } in &new.datasets {
        let before = old.datasets.iter().find(|d| d.dataset_id == *dataset_id).map(|d| d.offer_sha256);
        if before == Some(*offer_sha256) {
            continue;
        }
        let age = |sha256: &Digest| offer(sha256).map(|o| (o.version, o.offer_version));
        let newer = before.is_some_and(|before| age(&before) < age(offer_sha256)) && age(offer_sha256).is_some();
        let sentence = format!("The offer of dataset {dataset_id} is not newer than the one that stood here.");
        ensure(newer, Code::PriceChanged, "datasets.offer_sha256", sentence)?;
        providers.push(provider);
    }
    Ok(providers)
}

/// The payment terms that no newer offer replaces.
fn kept<'c>(contract: &'c Contract, repriced: &[&Did]) -> Vec<&'c PaymentTerm> {
    let theirs = |term: &&PaymentTerm| !term.payees.iter().any(|payee| repriced.contains(&&payee.did));
    contract.payment.iter().filter(theirs).collect()
}
