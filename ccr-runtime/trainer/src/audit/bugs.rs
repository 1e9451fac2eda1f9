//! Mistakes that private trainings have been found with, each as acts that the trainer might have had. None of this is
//! compiled outside of tests.

use chacha20::rand_core::Rng;
use schemas::R;

use crate::dpsgd::{Acts, AsPlanned, Data, Settings, clipped_sums};
use crate::model::Network;
use crate::noise::{Grid, Streams};

/// One mistake.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bug {
    /// Half the noise that is accounted for.
    HalfNoise,
    /// A tenth less noise than is accounted for.
    TenthLessNoise,
    /// Gradients are not clipped.
    NoClipping,
    /// The mean of a batch is clipped in place of each gradient.
    MeanClipping,
    /// The last parameter is left out of the clipping.
    OneParameterUnclipped,
    /// Batches are cut from a shuffled data set, and accounted for as Poisson samples.
    ShuffledAsPoisson,
    /// Every step draws the noise of the first.
    ReusedNoise,
    /// A step without rows is skipped.
    EmptyStepSkipped,
    /// A step without rows is counted, but draws no noise.
    EmptyStepUnnoised,
    /// Sums are divided by the rate times the true number of rows.
    PrivateDivisor,
}

impl Bug {
    pub const ALL: [Bug; 10] = [
        Bug::HalfNoise,
        Bug::TenthLessNoise,
        Bug::NoClipping,
        Bug::MeanClipping,
        Bug::OneParameterUnclipped,
        Bug::ShuffledAsPoisson,
        Bug::ReusedNoise,
        Bug::EmptyStepSkipped,
        Bug::EmptyStepUnnoised,
        Bug::PrivateDivisor,
    ];
}

impl Acts for Bug {
    fn step(
        &self,
        network: &mut Network,
        data: &Data,
        settings: &Settings,
        grid: &Grid,
        streams: &Streams,
        step: u32,
    ) -> R<u32> {
        let rows = self.rows(settings, data, streams, step)?;
        match self {
            Bug::EmptyStepSkipped if rows.is_empty() => return Ok(0),
            Bug::EmptyStepUnnoised if rows.is_empty() => return Ok(1),
            _ => {}
        }
        let mut sums = self.sums(network, data, &rows, settings)?;
        self.noise(network, grid, &mut sums, streams, step)?;
        let divisor = self.divisor(settings, data);
        network.descend(&sums, divisor, settings.learning_rate, step, settings.steps);
        Ok(1)
    }

    fn rows(&self, settings: &Settings, data: &Data, streams: &Streams, step: u32) -> R<Vec<i64>> {
        if *self != Bug::ShuffledAsPoisson {
            return AsPlanned.rows(settings, data, streams, step);
        }
        let batch = (settings.expected_batch as usize).clamp(1, data.rows().max(1));
        let steps = (data.rows() / batch).max(1);
        let (epoch, place) = ((step as usize - 1) / steps, (step as usize - 1) % steps);
        let mut stream = streams.sampling(u32::MAX - epoch as u32)?;
        let mut rows: Vec<i64> = (0..data.rows() as i64).collect();
        for at in (1..rows.len()).rev() {
            rows.swap(at, (stream.next_u64() % (at as u64 + 1)) as usize);
        }
        Ok(rows.into_iter().skip(place * batch).take(batch).collect())
    }

    fn sums(&self, network: &Network, data: &Data, rows: &[i64], settings: &Settings) -> R<Vec<Vec<f64>>> {
        let unclipped = || clipped_sums(network, data, rows, &Settings { clip: 1e9, ..settings.clone() }, 1);
        match self {
            Bug::NoClipping => unclipped(),
            Bug::MeanClipping => {
                let mut sums = unclipped()?;
                let mean = norm(&sums.concat()) / rows.len().max(1) as f64;
                let scale = (settings.clip / mean).min(1.0);
                sums.iter_mut().flatten().for_each(|sum| *sum *= scale);
                Ok(sums)
            }
            Bug::OneParameterUnclipped => {
                let mut sums = AsPlanned.sums(network, data, rows, settings)?;
                let last = sums.len() - 1;
                sums[last] = unclipped()?.swap_remove(last);
                Ok(sums)
            }
            _ => AsPlanned.sums(network, data, rows, settings),
        }
    }

    fn noise(&self, network: &Network, grid: &Grid, sums: &mut [Vec<f64>], streams: &Streams, step: u32) -> R<()> {
        let share = match self {
            Bug::HalfNoise => 0.5,
            Bug::TenthLessNoise => 0.9,
            Bug::ReusedNoise => return AsPlanned.noise(network, grid, sums, streams, 1),
            _ => return AsPlanned.noise(network, grid, sums, streams, step),
        };
        let before = sums.to_vec();
        AsPlanned.noise(network, grid, sums, streams, step)?;
        for (sum, before) in sums.iter_mut().flatten().zip(before.iter().flatten()) {
            *sum = before + share * (*sum - before);
        }
        Ok(())
    }

    fn divisor(&self, settings: &Settings, data: &Data) -> f64 {
        match self {
            Bug::PrivateDivisor => settings.sampling.rate() * data.rows() as f64,
            _ => AsPlanned.divisor(settings, data),
        }
    }
}

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
