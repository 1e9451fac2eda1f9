//! Datasets.

use schemas::bundle::Logged;
use schemas::dataset::{DatasetAct, DatasetOffer};
use schemas::desk::{BudgetRenewals, CroissantDraft, DatasetList, DatasetVersions, DatasetView, Receipted};
use schemas::id::DatasetId;
use schemas::log::Receipt;
use schemas::renewal::BudgetRenewal;
use schemas::{Envelope, R};

use crate::acted::Acted;
use crate::http::{Call, Client, Method, read};
use crate::query::query;

impl Client {
    /// Registers an offer.
    pub fn register_dataset(&self, offer: &Envelope<DatasetOffer>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>("/v1/datasets", offer)?.receipt)
    }

    /// Suspends, resumes or withdraws a dataset version: signed by its provider, or by two SRO people.
    pub fn change_dataset(&self, act: &Envelope<DatasetAct>) -> R<Acted<Receipted>> {
        let id = act.read_unverified()?.dataset_id;
        self.post_act(&format!("/v1/datasets/{id}/acts"), act)
    }

    /// Renews a privacy budget: signed by the provider of the offer.
    pub fn renew_budget(&self, renewal: &Envelope<BudgetRenewal>) -> R<Receipt> {
        let id = renewal.read_unverified()?.dataset_id;
        Ok(self.post::<_, Receipted>(&format!("/v1/datasets/{id}/renewals"), renewal)?.receipt)
    }

    /// The renewals of a dataset's privacy budget, offer by offer.
    pub fn budget_renewals(&self, id: &DatasetId) -> R<BudgetRenewals> {
        self.get(&format!("/v1/datasets/{id}/renewals"))
    }

    /// A page of the newest offers that fit: `q`, `provider`, `column`, `column_type`, `purpose`, `data_schema`,
    /// `min_epsilon`, `max_epsilon`, `state`, `max_price`, `currency`, `cursor`, `limit`.
    pub fn search_datasets(&self, narrowed: &[(&str, Option<String>)]) -> R<DatasetList> {
        self.get(&format!("/v1/datasets{}", query(narrowed)))
    }

    /// The newest offer of a dataset as Croissant 1.1.
    pub fn export_croissant(&self, id: &DatasetId) -> R<Vec<u8>> {
        self.get_bytes(&format!("/v1/datasets/{id}/croissant"))
    }

    /// The beginning of an offer, from a Croissant document. Nothing is signed or entered.
    pub fn import_croissant(&self, document: &[u8]) -> R<CroissantDraft> {
        let call = Call { method: Method::Post, body: Some(document.to_vec()), ..Call::get("/v1/datasets/croissant") };
        read(self.call(&call.with_token())?)
    }

    /// A page of registered datasets, from the first or from where the last page ended.
    pub fn datasets(&self, cursor: Option<&str>) -> R<DatasetList> {
        match cursor {
            Some(cursor) => self.get(&format!("/v1/datasets?cursor={cursor}")),
            None => self.get("/v1/datasets"),
        }
    }

    /// The newest offer of a dataset as its provider signed it, with the reference of its key: for its provider, consumers,
    /// parties of a contract over it, and overseers.
    pub fn signed_offer(&self, id: &DatasetId) -> R<Logged<DatasetOffer>> {
        read(self.call(&Call::get(&format!("/v1/datasets/{id}/offer")).with_token())?)
    }

    /// Every version of a dataset, the oldest first.
    pub fn dataset_versions(&self, id: &DatasetId) -> R<DatasetVersions> {
        self.get(&format!("/v1/datasets/{id}/versions"))
    }

    /// The newest version of a dataset, as everyone reads it.
    pub fn dataset(&self, id: &DatasetId) -> R<DatasetView> {
        self.get(&format!("/v1/datasets/{id}"))
    }
}
