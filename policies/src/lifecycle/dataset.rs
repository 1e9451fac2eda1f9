//! Image sets that two SRO people approved, and dataset offers that TDPs registered.

use std::ops::Bound;

use schemas::dataset::DatasetOffer;
use schemas::envelope::Envelope;
use schemas::evidence::ImageSet;
use schemas::id::{DatasetId, ImageSetId};
use schemas::party::Kind;
use schemas::release::MOST_IMAGE_SETS;
use schemas::rules::ImageSetRevocation;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, read, transition};

/// An approved image set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageSetRow {
    /// As signed.
    pub envelope: Envelope<ImageSet>,
    /// The same, read.
    pub image_set: ImageSet,
    /// Index of its entry.
    pub index: u64,
    /// The end of its approval, with the index of that entry.
    pub revoked: Option<(u64, Envelope<ImageSetRevocation>)>,
}

/// A registered offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferRow {
    /// As signed.
    pub envelope: Envelope<DatasetOffer>,
    /// The same, read.
    pub offer: DatasetOffer,
    /// SHA-256 of the signed bytes: what a contract pins as `offer_sha256`.
    pub sha256: Digest,
    /// Index of its entry.
    pub index: u64,
}

impl State {
    /// The image set with this id.
    pub fn image_set(&self, id: &ImageSetId) -> Option<&ImageSetRow> {
        self.image_sets.get(id)
    }

    /// All image sets.
    pub fn image_sets(&self) -> impl DoubleEndedIterator<Item = &ImageSetRow> {
        self.image_sets.iter().map(|(_, row)| row)
    }

    /// The offer with this digest.
    pub fn offer(&self, sha256: &Digest) -> Option<&OfferRow> {
        self.offers.get(self.offers_by_digest.get(sha256)?)
    }

    /// The newest offer of a dataset: highest version, then highest version of the terms.
    pub fn latest_offer(&self, id: &DatasetId) -> Option<&OfferRow> {
        self.offers.range((id.clone(), 0, 0)..=(id.clone(), u32::MAX, u32::MAX)).next_back().map(|(_, row)| row)
    }

    /// All offers by dataset, version and version of the terms.
    pub fn offers(&self) -> impl DoubleEndedIterator<Item = &OfferRow> {
        self.offers.iter().map(|(_, row)| row)
    }

    /// Whether an image set is approved and not revoked.
    pub(super) fn image_set_stands(&self, id: &ImageSetId) -> bool {
        self.image_sets.get(id).is_some_and(|row| row.revoked.is_none())
    }

    /// Revoked image sets whose period goes on, by id: what a status list names. One whose period is over runs nothing
    /// anyway.
    pub fn image_sets_revoked(&self, now: Timestamp) -> Vec<ImageSetId> {
        let withdrawn = |row: &&ImageSetRow| row.revoked.is_some() && now < row.image_set.valid_to;
        self.image_sets().filter(withdrawn).map(|row| row.image_set.image_set_id.clone()).collect()
    }

    /// All offers of a dataset, oldest first.
    pub fn offers_of(&self, id: &DatasetId) -> impl DoubleEndedIterator<Item = &OfferRow> {
        self.offers.range((id.clone(), 0, 0)..=(id.clone(), u32::MAX, u32::MAX)).map(|(_, row)| row)
    }

    /// The newest offer of each dataset by id, from the one after this.
    pub fn newest_offers(&self, after: Option<&DatasetId>) -> impl Iterator<Item = &OfferRow> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded((id.clone(), u32::MAX, u32::MAX)));
        let mut rows = self.offers.range((from, Bound::Unbounded)).map(|(_, row)| row).peekable();
        std::iter::from_fn(move || {
            let mut newest = rows.next()?;
            while let Some(row) = rows.next_if(|row| row.offer.dataset_id == newest.offer.dataset_id) {
                newest = row;
            }
            Some(newest)
        })
    }

    /// Requires that an image set is approved, not revoked and in its period.
    pub fn require_image_set(&self, id: &ImageSetId, now: Timestamp) -> R<&ImageSet> {
        let unknown = || Refusal::new(Code::ImageSetUnknown, format!("{id} is not approved"));
        let row = self.image_sets.get(id).ok_or_else(unknown)?;
        if row.revoked.is_some() {
            return Err(Refusal::new(Code::ImageSetRevoked, format!("{id} is revoked")));
        }
        let set = &row.image_set;
        if now < set.valid_from || now >= set.valid_to {
            return Err(Refusal::new(Code::ImageSetNotApproved, format!("{id} is not approved at this time")));
        }
        Ok(set)
    }

    pub(super) fn check_image_set(&self, envelope: &Envelope<ImageSet>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let set = read(envelope)?;
        if self.image_sets.contains(&set.image_set_id) {
            return Err(transition("an image set with this id is approved already").at("image_set_id"));
        }
        // So that the revoked ones always fit a status list.
        if self.image_sets().filter(|row| now < row.image_set.valid_to).count() >= MOST_IMAGE_SETS {
            let sentence = "so many image sets are within their period that no further one is approved";
            return Err(Refusal::new(Code::LimitExceeded, sentence));
        }
        crate::registration::image_set(&set, self.registry()?, now)
    }

    pub(super) fn fold_image_set(&mut self, index: u64, envelope: &Envelope<ImageSet>) -> R<()> {
        let image_set = read(envelope)?;
        self.image_sets.put(
            image_set.image_set_id.clone(),
            ImageSetRow { envelope: envelope.clone(), image_set, index, revoked: None },
        );
        Ok(())
    }

    /// A new version, or new terms of a version, follow on the newest; provider and family stay, and the sealed object
    /// of a version never changes.
    pub(super) fn check_offer(&self, envelope: &Envelope<DatasetOffer>, now: Timestamp) -> R<()> {
        let offer = read(envelope)?;
        self.signed_only_by(envelope, offer.provider.as_str())?;
        self.require_verified(&offer.provider, Kind::Tdp)?;
        if let Some(newest) = self.latest_offer(&offer.dataset_id).map(|row| &row.offer) {
            if (offer.version, offer.offer_version) <= (newest.version, newest.offer_version) {
                return Err(Refusal::new(Code::DatasetExists, "this version of the dataset is registered already")
                    .at("version"));
            }
            if offer.provider != newest.provider || offer.family != newest.family {
                return Err(
                    Refusal::new(Code::OfferInvalid, "a dataset keeps its provider and its family").at("family")
                );
            }
            let same_object = offer.manifest_root == newest.manifest_root && offer.key.key_id == newest.key.key_id;
            if offer.version == newest.version && !same_object {
                return Err(
                    Refusal::new(Code::OfferInvalid, "another sealed object is another version").at("manifest_root")
                );
            }
        }
        crate::registration::offer(&offer, self.registry()?, now)?;
        self.version_goes_on(&offer)?;
        self.family_is_own(&offer)?;
        self.sample_is_no_data(&offer)?;
        self.required_schema(&offer.reference.data_schema)?.map_or(Ok(()), |s| crate::registration::fits(&offer, s))
    }

    pub(super) fn fold_offer(&mut self, index: u64, envelope: &Envelope<DatasetOffer>) -> R<()> {
        let offer = read(envelope)?;
        let sha256 = envelope.digest();
        let key = (offer.dataset_id.clone(), offer.version, offer.offer_version);
        let jwk = offer.key.kms_jwk.clone();
        self.services.put((offer.provider.clone(), jwk.thumbprint()), jwk);
        self.families.put(offer.family.clone(), offer.provider.clone());
        self.note_objects(&offer);
        self.offers_by_digest.put(sha256, key.clone());
        self.offers.put(key, OfferRow { envelope: envelope.clone(), offer, sha256, index });
        Ok(())
    }
}
