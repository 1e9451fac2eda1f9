//! May a privacy budget be renewed, and what is a cap after its renewals?
//!
//! A renewal raises a cap by a logged, dated act of its provider. Spending is cumulative all the same, and the total is
//! contracted beforehand: the offer that a contract pins says in `renewable_to` how far its cap may ever rise. The grant of
//! a contract is not raised by it.

use std::collections::BTreeMap;

use schemas::dataset::DatasetOffer;
use schemas::digest::Digest;
use schemas::id::Did;
use schemas::privacy::{Clause, Scope};
use schemas::problem::{Code, R, Refusal};
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;

use crate::budget::epsilon_micro;
use crate::forms::ensure;
use crate::reals;

/// Most renewals of one offer's cap in one ledger: a job's bundle brings all of them along.
pub const MAX_RENEWALS: usize = 16;

/// Says an offer rightly how far its cap may rise? At level 1 only, above the cap, within what any clause may say.
pub fn ceiling(offer: &DatasetOffer) -> R<()> {
    let Some(total) = &offer.renewable_to else { return Ok(()) };
    let sentence = "Only a budget that key services keep and whose model may leave (level 1) is renewable.";
    ensure(offer.privacy_cap.level == Clause::ENFORCED, Code::BudgetNotRenewable, "renewable_to", sentence)?;
    let sentence = "The total of a renewable budget lies above its cap and below 1000.";
    let bounded = reals::floor_units(total, 0).is_some_and(|e| e < 1000);
    let above = bounded && epsilon_micro(total)? > epsilon_micro(&offer.privacy_cap.epsilon)?;
    ensure(above, Code::EpsilonOutOfRange, "renewable_to", sentence)
}

/// Is this renewal one of this offer: of its provider, family, dataset and kind of ledger, where it is renewable at all?
pub fn of_offer(renewal: &BudgetRenewal, offer: &DatasetOffer, offer_sha256: &Digest) -> R<()> {
    let per_tdc = offer.privacy_cap.scope == Scope::PerTdc;
    for (same, field) in [
        (renewal.registry == offer.registry, "registry"),
        (renewal.offer_sha256 == *offer_sha256, "offer_sha256"),
        (renewal.provider == offer.provider, "provider"),
        (renewal.family == offer.family, "family"),
        (renewal.dataset_id == offer.dataset_id, "dataset_id"),
        (renewal.tdc.is_some() == per_tdc, "tdc"),
    ] {
        let sentence = format!("The renewal's {field} is not that of the offer and its ledger.");
        ensure(same, Code::BudgetRenewalInvalid, field, sentence)?;
    }
    let renewable = offer.renewable_to.is_some() && offer.privacy_cap.level == Clause::ENFORCED;
    let sentence = "The offer does not say that its budget is renewable.";
    ensure(renewable, Code::BudgetNotRenewable, "offer_sha256", sentence)?;
    let sentence = "A renewal raises the cap by at least 0.000001.";
    ensure(epsilon_micro(&renewal.epsilon)? > 0, Code::EpsilonOutOfRange, "epsilon", sentence)?;
    ensure(renewal.number >= 1, Code::BudgetRenewalInvalid, "number", "Renewals count from 1.")
}

/// The cap of an offer in the ledger of this consumer, after these renewals. Those of other offers and of other
/// consumers' ledgers raise nothing; one that is shown twice counts once.
///
/// # Errors
/// `BUDGET_RENEWAL_INVALID` where a renewal is not one of the offer that it names, or two have one number;
/// `BUDGET_NOT_RENEWABLE`; `BUDGET_RENEWAL_TOO_LARGE` where cap and renewals go beyond the offer's total.
pub fn cap<'a>(
    offer: &DatasetOffer,
    offer_sha256: &Digest,
    tdc: &Did,
    renewals: impl Iterator<Item = (Digest, &'a BudgetRenewal)>,
) -> R<Clause> {
    let mut counted: BTreeMap<u32, (Digest, &BudgetRenewal)> = BTreeMap::new();
    for (sha256, renewal) in renewals.filter(|(_, renewal)| renewal.offer_sha256 == *offer_sha256) {
        of_offer(renewal, offer, offer_sha256)?;
        if renewal.tdc.as_ref().is_some_and(|other| other != tdc) {
            continue;
        }
        let before = counted.insert(renewal.number, (sha256, renewal));
        let sentence = format!("Two renewals have the number {}.", renewal.number);
        let once = before.is_none_or(|(other, _)| other == sha256);
        ensure(once, Code::BudgetRenewalInvalid, "number", sentence)?;
    }
    let mut cap = offer.privacy_cap.clone();
    if !counted.is_empty() {
        cap.epsilon = total(offer, counted.values().map(|(_, renewal)| *renewal))?;
    }
    Ok(cap)
}

/// May this renewal be the next of its ledger, after as many as were `entered` there? `standing` are those of them that
/// still count: one whose signature is in doubt keeps its number and raises nothing.
///
/// # Errors
/// `BUDGET_RENEWAL_EXISTS`, `BUDGET_RENEWAL_INVALID` for another number than the next; `LIMIT_EXCEEDED` after
/// [`MAX_RENEWALS`]; `BUDGET_RENEWAL_TOO_LARGE` beyond the offer's total.
pub fn next(renewal: &BudgetRenewal, offer: &DatasetOffer, entered: usize, standing: &[&BudgetRenewal]) -> R<()> {
    let sentence = format!("A cap is renewed at most {MAX_RENEWALS} times in one ledger; offer new terms.");
    let known = usize::try_from(renewal.number).is_ok_and(|number| number <= entered);
    // Bundles bring those that stand; what a thief entered in the provider's name does not use up its renewals.
    ensure(known || standing.len() < MAX_RENEWALS, Code::LimitExceeded, "number", sentence)?;
    let entered = u32::try_from(entered).unwrap_or(u32::MAX);
    let sentence = format!("Renewal {} of this offer and ledger stands in the log already.", renewal.number);
    ensure(renewal.number > entered, Code::BudgetRenewalExists, "number", sentence)?;
    let sentence = format!("Renewals count on: the next one has the number {}.", entered.saturating_add(1));
    ensure(renewal.number - entered == 1, Code::BudgetRenewalInvalid, "number", sentence)?;
    total(offer, standing.iter().copied().chain([renewal])).map(drop)
}

/// The cap's ε with these renewals, within the offer's total.
fn total<'a>(offer: &DatasetOffer, renewals: impl Iterator<Item = &'a BudgetRenewal>) -> R<Real> {
    let mut sum = epsilon_micro(&offer.privacy_cap.epsilon)?;
    for renewal in renewals {
        sum = sum.saturating_add(epsilon_micro(&renewal.epsilon)?);
    }
    let most = offer.renewable_to.as_ref().map(epsilon_micro).transpose()?.unwrap_or(0);
    let text = reals::from_units(sum.into(), 6);
    let shown = text.as_ref().map(ToString::to_string).unwrap_or_default();
    let sentence = format!(
        "Cap and renewals would be ε {shown}; the offer goes to {} at most.",
        offer.renewable_to.as_ref().map(ToString::to_string).unwrap_or_default()
    );
    ensure(sum <= most, Code::BudgetRenewalTooLarge, "epsilon", sentence)?;
    text.ok_or_else(|| Refusal::new(Code::Internal, "a renewed cap cannot be written"))
}
