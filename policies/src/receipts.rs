//! Do statements of key services belong to a run, and do they cover its datasets? Asked of reservations at release and
//! of release and commit receipts at completion.

use schemas::contract::{Contract, ContractDataset, ContractRef};
use schemas::id::DatasetId;
use schemas::job::JobSpec;
use schemas::release::{KmsReceipt, ReleasedDataset};

use crate::completion::RunView;
use crate::forms::unique;

/// What receipts of a run must say. Failures are sentences; the caller knows the code.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) contracts: &'a [&'a Contract],
    pub(crate) view: &'a RunView,
}

impl<'a> Run<'a> {
    /// Every dataset of the job is named by exactly one of the receipts, each of which is about this run.
    pub(crate) fn covered_by(&self, receipts: &[&KmsReceipt]) -> Result<(), String> {
        for receipt in receipts {
            self.about(receipt)?;
        }
        let named = || receipts.iter().flat_map(|r| &r.datasets).map(|d| (&d.dataset_id, d.version));
        if !unique(named()) {
            return Err("a dataset is named twice".to_owned());
        }
        let missing = self.job.datasets.iter().find(|d| !named().any(|(id, v)| *id == d.dataset_id && v == d.version));
        match missing {
            Some(dataset) => Err(format!("no receipt names dataset {}", dataset.dataset_id)),
            None => Ok(()),
        }
    }

    fn about(&self, receipt: &KmsReceipt) -> Result<(), String> {
        let same = receipt.registry == self.job.registry
            && receipt.run_id == self.view.run_id
            && receipt.job_sha256 == self.view.job_sha256
            && receipt.run_jwk_thumbprint == self.view.run_jwk_thumbprint
            && receipt.image_set_id == self.view.image_set_id;
        if !same {
            return Err(format!("a receipt of {} is about another run, job, run key or image set", receipt.kms));
        }
        if receipt.datasets.is_empty() {
            return Err(format!("a receipt of {} names no dataset", receipt.kms));
        }
        let charged = receipt.charges.iter().map(|c| (&c.dataset_id, c.version));
        if !charged.eq(receipt.datasets.iter().map(|d| (&d.dataset_id, d.version))) {
            return Err(format!("a receipt of {} charges other datasets than it names", receipt.kms));
        }
        receipt.datasets.iter().try_for_each(|dataset| self.dataset(receipt, dataset))
    }

    fn dataset(&self, receipt: &KmsReceipt, named: &ReleasedDataset) -> Result<(), String> {
        let foreign = || format!("dataset {} of a receipt of {} is not of this job", named.dataset_id, receipt.kms);
        let (contract, terms) = self.terms(&named.dataset_id, named.version).ok_or_else(foreign)?;
        let charge = receipt.charges.iter().find(|charge| charge.dataset_id == named.dataset_id);
        let same = named.contract == *contract
            && named.manifest_root == terms.manifest_root
            && named.key_id == terms.key.key_id
            && receipt.kms == terms.key.kms
            && receipt.provider == terms.provider
            && charge.is_some_and(|charge| charge.family == terms.family);
        if same {
            Ok(())
        } else {
            Err(format!("a receipt of {} is not as contracted for {}", receipt.kms, named.dataset_id))
        }
    }

    /// The terms of a dataset of the job, with the contract that the job names for it.
    pub(crate) fn terms(&self, id: &DatasetId, version: u32) -> Option<(&'a ContractRef, &'a ContractDataset)> {
        self.job.datasets.iter().find(|d| d.dataset_id == *id && d.version == version)?;
        self.contracts.iter().find_map(|contract| {
            let terms = contract.datasets.iter().find(|d| d.dataset_id == *id && d.version == version)?;
            let named = self.job.contracts.iter().find(|c| c.id == contract.contract_id)?;
            Some((named, terms))
        })
    }
}
