//! The job: the TDC's signed specification of work. A run is one execution of it.

use serde::{Deserialize, Serialize};

use crate::contract::ContractRef;
use crate::document;
use crate::id::{DatasetId, Did, ImageSetId, JobId};
use crate::pipeline::Stage;
use crate::time::Timestamp;

/// A dataset of the job under the handle that the pipeline uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobDataset {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version, as contracted.
    pub version: u32,
    /// `[A-Za-z_][A-Za-z0-9_]*`, at most 64 characters, unique in the job.
    pub handle: String,
}

/// Rooms that may train together.
pub const MOST_ROOMS: u32 = 16;

/// `job.v1`: signed by the TDC; readable by TDC, TDPs, clean-room provider and SRO.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// `job.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The job.
    pub job_id: JobId,
    /// Who orders it.
    pub tdc: Did,
    /// Who runs it.
    pub ccrp: Did,
    /// The contracts it runs under, sorted by id.
    pub contracts: Vec<ContractRef>,
    /// The clean-room measurements it may run on.
    pub image_set_id: ImageSetId,
    /// The purpose, one of the contracts'.
    pub purpose: String,
    /// The datasets it reads.
    pub datasets: Vec<JobDataset>,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// How many attested rooms carry out the one training together, 2 to 16; if absent one room does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<u32>,
    /// After this time no run of it starts.
    pub expires_at: Timestamp,
}
document!(JobSpec, "job.v1", "job");
