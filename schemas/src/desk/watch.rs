//! What people look at: their runs, what key services stated, what a budget has left, what a training would cost.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::contract::{Assurance, ContractRef};
use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::evidence::Platform;
use crate::id::{DatasetId, Did, FamilyId, ImageSetId, RunId};
use crate::job::JobSpec;
use crate::privacy::Clause;
use crate::release::KmsReceipt;
use crate::text::Real;
use crate::time::Timestamp;

messages! {
    /// A run in a list.
    RunLine {
        /// The run.
        run_id: RunId,
        /// Its job.
        job_sha256: Digest,
        /// Who ordered it.
        tdc: Did,
        /// Who runs it.
        ccrp: Did,
        /// The contracts it runs under.
        contracts: Vec<ContractRef>,
        /// `attested`, `reserved`, `keys_released`, `training`, `committed`, `completed`, `delivered` or `aborted`.
        state: String,
        /// How strong its evidence was; `software` means SIMULATED.
        assurance: Assurance,
        /// What it showed to be.
        image_set_id: ImageSetId,
        /// When it checked in.
        checked_in_at: Timestamp,
        /// When its completion was entered.
        completed_at: Option<Timestamp>,
    }
    /// A page of runs, the newest first.
    RunList {
        /// The runs.
        runs: Vec<RunLine>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// A key service's statement with the index of its entry.
    RunStatement {
        /// Index of the entry.
        index: u64,
        /// The receipt, read; its signature was verified when it entered.
        receipt: KmsReceipt,
    }
    /// What the log holds about a run, for those who may read about its job.
    RunRecord {
        /// The run.
        run: RunLine,
        /// The job as its consumer signed it.
        job: Envelope<JobSpec>,
        /// Index of the order's entry.
        ordered: u64,
        /// Index of the check-in's entry.
        checked_in: u64,
        /// SHA-256 of the evidence of the check-in.
        evidence_sha256: Digest,
        /// Names of the checks that the evidence passed.
        checks: Vec<String>,
        /// What the service read off the platform; none where the entry is of before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<Platform>,
        /// What key services stated, in the order of the log.
        statements: Vec<RunStatement>,
        /// Index of the completion's entry.
        completion: Option<u64>,
        /// Index of the hand-over's entry.
        delivered: Option<u64>,
        /// Index of the entry that ended it without output.
        aborted: Option<u64>,
        /// Training steps carried out before its room gave up.
        aborted_steps: Option<u32>,
        /// The code of the refusal that made its room give up, in the room's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aborted_code: Option<String>,
    }
    /// What one consumer's runs have spent of a dataset's budget.
    BudgetLine {
        /// The consumer.
        tdc: Did,
        /// Runs whose charge stands or is reserved.
        runs: u32,
        /// ε spent at the δ of the cap, in 10^-6, rounded up; never above the cap.
        spent_micro: u64,
        /// ε left of the cap, in 10^-6.
        left_micro: u64,
    }
    /// A dataset's budget as the log shows it. The ledger that counts is the key service's own.
    BudgetView {
        /// The dataset.
        dataset_id: DatasetId,
        /// Whose budget it draws on.
        family: FamilyId,
        /// The cap of the newest offer.
        cap: Clause,
        /// The cap's ε in 10^-6.
        cap_micro: u64,
        /// Consumer by consumer: all for the provider and who oversees, the caller's own for a consumer.
        lines: Vec<BudgetLine>,
    }
    /// How far a living run has got, as its room says. It stands in no log; nothing in it depends on a row of data.
    RunStep {
        /// The run.
        run_id: RunId,
        /// The step that is done.
        step: u32,
        /// The steps of its plan.
        steps: u32,
        /// ε of these steps in 10^-6, rounded up, of the dataset that they cost most; none without differential privacy.
        epsilon_micro: Option<u64>,
        /// When the room said so.
        at: Timestamp,
    }
    /// A point of a forecast.
    ForecastPoint {
        /// Steps.
        steps: u32,
        /// ε after them, in 10^-6, rounded up.
        epsilon_micro: u64,
    }
    /// What a private training would cost, before anything is signed. Metrics are not counted in it.
    Forecast {
        /// The noise multiplier that reaches the ε asked, rounded up to three decimals.
        noise_multiplier: Real,
        /// ε after growing numbers of steps at that noise.
        points: Vec<ForecastPoint>,
    }
}
