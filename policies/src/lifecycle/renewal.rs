//! Renewals of privacy budgets: each provider's own, numbered, within what its offer says beforehand.

use schemas::dataset::DatasetOffer;
use schemas::envelope::Envelope;
use schemas::id::Did;
use schemas::party::Kind;
use schemas::privacy::Clause;
use schemas::renewal::BudgetRenewal;
use schemas::{Code, Digest, Entered, R, Refusal, Timestamp};
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

    /// Those of [`State::renewals_of`] that still count: what a job's bundle brings along. One that a key signed which is
    /// reported compromised from before its entry raises nothing, and who opens a bundle with it refuses all of it.
    pub fn standing_renewals_of(&self, offer: &Digest) -> impl Iterator<Item = &RenewalRow> {
        self.renewals_of(offer).filter(|row| self.still_counts(row))
    }

    /// The caps that a release entered at `index` may have been judged by: with the renewals of before that still count
    /// and, for a release of before a theft was reported, with all of them. Either may refuse; all of them together may
    /// pass the offer's total, since what falls out takes nothing of it.
    pub fn caps_at(&self, index: u64, offer: &DatasetOffer, sha256: &Digest, tdc: &Did) -> [R<Clause>; 2] {
        [false, true].map(|all| {
            let before = self.renewals_of(sha256).filter(|row| row.index < index);
            let counted = before.filter(|row| all || self.still_counts(row));
            crate::renewal::cap(offer, sha256, tdc, counted.map(|row| (row.envelope.digest(), &row.renewal)))
        })
    }

    fn still_counts(&self, row: &RenewalRow) -> bool {
        !row.envelope.signatures.iter().any(|signature| self.contested(&signature.kid, row.index))
    }

    /// Requires that every renewal that a job brings along still counts (`KEY_NOT_ACTIVE`). A bundle that was made before
    /// a key was reported does not know of the report, and opens; the log knows.
    pub fn require_renewals(&self, shown: &[Entered<BudgetRenewal>]) -> R<()> {
        let doubted =
            |one: &Entered<BudgetRenewal>| one.signers().iter().any(|kid| self.contested(kid, one.receipt().index));
        match shown.iter().find(|one| doubted(one)) {
            None => Ok(()),
            Some(one) => {
                let sentence = format!("renewal {} was signed by a key that is reported compromised", one.number);
                Err(Refusal::new(Code::KeyNotActive, sentence).at("renewals"))
            }
        }
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
        let before: Vec<&RenewalRow> = before.map(|(_, row)| row).collect();
        let standing = before.iter().filter(|row| self.still_counts(row)).map(|row| &row.renewal);
        crate::renewal::next(&renewal, &row.offer, before.len(), &standing.collect::<Vec<_>>())
    }

    pub(super) fn fold_renewal(&mut self, index: u64, envelope: &Envelope<BudgetRenewal>) -> R<()> {
        let renewal = read(envelope)?;
        let key = key(&renewal, renewal.number);
        self.renewals.put(key, RenewalRow { envelope: envelope.clone(), renewal, index });
        Ok(())
    }
}
