//! Datasets.

use schemas::dataset::DatasetOffer;
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
