//! One training by several rooms: how many, and of what kind.

use schemas::job::MOST_ROOMS;
use schemas::pipeline::{Model, Training};
use schemas::problem::{Code, R};

use crate::facts::Facts;
use crate::forms::ensure;

/// Two to sixteen rooms train a network together, with differential privacy: by steps whose sums can be added, with the
/// sampling, the noise and the charge of one run. Trees grow in one room. Every contract lets a run take that many rooms:
/// each holds the data of all of them, so a contract that says nothing lets it take one.
pub(super) fn decide(facts: &Facts<'_>, training: &Training) -> R<()> {
    let Some(rooms) = facts.job.rooms else { return Ok(()) };
    let sentence = format!("A job has 2 to {MOST_ROOMS} rooms, or says nothing of them.");
    ensure((2..=MOST_ROOMS).contains(&rooms), Code::LimitExceeded, "rooms", sentence)?;
    let summed = training.private && !matches!(training.model, Model::Trees { .. });
    let sentence = "Several rooms train a network together, with differential privacy.";
    ensure(summed, Code::PipelineInvalid, "rooms", sentence)?;
    facts.contracts.iter().try_for_each(|contract| {
        let most = contract.compute.rooms_max.unwrap_or(1);
        let sentence = format!("Contract {} lets a run take {most} of the {rooms} rooms.", contract.contract_id);
        ensure(rooms <= most, Code::RoomsNotAllowed, "rooms", sentence)
    })
}
