//! What a run's plan charges each dataset, from its job and contracts alone: what a price by ε counts, and what every
//! statement of a key service is held against. Made once, when the run checks in.

use schemas::contract::ContractDataset;
use schemas::job::JobSpec;
use schemas::pipeline::Stage;
use schemas::privacy::DatasetCharge;
use schemas::release::KmsReceipt;
use schemas::{Code, R, Refusal};

use super::{RunRow, State};
use crate::facts::TableUse;

impl State {
    /// The charges of the plan of this job, in its order: at least one. Refuses, with the code of what stands against it, a
    /// job that has no plan: what nobody can reckon no run is billed or charged by.
    pub(super) fn plan_charges(&self, job: &JobSpec) -> R<Vec<DatasetCharge>> {
        let (mut join, mut training) = (None, None);
        for stage in &job.stages {
            match stage {
                Stage::Join(stage) => join = Some(stage),
                Stage::Train(stage) => training = Some(stage),
                Stage::Output(_) => {}
            }
        }
        let (Some(join), Some(training)) = (join, training) else {
            return Err(Refusal::new(Code::PipelineInvalid, "A pipeline has one join and one training.").at("stages"));
        };
        let contracts = self.contracts_of(job)?;
        let mut uses = Vec::with_capacity(job.datasets.len());
        for named in &job.datasets {
            let same = |d: &&ContractDataset| d.dataset_id == named.dataset_id && d.version == named.version;
            let terms = contracts.iter().find_map(|(_, contract)| contract.datasets.iter().find(same));
            let unknown = || Refusal::new(Code::DatasetUnknown, "a dataset of the job is in none of its contracts");
            let terms = terms.ok_or_else(unknown)?;
            let offer = &self.offer(&terms.offer_sha256).ok_or_else(unknown)?.offer;
            uses.push(TableUse { job: named, terms, columns: &offer.columns });
        }
        Ok(crate::privacy::rehearsal(join, training, &uses)?.charges)
    }

    /// A key service charges what the plan of the run charges, or what it says is not about this run. A run that was let in
    /// by rules of another day and has no plan by these is held to family, level and δ of its contracts.
    pub(super) fn charges_fit(&self, run: &RunRow, receipt: &KmsReceipt) -> R<()> {
        let bad =
            |why: &str| Refusal::new(Code::ReceiptMismatch, format!("receipt of {}: {why}", receipt.kms)).at("charges");
        let named = receipt.datasets.iter().map(|d| (&d.dataset_id, d.version));
        if !receipt.charges.iter().map(|c| (&c.dataset_id, c.version)).eq(named) {
            return Err(bad("it charges other datasets than it names"));
        }
        let contracts = self.contracts_of(self.job_of(run)?)?;
        for charge in &receipt.charges {
            let same = |d: &&ContractDataset| d.dataset_id == charge.dataset_id && d.version == charge.version;
            let contracted = contracts.iter().flat_map(|(_, c)| &c.datasets).find(same).is_some_and(|terms| {
                (&terms.family, terms.privacy.level, &terms.privacy.delta)
                    == (&charge.family, charge.level, &charge.delta)
            });
            let fits = if run.planned.is_empty() { contracted } else { run.planned.contains(charge) };
            if !fits {
                return Err(bad("it charges another amount than the plan of the run"));
            }
        }
        Ok(())
    }
}
