//! Renewals of privacy budgets: each provider's own, numbered, within what its offer says beforehand.

use schemas::envelope::Envelope;
use schemas::party::Kind;
use schemas::renewal::BudgetRenewal;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, read};

/// A renewal that stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenewalRow {
    /// As signed.
    pub envelope: Envelope<BudgetRenewal>,
    /// The same, read.
    pub renewal: BudgetRenewal,
    /// Index of its entry.
    pub index: u64,
}

/// Offer, consumer (empty for the ledger of all) and number.
pub(super) type RenewalKey = (Digest, String, u32);

fn key(renewal: &BudgetRenewal, number: u32) -> RenewalKey {
    let ledger = renewal.tdc.as_ref().map(ToString::to_string).unwrap_or_default();
    (renewal.offer_sha256, ledger, number)
}

impl State {
    /// Every renewal of an offer's cap, by ledger and number.
    pub fn renewals_of(&self, offer: &Digest) -> impl Iterator<Item = &RenewalRow> {
        let offer = *offer;
        let from = (offer, String::new(), 0);
        self.renewals.range(from..).take_while(move |((sha256, ..), _)| *sha256 == offer).map(|(_, row)| row)
    }

    /// By the provider of the offer alone, while the dataset is available.
    pub(super) fn check_renewal(&self, envelope: &Envelope<BudgetRenewal>, now: Timestamp) -> R<()> {
        let renewal = read(envelope)?;
        self.signed_only_by(envelope, renewal.provider.as_str())?;
        self.require_verified(&renewal.provider, Kind::Tdp)?;
        crate::registration::budget_renewal(&renewal, self.registry()?, now)?;
        let unknown = || Refusal::new(Code::DatasetUnknown, "no offer with this digest is registered");
        let row = self.offer(&renewal.offer_sha256).ok_or_else(|| unknown().at("offer_sha256"))?;
        crate::renewal::of_offer(&renewal, &row.offer, &row.sha256)?;
        self.require_dataset_available(&row.offer.dataset_id, row.offer.version)?;
        if let Some(tdc) = &renewal.tdc {
            self.require_verified(tdc, Kind::Tdc)?;
        }
        let before = self.renewals.range(key(&renewal, 0)..=key(&renewal, u32::MAX));
        let before: Vec<&BudgetRenewal> = before.map(|(_, row)| &row.renewal).collect();
        crate::renewal::next(&renewal, &row.offer, &before)
    }

    pub(super) fn fold_renewal(&mut self, index: u64, envelope: &Envelope<BudgetRenewal>) -> R<()> {
        let renewal = read(envelope)?;
        let key = key(&renewal, renewal.number);
        self.renewals.put(key, RenewalRow { envelope: envelope.clone(), renewal, index });
        Ok(())
    }
}
