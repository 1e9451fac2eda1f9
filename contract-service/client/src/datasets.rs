//! Datasets.

use schemas::dataset::{DatasetAct, DatasetOffer};
use schemas::desk::{DatasetList, DatasetView, Receipted};
use schemas::id::DatasetId;
use schemas::log::Receipt;
use schemas::{Envelope, R};

use crate::http::Client;

impl Client {
    /// Registers an offer.
    pub fn register_dataset(&self, offer: &Envelope<DatasetOffer>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>("/v1/datasets", offer)?.receipt)
    }

    /// Suspends, resumes or withdraws a dataset version: signed by its provider, or by two SRO people.
    pub fn change_dataset(&self, act: &Envelope<DatasetAct>) -> R<Receipt> {
        let id = act.read_unverified()?.dataset_id;
        Ok(self.post::<_, Receipted>(&format!("/v1/datasets/{id}/acts"), act)?.receipt)
    }

    /// A page of registered datasets, from the first or from where the last page ended.
    pub fn datasets(&self, cursor: Option<&str>) -> R<DatasetList> {
        match cursor {
            Some(cursor) => self.get(&format!("/v1/datasets?cursor={cursor}")),
            None => self.get("/v1/datasets"),
        }
    }

    /// The newest version of a dataset.
    pub fn dataset(&self, id: &DatasetId) -> R<DatasetView> {
        self.get(&format!("/v1/datasets/{id}"))
    }
}
