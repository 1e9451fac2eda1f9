//! DP-SGD with Poisson sampling and a fixed plan (Abadi et al. 2016).
//!
//! Every step draws its rows by Poisson sampling, sums their clipped gradients in physical chunks, adds noise once,
//! divides by a public constant and takes one plain SGD step. A step without rows does all of this too. Nothing here
//! looks at a loss, stops early or tells how many rows there were.
//!
//! A training may go on from a [`Position`]: since every draw follows from the seed, the configuration and the step, the
//! steps that come are the very steps that would have come.

use schemas::R;
use schemas::pipeline::Training;
use schemas::privacy::Plan;
use schemas::worker::NoiseSampler;
use tch::Tensor;

use crate::device::{self, Place};
use crate::engine::Adding;
use crate::fault::{Hush, internal};
use crate::model::Network;
use crate::noise::{Grid, PoissonSampling, Streams};
use crate::per_sample::{Clipping, add_clipped, bound};
use crate::shares;
use crate::table::Rows;

/// Rows worked through at once; a logical batch may have many such chunks, and is never cut short.
pub const CHUNK: usize = 4_096;

/// The public constants of a training.
#[derive(Clone)]
pub struct Settings {
    /// How many steps.
    pub steps: u32,
    /// Which rows enter one.
    pub sampling: PoissonSampling,
    /// The most that one row adds to a sum, as a norm.
    pub clip: f64,
    /// Noise standard deviation over `clip`.
    pub noise_multiplier: f64,
    /// What noised sums are divided by.
    pub expected_batch: f64,
    /// How many rows a step is expected to have at most: the margin of the clip follows from it.
    pub most_expected_batch: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

impl Settings {
    /// The constants of a plan that was judged.
    pub fn new(plan: &Plan, training: &Training) -> R<Settings> {
        Ok(Settings {
            steps: plan.steps,
            sampling: PoissonSampling::new(&plan.sample_rate)?,
            clip: training.clipping_norm.value(),
            noise_multiplier: plan.noise_multiplier.value(),
            expected_batch: plan.expected_batch.value(),
            most_expected_batch: plan.most_expected().value(),
            learning_rate: training.learning_rate.value(),
        })
    }
}

/// Rows as tensors of single precision; a network takes them in its own.
pub struct Data {
    x: Tensor,
    y: Tensor,
    rows: usize,
    place: Place,
}

impl Data {
    /// Copies rows of `features` features each; labels have one dimension more where a row has several.
    pub fn new(rows: &Rows, features: usize) -> R<Data> {
        let count = rows.features.len().checked_div(features).ok_or_else(|| internal("a row has features"))?;
        let shape = [count as i64, features as i64];
        let place = Place::default();
        let x = place.tensor(&rows.features).and_then(|x| x.f_reshape(shape)).hush()?;
        let y = place.tensor(&rows.labels).hush()?;
        let y = if rows.labels.len() == count { y } else { y.f_reshape([count as i64, -1]).hush()? };
        Ok(Data { x, y, rows: count, place })
    }

    /// The same with the rows of a step at another place than the machine's memory: all rows where they fit, else those
    /// of the step alone.
    pub fn on(self, place: Place) -> R<Data> {
        let all = place.keeps(self.x.numel().saturating_mul(size_of::<f32>()));
        let lay = |t: Tensor| if all { place.bring(&t).hush() } else { Ok(t) };
        Ok(Data { x: lay(self.x)?, y: lay(self.y)?, rows: self.rows, place })
    }

    /// The same rows, for another thread.
    pub(crate) fn again(&self) -> Data {
        Data { x: self.x.shallow_clone(), y: self.y.shallow_clone(), ..*self }
    }

    /// How many rows there are: secret.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features and labels of some rows.
    pub fn chunk(&self, rows: &[i64]) -> R<(Tensor, Tensor)> {
        let chosen = device::of(&self.x).tensor(rows).hush()?;
        let take = |t: &Tensor| self.place.bring(&t.f_index_select(0, &chosen)?);
        Ok((take(&self.x).hush()?, take(&self.y).hush()?))
    }
}

/// How far a training has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Steps done.
    pub step: u32,
    /// Draws of noise made.
    pub noise_draws: u32,
}

/// How a training ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trained {
    /// Draws of noise made: as many as there were steps.
    pub noise_draws: u32,
    /// What drew them.
    pub noise: NoiseSampler,
}

/// Trains from `begin` on for exactly the planned steps. `after` is shown the network after each step.
pub fn train(
    network: &mut Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    begin: Position,
    after: impl FnMut(&Network, Position) -> R<()>,
) -> R<Trained> {
    train_by(&AsPlanned, network, data, settings, streams, begin, after)
}

/// The same by other acts than the planned ones: audits do one of them wrongly, to see it found out.
pub(crate) fn train_by(
    acts: &dyn Acts,
    network: &mut Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    begin: Position,
    after: impl FnMut(&Network, Position) -> R<()>,
) -> R<Trained> {
    let grid = Grid::new(settings.noise_multiplier, settings.clip, network.coordinates())?;
    let step = |network: &mut Network, step| acts.step(network, data, settings, &grid, streams, step);
    let at = walk(network, settings.steps, begin, step, after)?;
    if at.noise_draws != settings.steps {
        return Err(internal("noise draws and steps differ"));
    }
    Ok(Trained { noise_draws: at.noise_draws, noise: grid.sampler() })
}

/// The frame of every training: from `begin` on the planned steps, no more and no less. `step` does one and tells how often
/// it drew noise; `after` is shown the network behind it.
pub(crate) fn walk(
    network: &mut Network,
    steps: u32,
    begin: Position,
    mut step: impl FnMut(&mut Network, u32) -> R<u32>,
    mut after: impl FnMut(&Network, Position) -> R<()>,
) -> R<Position> {
    let mut at = begin;
    while at.step < steps {
        at.step += 1;
        at.noise_draws += step(network, at.step)?;
        after(network, at)?;
    }
    Ok(at)
}

/// What one step is made of. Outside of audits there is one way to do it, [`AsPlanned`]: the provided methods.
pub(crate) trait Acts {
    /// One step; how often it drew noise.
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
        let mut sums = self.sums(network, data, &rows, settings)?;
        self.noise(network, grid, &mut sums, streams, step)?;
        let divisor = self.divisor(settings, data);
        network.descend(&sums, divisor, settings.learning_rate, step, settings.steps);
        Ok(1)
    }

    /// The rows of a step.
    fn rows(&self, settings: &Settings, data: &Data, streams: &Streams, step: u32) -> R<Vec<i64>> {
        Ok(settings.sampling.draw(data.rows, streams.sampling(step)?))
    }

    /// The sum of their clipped gradients.
    fn sums(&self, network: &Network, data: &Data, rows: &[i64], settings: &Settings) -> R<Vec<Vec<f64>>> {
        clipped_sums(network, data, rows, settings, 1)
    }

    /// One draw of the whole vector: every parameter from its own stream.
    fn noise(&self, network: &Network, grid: &Grid, sums: &mut [Vec<f64>], streams: &Streams, step: u32) -> R<()> {
        for (parameter, sum) in network.parameters.iter().zip(sums) {
            grid.add(sum, streams.noise(step, &parameter.name)?);
        }
        Ok(())
    }

    /// What the noised sum is divided by: a public constant.
    fn divisor(&self, settings: &Settings, _data: &Data) -> f64 {
        settings.expected_batch
    }
}

/// The steps as the plan wants them.
pub(crate) struct AsPlanned;

impl Acts for AsPlanned {}

/// The sum of the clipped gradients of the chosen rows, one vector per parameter, as one of so many rooms adds it up.
pub(crate) fn clipped_sums(
    network: &Network,
    data: &Data,
    rows: &[i64],
    settings: &Settings,
    rooms: u32,
) -> R<Vec<Vec<f64>>> {
    let bound = bound(settings.clip, network.single(), settings.most_expected_batch);
    let clipping = Clipping { bound, adding: Adding::of(rows.len(), rooms) };
    shares::sums(network, data, rows, |leaves, x, y, sums| add_clipped(leaves, x, y, clipping, sums))
}

#[cfg(test)]
mod tests {
    use schemas::text::Real;

    use super::*;
    use crate::fixtures;

    fn settings(rate: &str, noise: &str) -> Settings {
        let (mut start, _) = fixtures::three_tables(1);
        start.plan.sample_rate = Real::parse(rate).unwrap();
        start.plan.noise_multiplier = Real::parse(noise).unwrap();
        Settings::new(&start.plan, &start.training).unwrap()
    }

    fn trained(rows: usize, settings: &Settings, seed: u8) -> (Network, u32) {
        let (start, _) = fixtures::three_tables(1);
        let rows = Rows { features: vec![0.5; rows * 4], labels: vec![1.0; rows] };
        let mut network = Network::new(&start.training.model, 4, 0).unwrap();
        let data = Data::new(&rows, 4).unwrap();
        let mut told = Vec::new();
        let begin = Position::default();
        let trained = train(&mut network, &data, settings, &Streams::new(&[seed; 32]), begin, |_, at| {
            told.push(at.step);
            Ok(())
        });
        assert_eq!(told, (1..=settings.steps).collect::<Vec<_>>());
        (network, trained.unwrap().noise_draws)
    }

    #[test]
    fn a_training_that_goes_on_gives_the_same_bits() {
        let settings = settings("0.3", "1.0");
        let rows = Rows { features: (0..800).map(|i| (i % 17) as f32 / 17.0).collect(), labels: vec![1.0; 200] };
        let (data, streams) = (Data::new(&rows, 4).unwrap(), Streams::new(&[4; 32]));
        let (start, _) = fixtures::three_tables(1);
        let mut network = Network::new(&start.training.model, 4, 0).unwrap();
        let mut kept = vec![(network.clone(), Position::default())];
        let whole = train(&mut network, &data, &settings, &streams, Position::default(), |network, at| {
            kept.push((network.clone(), at));
            Ok(())
        });
        for (mut resumed, at) in kept {
            let trained = train(&mut resumed, &data, &settings, &streams, at, |_, _| Ok(())).unwrap();
            assert_eq!((&resumed, trained), (&network, whole.clone().unwrap()), "from step {}", at.step);
        }
        // A position that lacks a draw never ends well.
        let at = Position { step: 3, noise_draws: 2 };
        assert!(train(&mut network, &data, &settings, &streams, at, |_, _| Ok(())).is_err());
    }

    #[test]
    fn every_step_draws_noise_even_without_rows() {
        let settings = settings("0.3", "2.5");
        for rows in [0, 1, 200] {
            let (network, draws) = trained(rows, &settings, 1);
            assert_eq!(draws, settings.steps);
            assert!(network.parameters.iter().flat_map(|p| &p.values).all(|v| v.is_finite() && *v != 0.0));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
        let settings = settings("0.3", "1.0");
        assert_eq!(trained(300, &settings, 1), trained(300, &settings, 1));
        assert_ne!(trained(300, &settings, 1), trained(300, &settings, 2));
    }

    #[test]
    fn chunks_of_a_large_batch_add_up() {
        let (start, _) = fixtures::three_tables(1);
        let rows = 2 * CHUNK + 100;
        let data = Data::new(&Rows { features: vec![0.5; rows * 4], labels: vec![1.0; rows] }, 4).unwrap();
        let network = Network::new(&start.training.model, 4, 0).unwrap();
        let settings = Settings { clip: 10.0, ..settings("1", "1") };
        let sums = clipped_sums(&network, &data, &(0..rows as i64).collect::<Vec<_>>(), &settings, 1).unwrap();
        // With zero weights every row's gradient is −0.5 · (x, 1).
        assert!(sums[0].iter().all(|v| (v + 0.25 * rows as f64).abs() < 1e-6));
        assert!((sums[1][0] + 0.5 * rows as f64).abs() < 1e-6);
    }

    #[test]
    fn the_noise_of_a_step_has_the_planned_deviation() {
        // Without rows a weight is a sum of noise alone: steps · (σ C rate / batch)² is its variance.
        let settings = settings("0.1", "3.0");
        let mut squares = Vec::new();
        for seed in 0..60 {
            let (network, _) = trained(0, &settings, seed);
            squares.extend(network.parameters.iter().flat_map(|p| &p.values).map(|v| v * v));
        }
        let unit = settings.noise_multiplier * settings.clip * settings.learning_rate / settings.expected_batch;
        let expected = f64::from(settings.steps) * unit * unit;
        let ratio = squares.iter().sum::<f64>() / squares.len() as f64 / expected;
        assert!((ratio - 1.0).abs() < 0.3, "variance ratio {ratio}"); // 300 draws: SD 0.08
    }
}
