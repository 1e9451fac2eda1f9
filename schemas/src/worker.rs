//! Messages between `ccr` and its worker `ccr-trainer` over one pipe pair: no key, no network, no file.
//!
//! A frame is a big-endian u32 length and that many bytes. `ccr` sends one [`Start`] frame (JSON) and then one raw
//! frame per table, in the order of [`Start::tables`], one with the weights that the training names where it names any
//! ([`Training::weights`]), and one with the checkpoint where the worker goes on from one. The worker answers with JSON
//! [`Report`] frames; after [`Report::Done`] follows one raw frame with the model in safetensors, after
//! [`Report::Checkpoint`] one with the state of the training. Nothing in a report depends on the data but the model and the
//! noised metrics.

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::Digest;
use crate::metrics::{NoisedCurve, NoisedLoss};
use crate::pipeline::{Join, Training};
use crate::privacy::Plan;
use crate::problem::R;
use crate::text::Bytes;

/// The largest JSON frame.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The largest raw frame.
pub const MAX_TABLE: usize = 1 << 30;

/// The work, in one message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Always 1.
    pub v: u8,
    /// The tables that follow, in order.
    pub tables: Vec<TableHead>,
    /// The join.
    pub join: Join,
    /// The training.
    pub training: Training,
    /// The privacy plan, already judged.
    pub plan: Plan,
    /// Seed for sampling and noise, derived from the run key: 32 bytes. Never logged.
    pub seed: SeedBytes,
    /// Steps between two checkpoints, a public figure; none where nobody would go on from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u32>,
    /// The checkpoint that follows the tables as a raw frame, to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// The place among several workers, each in a room of its own; none where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Where its tensors lie. No part of the configuration: noise and sampling are the same everywhere.
    #[serde(default, skip_serializing_if = "Device::is_auto")]
    pub device: Device,
}

impl Start {
    /// The digest of the public configuration; see [`configuration`].
    pub fn configuration(&self) -> R<Digest> {
        configuration(&self.join, &self.training, &self.plan)
    }
}

/// Where the worker's tensors lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// On the first CUDA card, where the worker's libtorch finds one, else as [`Device::Cpu`].
    #[default]
    Auto,
    /// In the memory of the machine.
    Cpu,
    /// On the first CUDA card; a worker that finds none refuses (`DEVICE_UNAVAILABLE`).
    Cuda,
}

impl Device {
    /// Whether it is the choice that is not written down.
    pub fn is_auto(&self) -> bool {
        *self == Device::Auto
    }
}

/// The digest of everything public that a training is made of. Noise and sampling are bound to it, a checkpoint holds for
/// it alone, and the outcome names it.
pub fn configuration(join: &Join, training: &Training, plan: &Plan) -> R<Digest> {
    #[derive(Serialize)]
    struct Configuration<'a> {
        configuration: &'static str,
        join: &'a Join,
        training: &'a Training,
        plan: &'a Plan,
    }
    let configuration = Configuration { configuration: "depa worker configuration v1", join, training, plan };
    Ok(Digest::of(&canonical::to_bytes(&configuration)?))
}

/// A worker's place among those of several rooms that train together.
///
/// With it the worker's standard input is a stream socket. Once it has said [`Report::Ready`] both ends of that socket
/// carry IPv4 packets between the workers, each behind its length as a big-endian u16: of its own network the worker has
/// one interface, and what is behind it is its `ccr`. No worker of a group is followed by another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// This worker, from 0. The first one draws the noise and delivers; the others end with their room.
    pub rank: u32,
    /// How many workers there are, 2 to [`MOST_ROOMS`](crate::job::MOST_ROOMS).
    pub size: u32,
    /// Seconds after which a silent worker counts as gone.
    pub seconds: u32,
}

impl Group {
    /// The IPv4 address of a worker in the network that exists between the workers alone.
    pub fn address(rank: u32) -> [u8; 4] {
        // At most 16 members: the octet never overflows.
        [10, 77, 0, u8::try_from(rank.saturating_add(1)).unwrap_or(u8::MAX)]
    }
}

/// A checkpoint to go on from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Steps that were done when it was made.
    pub step: u32,
    /// Size of the raw frame.
    pub bytes: u64,
}

/// A table that follows as a raw frame.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableHead {
    /// The handle in the join.
    pub handle: String,
    /// Size of the raw frame.
    pub bytes: u64,
    /// Column names that must all be there; a missing one is a file-structure fault.
    pub columns: Vec<String>,
    /// What the frame holds.
    #[serde(default, skip_serializing_if = "TableFormat::is_csv")]
    pub format: TableFormat,
    /// The public count of its own contract: it holds no more people, or the worker refuses before its first step.
    pub public_rows: u64,
}

/// The form of a sealed table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// Comma-separated values with a header line.
    #[default]
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl TableFormat {
    /// Whether it is the form that is not written down.
    pub fn is_csv(&self) -> bool {
        *self == TableFormat::Csv
    }

    /// The media type in an offer.
    pub fn media_type(self) -> &'static str {
        match self {
            TableFormat::Csv => "text/csv",
            TableFormat::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The form with this media type; an unknown one is read as CSV, as it always was.
    pub fn of_media_type(text: &str) -> TableFormat {
        if text == TableFormat::Parquet.media_type() { TableFormat::Parquet } else { TableFormat::Csv }
    }
}

/// A secret seed; its Debug form shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeedBytes(pub Bytes);

impl std::fmt::Debug for SeedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeedBytes(secret)")
    }
}

/// What the worker says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case", deny_unknown_fields)]
pub enum Report {
    /// The files have the right structure; sent before any step. Not sent: how many rows they have.
    Ready {},
    /// Progress: public figures only, sent after fixed numbers of steps.
    Progress {
        /// Steps done.
        step: u32,
        /// Steps planned.
        steps: u32,
    },
    /// The state after a fixed number of steps follows as a raw frame, to go on from should the worker die. It is for
    /// `ccr` alone, which seals it and gives it back to a worker of the same run or to nobody.
    Checkpoint {
        /// Steps done.
        step: u32,
        /// Size of the raw frame: it follows from the network and the step.
        bytes: u64,
    },
    /// The end; the model follows as a raw frame.
    Done(Outcome),
    /// The worker gave up; a fixed code that does not depend on cell values.
    Failed {
        /// A code of `schemas::problem`.
        code: String,
        /// A fixed sentence.
        sentence: String,
    },
}

/// What a worker delivers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `model` in safetensors.
    pub kind: String,
    /// Size of the model.
    pub bytes: u64,
    /// SHA-256 of the model.
    pub sha256: Digest,
    /// Steps run; must equal the plan's.
    pub steps: u32,
    /// Noise draws made; must equal the steps, and be 0 where the plan is without differential privacy.
    pub noise_draws: u32,
    /// The configuration under which all of its steps were run, those before a checkpoint included.
    pub configuration: Digest,
    /// What drew the noise.
    pub noise: NoiseSampler,
    /// The noised metrics, where the plan charges them.
    pub metrics: Option<NoisedMetrics>,
}

/// What drew the noise of a training; it follows from the number of parameters and from whether the plan is private.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSampler {
    /// The discrete Gaussian on a public grid, sampled exactly (Canonne, Kamath, Steinke 2020).
    DiscreteGaussian,
    /// The discrete Gaussian on a public grid, sampled by an integer ziggurat: within 2^-90 of exact for one draw.
    DiscreteGaussianZiggurat,
    /// Nothing did: the training was without differential privacy.
    #[serde(rename = "none")]
    WithoutNoise,
}

/// A confusion matrix of the held-out part, every count noised; and what follows from it by arithmetic alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisedMetrics {
    /// True positives plus noise, may be negative.
    pub true_positives: i64,
    /// False positives plus noise.
    pub false_positives: i64,
    /// True negatives plus noise.
    pub true_negatives: i64,
    /// False negatives plus noise.
    pub false_negatives: i64,
    /// Accuracy from the noised counts, clamped to 0 ..= 1, in parts per million.
    pub accuracy_ppm: u32,
    /// The noised curve, where the plan charges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<NoisedCurve>,
    /// The noised loss, where the plan charges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<NoisedLoss>,
}

impl NoisedMetrics {
    /// Confusion counts, noised already, with the accuracy that follows and nothing beside them.
    pub fn of_counts(counts: [i64; 4]) -> NoisedMetrics {
        let [true_positives, false_positives, true_negatives, false_negatives] = counts;
        let mut metrics = NoisedMetrics {
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
            accuracy_ppm: 0,
            curve: None,
            loss: None,
        };
        metrics.accuracy_ppm = metrics.accuracy_of_counts();
        metrics
    }

    /// All four noised counts together: the noised number of rows.
    pub fn rows(&self) -> i64 {
        let counts = [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives];
        counts.into_iter().fold(0, i64::saturating_add)
    }

    /// Accuracy that follows from noised counts alone, clamped to 0 ..= 1, in parts per million; 0 where nothing was
    /// counted. The worker states it, the room checks it.
    pub fn accuracy_of_counts(&self) -> u32 {
        let right = i128::from(self.true_positives) + i128::from(self.true_negatives);
        let all = right + i128::from(self.false_positives) + i128::from(self.false_negatives);
        if all <= 0 {
            return 0;
        }
        u32::try_from((right.max(0) * 1_000_000 / all).min(1_000_000)).unwrap_or(0)
    }
}
