//! The state of a training between two steps, for `ccr` to keep while this process lives.
//!
//! It holds the weights in double precision and what the optimiser remembers, and so the sum of what was noised: less than the model says of any row, but
//! not rounded, so it is sealed by `ccr` and never leaves the room. Its size follows from the network and the step.

use schemas::R;
use schemas::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::dpsgd::Position;
use crate::fault::{internal, protocol};
use crate::model::Network;

/// The one form there is.
const FORM: u32 = 1;

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    form: u32,
    configuration: [u8; 32],
    step: u32,
    noise_draws: u32,
    weights: Vec<Vec<f64>>,
    memory: Vec<Vec<f64>>,
}

/// The bytes of a checkpoint.
pub fn write(network: &Network, at: Position, configuration: &Digest) -> R<Vec<u8>> {
    let checkpoint = Checkpoint {
        form: FORM,
        configuration: configuration.0,
        step: at.step,
        noise_draws: at.noise_draws,
        weights: network.parameters.iter().map(|parameter| parameter.values.clone()).collect(),
        memory: network.memory.clone(),
    };
    postcard::to_allocvec(&checkpoint).map_err(|_| internal("a checkpoint could not be written"))
}

/// Puts the weights of a checkpoint into a fresh network of the same job and tells where to go on.
///
/// Refused where it was made under another configuration, after another step than said, or for another network.
pub fn read(bytes: &[u8], step: u32, configuration: &Digest, network: &mut Network) -> R<Position> {
    let broken = || protocol("the checkpoint cannot be read");
    let (kept, rest) = postcard::take_from_bytes::<Checkpoint>(bytes).map_err(|_| broken())?;
    if kept.form != FORM || !rest.is_empty() {
        return Err(broken());
    }
    if kept.configuration != configuration.0 {
        return Err(protocol("the checkpoint is of another configuration"));
    }
    // A training without differential privacy has drawn none; each of the two trainings takes its own alone.
    if kept.step != step || ![0, step].contains(&kept.noise_draws) {
        return Err(protocol("the checkpoint is of another step"));
    }
    let weights: Vec<&Vec<f64>> = network.parameters.iter().map(|parameter| &parameter.values).collect();
    if !alike(&kept.weights, &weights) || !alike(&kept.memory, &network.memory.iter().collect::<Vec<_>>()) {
        return Err(protocol("the checkpoint is of another network"));
    }
    for (parameter, kept) in network.parameters.iter_mut().zip(kept.weights) {
        parameter.values = kept;
    }
    network.memory = kept.memory;
    Ok(Position { step, noise_draws: kept.noise_draws })
}

/// As many lists of the same lengths, and nothing in them that no training leaves behind.
fn alike(kept: &[Vec<f64>], fresh: &[&Vec<f64>]) -> bool {
    let same = |(kept, fresh): (&Vec<f64>, &&Vec<f64>)| {
        kept.len() == fresh.len() && kept.iter().all(|value| value.is_finite())
    };
    kept.len() == fresh.len() && kept.iter().zip(fresh).all(same)
}

#[cfg(test)]
mod tests {
    use schemas::pipeline::Model;

    use super::*;

    fn network(hidden: u32) -> Network {
        Network::new(&Model::Mlp { hidden: vec![hidden] }, 3, 1).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_to_the_last_bit() {
        let (mut kept, mut fresh) = (network(4), network(4));
        kept.parameters[1].values[2] = 0.1 + 0.2;
        let at = Position { step: 7, noise_draws: 7 };
        let bytes = write(&kept, at, &Digest([1; 32])).unwrap();
        assert_eq!(read(&bytes, 7, &Digest([1; 32]), &mut fresh).unwrap(), at);
        assert_eq!(fresh, kept);
    }

    #[test]
    fn what_the_optimiser_remembers_is_kept_too() {
        let (mut kept, mut fresh) = (network(4), network(4));
        (kept.memory, fresh.memory) = (vec![vec![0.25, -1.5]], vec![vec![0.0, 0.0]]);
        let at = Position { step: 1, noise_draws: 1 };
        let bytes = write(&kept, at, &Digest([1; 32])).unwrap();
        read(&bytes, 1, &Digest([1; 32]), &mut fresh).unwrap();
        assert_eq!(fresh, kept);
        fresh.memory = vec![vec![0.0; 3]];
        assert!(read(&bytes, 1, &Digest([1; 32]), &mut fresh).is_err());
    }

    #[test]
    fn what_is_not_of_this_run_and_step_is_refused() {
        let at = |step, noise_draws| write(&network(4), Position { step, noise_draws }, &Digest([1; 32])).unwrap();
        let good = at(7, 7);
        let mut endless = network(4);
        endless.parameters[0].values[0] = f64::NAN;
        let cases = [
            (good.clone(), 7, Digest([2; 32]), 4),
            (good.clone(), 8, Digest([1; 32]), 4),
            (at(7, 6), 7, Digest([1; 32]), 4),
            (good.clone(), 7, Digest([1; 32]), 5),
            (write(&endless, Position { step: 7, noise_draws: 7 }, &Digest([1; 32])).unwrap(), 7, Digest([1; 32]), 4),
            (good[..good.len() - 1].to_vec(), 7, Digest([1; 32]), 4),
            ([&good[..], &[0]].concat(), 7, Digest([1; 32]), 4),
            ([&[2], &good[1..]].concat(), 7, Digest([1; 32]), 4),
            (vec![], 7, Digest([1; 32]), 4),
        ];
        for (place, (bytes, step, configuration, hidden)) in cases.into_iter().enumerate() {
            let mut fresh = network(hidden);
            let refusal = read(&bytes, step, &configuration, &mut fresh).unwrap_err();
            assert_eq!((refusal.code.as_str(), &fresh), ("WORKER_PROTOCOL", &network(hidden)), "case {place}");
        }
    }
}
