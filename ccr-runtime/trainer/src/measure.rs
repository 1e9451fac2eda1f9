//! Steps on random data, to be timed: private ones by [`crate::dpsgd`] itself, whose grid a training makes once, and plain
//! ones of the same network.

use chacha20::rand_core::Rng;
use schemas::network::{Input, Network as Description};
use schemas::pipeline::Model;
use schemas::recipe::{Loss, Optimizer, Recipe, Schedule};
use schemas::text::Real;
use schemas::worker::Device;
use schemas::{Digest, R};
use serde::Deserialize;

use crate::device::Place;
use crate::dpsgd::{Acts, AsPlanned, Data, Settings};
use crate::model::Network;
use crate::noise::{Grid, PoissonSampling, Streams};
use crate::plain;
use crate::table::Rows;

/// What is to be measured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The network; its last layer has one output for each class.
    pub network: Description,
    /// Rows of a step.
    pub batch: usize,
    /// Classes of the labels.
    pub classes: u32,
    /// Threads of a tensor operation.
    pub threads: i32,
    /// Which steps.
    pub mode: Mode,
    /// Where tensors lie.
    #[serde(default)]
    pub device: Device,
    /// At which rate rows are sampled, of so many that `batch` of them are expected: every step has another number of rows.
    /// 1 where it is left out: every step has the whole batch.
    #[serde(default = "whole")]
    pub rate: f64,
}

fn whole() -> f64 {
    1.0
}

/// Which steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Forward, backward, SGD.
    Plain,
    /// As the trainer does them: sampled, clipped, noised.
    Private,
}

/// A network in training on one batch of random rows.
pub struct Stepper {
    network: Network,
    data: Data,
    streams: Streams,
    mode: Mode,
    settings: Settings,
    grid: Grid,
    place: Place,
}

impl Stepper {
    /// A network with its initial weights.
    ///
    /// # Errors
    /// As [`Network::with`] and [`Place::choose`].
    pub fn new(order: &Order) -> R<Stepper> {
        let (zero, place) = (Real::parse("0")?, Place::choose(order.device)?);
        let recipe = Recipe {
            loss: Loss::CrossEntropy { classes: order.classes },
            optimizer: Optimizer::Sgd { momentum: zero.clone(), weight_decay: zero },
            schedule: Schedule::Constant {},
            frozen: vec![],
            adapters: None,
        };
        let (width, vocabulary) = size(&order.network.input);
        let model = Model::Network { network: order.network.clone() };
        let network = Network::with(&model, Some(&recipe), width, 1)?.on(place);
        let streams = Streams::new(&[7; 32]);
        let data = Data::new(&rows(order, width, vocabulary, &streams)?, width)?.on(place)?;
        let settings = Settings {
            steps: 0,
            sampling: PoissonSampling::new(&Real::parse(&order.rate.to_string())?)?,
            clip: 1.0,
            noise_multiplier: 1.0,
            expected_batch: order.batch as f64,
            most_expected_batch: order.batch as f64,
            learning_rate: 0.05,
        };
        let grid = Grid::new(settings.noise_multiplier, settings.clip, network.coordinates())?;
        Ok(Stepper { network, data, streams, mode: order.mode, settings, grid, place })
    }

    /// So many steps more.
    ///
    /// # Errors
    /// `WORKER_FAILED` where the tensor library gives up.
    pub fn take(&mut self, steps: u32) -> R<()> {
        let done = self.settings.steps;
        self.settings.steps += steps;
        let taken = (done..self.settings.steps).try_for_each(|done| match self.mode {
            Mode::Private => self.private(done + 1),
            Mode::Plain => self.plain(done + 1),
        });
        self.place.finish();
        taken
    }

    fn private(&mut self, step: u32) -> R<()> {
        let Stepper { network, data, streams, settings, grid, .. } = self;
        AsPlanned.step(network, data, settings, grid, streams, step).map(drop)
    }

    fn plain(&mut self, step: u32) -> R<()> {
        let Settings { expected_batch, learning_rate, steps, .. } = &self.settings;
        let sums = plain::sums(&self.network, &self.data, &self.settings, &self.streams, step)?;
        self.network.descend(&sums, *expected_batch, *learning_rate, step, *steps);
        Ok(())
    }

    /// A digest of all weights, bit by bit.
    pub fn digest(&self) -> Digest {
        let values = self.network.parameters.iter().flat_map(|parameter| &parameter.values);
        Digest::of(&values.flat_map(|value| value.to_bits().to_be_bytes()).collect::<Vec<u8>>())
    }
}

/// Numbers of one row, and for tokens how many different ones there are.
fn size(input: &Input) -> (usize, Option<u32>) {
    let (width, vocabulary) = match *input {
        Input::Vector { features } => (features, None),
        Input::Image { channels, height, width } => (channels * height * width, None),
        Input::Tokens { length, vocabulary } => (length, Some(vocabulary)),
        Input::Sequence { length, width } => (length * width, None),
    };
    (width as usize, vocabulary)
}

fn rows(order: &Order, width: usize, vocabulary: Option<u32>, streams: &Streams) -> R<Rows> {
    let mut stream = streams.init("rows")?;
    let mut below = |most: u32| ((u64::from(stream.next_u32()) * u64::from(most)) >> 32) as u32;
    let count = (order.batch as f64 / order.rate).round() as usize;
    let features = (0..count * width).map(|_| match vocabulary {
        Some(tokens) => below(tokens) as f32,
        None => below(1 << 20) as f32 / (1 << 18) as f32 - 2.0,
    });
    let features = features.collect();
    Ok(Rows { features, labels: (0..count).map(|_| below(order.classes) as f32).collect() })
}
