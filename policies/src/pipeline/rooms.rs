//! One training by several rooms: how many, and of what kind.

use schemas::job::{JobSpec, MOST_ROOMS};
use schemas::pipeline::{Model, Training};
use schemas::problem::{Code, R};

use crate::forms::ensure;

/// Two to sixteen rooms train a network together, with differential privacy: by steps whose sums can be added, with the
/// sampling, the noise and the charge of one run. Trees grow in one room.
pub(super) fn decide(job: &JobSpec, training: &Training) -> R<()> {
    let Some(rooms) = job.rooms else { return Ok(()) };
    let sentence = format!("A job has 2 to {MOST_ROOMS} rooms, or says nothing of them.");
    ensure((2..=MOST_ROOMS).contains(&rooms), Code::LimitExceeded, "rooms", sentence)?;
    let summed = training.private && !matches!(training.model, Model::Trees { .. });
    let sentence = "Several rooms train a network together, with differential privacy.";
    ensure(summed, Code::PipelineInvalid, "rooms", sentence)
}
