//! DP-SGD with Poisson sampling and a fixed plan (Abadi et al. 2016).
//!
//! Every step draws its rows by Poisson sampling, sums their clipped gradients in physical chunks, adds noise once,
//! divides by a public constant and takes one plain SGD step. A step without rows does all of this too. Nothing here
//! looks at a loss, stops early or tells how many rows there were.

use schemas::R;
use schemas::pipeline::Training;
use schemas::privacy::Plan;
use tch::{Kind, Tensor};

use crate::fault::{Hush, internal};
use crate::model::Network;
use crate::noise::{Grid, PoissonSampling, Streams};
use crate::per_sample::{add_clipped, bound};
use crate::table::Rows;

/// Rows worked through at once; a logical batch may have many such chunks, and is never cut short.
pub const CHUNK: usize = 4_096;

/// The public constants of a training.
pub struct Settings {
    steps: u32,
    sampling: PoissonSampling,
    clip: f64,
    noise_multiplier: f64,
    expected_batch: f64,
    learning_rate: f64,
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
            learning_rate: training.learning_rate.value(),
        })
    }
}

/// Rows as tensors of single precision; a chunk is widened when it is taken.
pub struct Data {
    x: Tensor,
    y: Tensor,
    rows: usize,
}

impl Data {
    /// Copies rows of `features` features each; labels have one dimension more where a row has several.
    pub fn new(rows: &Rows, features: usize) -> R<Data> {
        let count = rows.features.len().checked_div(features).ok_or_else(|| internal("a row has features"))?;
        let shape = [count as i64, features as i64];
        let x = Tensor::f_from_slice(&rows.features).and_then(|x| x.f_reshape(shape)).hush()?;
        let y = Tensor::f_from_slice(&rows.labels).hush()?;
        let y = if rows.labels.len() == count { y } else { y.f_reshape([count as i64, -1]).hush()? };
        Ok(Data { x, y, rows: count })
    }

    /// How many rows there are: secret.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features and labels of some rows, in double precision.
    pub fn chunk(&self, rows: &[i64]) -> R<(Tensor, Tensor)> {
        let chosen = Tensor::f_from_slice(rows).hush()?;
        let take = |t: &Tensor| t.f_index_select(0, &chosen).and_then(|t| t.f_to_kind(Kind::Double)).hush();
        Ok((take(&self.x)?, take(&self.y)?))
    }
}

/// Trains for exactly the planned steps and returns how often noise was drawn, which the caller compares with them.
///
/// `after` learns the number of each step done.
pub fn train(
    network: &mut Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    mut after: impl FnMut(u32) -> R<()>,
) -> R<u32> {
    let grid = Grid::new(settings.noise_multiplier, settings.clip, network.coordinates())?;
    let mut noise_draws = 0;
    for step in 1..=settings.steps {
        let rows = settings.sampling.draw(data.rows, streams.sampling(step)?);
        let mut sums = clipped_sums(network, data, &rows, settings)?;
        add_noise(network, &grid, &mut sums, streams, step)?;
        noise_draws += 1;
        network.descend(&sums, settings.expected_batch, settings.learning_rate, step, settings.steps);
        after(step)?;
    }
    if noise_draws != settings.steps {
        return Err(internal("noise draws and steps differ"));
    }
    Ok(noise_draws)
}

/// The sum of the clipped gradients of the chosen rows, one vector per parameter.
fn clipped_sums(network: &Network, data: &Data, rows: &[i64], settings: &Settings) -> R<Vec<Vec<f64>>> {
    let leaves = network.leaves()?;
    let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
    let bound = bound(settings.clip, network.single(), settings.expected_batch);
    for chunk in network.chunks(rows) {
        let (x, y) = data.chunk(chunk)?;
        add_clipped(&leaves, &x, &y, bound, &mut sums)?;
    }
    Ok(sums)
}

/// One draw of the whole vector: every parameter from its own stream.
fn add_noise(network: &Network, grid: &Grid, sums: &mut [Vec<f64>], streams: &Streams, step: u32) -> R<()> {
    for (parameter, sum) in network.parameters.iter().zip(sums) {
        grid.add(sum, streams.noise(step, &parameter.name)?);
    }
    Ok(())
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
        let draws = train(&mut network, &data, settings, &Streams::new(&[seed; 32]), |step| {
            told.push(step);
            Ok(())
        });
        assert_eq!(told, (1..=settings.steps).collect::<Vec<_>>());
        (network, draws.unwrap())
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
        let sums = clipped_sums(&network, &data, &(0..rows as i64).collect::<Vec<_>>(), &settings).unwrap();
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
