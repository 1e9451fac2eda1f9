//! What the rules judge: a job with everything that it names, every signature and receipt already verified.

use schemas::contract::{Contract, ContractDataset, ContractRef};
use schemas::dataset::{Column, DatasetOffer};
use schemas::evidence::ImageSet;
use schemas::job::{JobDataset, JobSpec};
use schemas::problem::{Code, R, Refusal};
use schemas::{Entered, Signed};

/// A job with its contracts, their offers and its image set. The types remember that signatures were checked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The job, signed by its TDC.
    pub job: &'a Signed<JobSpec>,
    /// Its contracts, in any order.
    pub contracts: &'a [Entered<Contract>],
    /// The offers that the contracts pin, in any order.
    pub offers: &'a [Entered<DatasetOffer>],
    /// The image set of the job.
    pub image_set: &'a Entered<ImageSet>,
}

/// A dataset of the job with all that was agreed about it.
#[derive(Clone, Copy, Debug)]
pub struct DatasetUse<'a> {
    /// As the job names it.
    pub job: &'a JobDataset,
    /// The one contract under which it is used.
    pub contract: &'a Entered<Contract>,
    /// As contracted.
    pub terms: &'a ContractDataset,
    /// The offer that the contract pins.
    pub offer: &'a Entered<DatasetOffer>,
}

/// A table of a pipeline with what was agreed about it: all that the rules on pipelines and their cost look at.
#[derive(Clone, Copy, Debug)]
pub struct TableUse<'a> {
    /// As the job names it.
    pub job: &'a JobDataset,
    /// Its terms.
    pub terms: &'a ContractDataset,
    /// Its public schema.
    pub columns: &'a [Column],
}

impl<'a> From<DatasetUse<'a>> for TableUse<'a> {
    fn from(used: DatasetUse<'a>) -> TableUse<'a> {
        TableUse { job: used.job, terms: used.terms, columns: &used.offer.columns }
    }
}

impl DatasetUse<'_> {
    /// The contract by id and digest.
    pub fn contract_ref(&self) -> ContractRef {
        ContractRef { id: self.contract.contract_id.clone(), sha256: self.contract.digest() }
    }
}

impl<'a> Facts<'a> {
    /// The datasets of the job, in its order. Each stands in exactly one contract, and its pinned offer is there.
    pub fn datasets(&self) -> R<Vec<DatasetUse<'a>>> {
        let job: &'a JobSpec = self.job;
        job.datasets.iter().map(|dataset| self.dataset(dataset)).collect()
    }

    /// The same, reduced to what pipelines are judged by.
    pub fn tables(&self) -> R<Vec<TableUse<'a>>> {
        Ok(self.datasets()?.into_iter().map(TableUse::from).collect())
    }

    fn dataset(&self, job: &'a JobDataset) -> R<DatasetUse<'a>> {
        let mut homes = self.contracts.iter().flat_map(|contract| {
            let same = |d: &&ContractDataset| d.dataset_id == job.dataset_id && d.version == job.version;
            contract.datasets.iter().filter(same).map(move |terms| (contract, terms))
        });
        let (Some((contract, terms)), None) = (homes.next(), homes.next()) else {
            let sentence = format!("Dataset {} must stand in exactly one contract of the job.", job.dataset_id);
            return Err(Refusal::new(Code::JobMismatch, sentence).at("datasets"));
        };
        let offer = self.offers.iter().find(|offer| offer.digest() == terms.offer_sha256).ok_or_else(|| {
            let sentence = format!("The offer that the contract pins for dataset {} is not there.", job.dataset_id);
            Refusal::new(Code::DatasetUnknown, sentence).at("offer_sha256")
        })?;
        Ok(DatasetUse { job, contract, terms, offer })
    }
}
