//! Renewals of a dataset's privacy budget.

use schemas::dataset::DatasetOffer;
use schemas::id::Did;
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;
use schemas::{Entered, Envelope, R, Timestamp};
use signing::Signer;

/// What a provider decides about a renewal.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The consumer whose ledger it is; none for the ledger of all.
    pub tdc: Option<Did>,
    /// Its number in that ledger, from 1.
    pub number: u32,
    /// ε by which the cap rises.
    pub epsilon: Real,
    /// One sentence.
    pub reason: String,
}

/// Signs a renewal of this offer. The rules of the register are asked before signing.
///
/// # Errors
/// `BUDGET_NOT_RENEWABLE`, `BUDGET_RENEWAL_INVALID`, `EPSILON_OUT_OF_RANGE`; `BUDGET_RENEWAL_TOO_LARGE` where this renewal
/// alone goes beyond the offer's total.
pub fn sign(
    renewal: Renewal,
    offer: &Entered<DatasetOffer>,
    key: &dyn Signer,
    now: Timestamp,
) -> R<Envelope<BudgetRenewal>> {
    let document = BudgetRenewal {
        schema: "budget-renewal.v1".into(),
        registry: offer.registry.clone(),
        provider: key.did()?,
        family: offer.family.clone(),
        dataset_id: offer.dataset_id.clone(),
        offer_sha256: offer.digest(),
        tdc: renewal.tdc,
        number: renewal.number,
        epsilon: renewal.epsilon,
        reason: renewal.reason,
        at: now,
    };
    policies::registration::budget_renewal(&document, &offer.registry, now)?;
    policies::renewal::of_offer(&document, offer, &offer.digest())?;
    let tdc = document.tdc.clone().unwrap_or_else(|| document.provider.clone());
    policies::renewal::cap(offer, &offer.digest(), &tdc, [(offer.digest(), &document)].into_iter())?;
    signing::sign(&document, key, now)
}
