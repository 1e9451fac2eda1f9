//! Training without differential privacy, for jobs that every dataset's contract allows it to.
//!
//! The same walk as [`crate::dpsgd`] and the same public figures: a fixed number of steps, rows drawn by Poisson sampling
//! from the run's seed, sums divided by the public expected batch, no stop that data decides. But no row is clipped and no
//! noise is drawn, so the model may repeat any row: nothing bounds what it reveals. It has no code in common with the
//! private walk but the sampling and the descent, so that neither can turn into the other by a figure; which of the two
//! is taken follows from the plan alone, and `ccr` lets out only what the plan says.

use schemas::R;
use schemas::worker::NoiseSampler;

use crate::dpsgd::{Data, Position, Settings, Trained};
use crate::fault::protocol;
use crate::model::Network;
use crate::noise::Streams;
use crate::per_sample::add_plain;

/// Trains from `begin` on for exactly the planned steps, without clipping and noise. `after` is shown the network after
/// each step.
///
/// # Errors
/// `WORKER_PROTOCOL` where `begin` is that of a private training; `WORKER_FAILED` where the tensor library gives up.
pub fn train(
    network: &mut Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    begin: Position,
    mut after: impl FnMut(&Network, Position) -> R<()>,
) -> R<Trained> {
    if begin.noise_draws != 0 {
        return Err(protocol("the checkpoint is of a private training"));
    }
    let mut at = begin;
    while at.step < settings.steps {
        at.step += 1;
        let mut sums = sums(network, data, settings, streams, at.step)?;
        // A sum that is no number moves nothing: what a row holds never ends a training.
        sums.iter_mut().flatten().filter(|sum| !sum.is_finite()).for_each(|sum| *sum = 0.0);
        network.descend(&sums, settings.expected_batch, settings.learning_rate, at.step, settings.steps);
        after(network, at)?;
    }
    Ok(Trained { noise_draws: 0, noise: NoiseSampler::WithoutNoise })
}

/// The plain gradient sums of the rows of a step, one vector per parameter.
pub(crate) fn sums(
    network: &Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    step: u32,
) -> R<Vec<Vec<f64>>> {
    let rows = settings.sampling.draw(data.rows(), streams.sampling(step)?);
    let leaves = network.leaves()?;
    let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
    for chunk in network.chunks(&rows) {
        let (x, y) = data.chunk(chunk)?;
        add_plain(&leaves, &x, &y, &mut sums)?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use schemas::digest::Digest;
    use schemas::pipeline::Model;
    use schemas::text::Real;
    use schemas::trees::Trees;
    use schemas::worker::{Outcome, Report, Resume, Start};

    use super::*;
    use crate::fixtures::{self, Served, real};
    use crate::table::Rows;

    /// A job that every contract allows to be without privacy.
    fn job(rows: usize) -> (Start, Vec<String>) {
        let (mut start, files) = fixtures::three_tables(rows);
        (start.training.private, start.plan.without_differential_privacy) = (false, true);
        (start.training.epsilon, start.training.delta, start.training.metrics) = (None, None, None);
        (start.plan.noise_multiplier, start.plan.metrics_noise_multiplier) = (Real::parse("0").unwrap(), None);
        (start, files)
    }

    fn done(served: &Served) -> &Outcome {
        let Some(Report::Done(outcome)) = served.reports.last() else { panic!("{:?}", served.reports) };
        outcome
    }

    fn trees() -> Model {
        let trees = Trees { depth: 3, features_per_tree: 2, regularization: real("20") };
        Model::Trees { trees }
    }

    #[test]
    fn a_job_is_trained_for_the_planned_steps_without_a_draw_of_noise() {
        for model in [Model::LogisticRegression, Model::Mlp { hidden: vec![8, 4] }, trees()] {
            let (mut start, files) = job(300);
            start.training.model = model;
            let served = fixtures::serve(&start, &files);
            let outcome = done(&served);
            assert_eq!((outcome.steps, outcome.noise_draws, &outcome.metrics), (30, 0, &None));
            assert_eq!(outcome.noise, NoiseSampler::WithoutNoise);
            assert_eq!(outcome.sha256, Digest::of(served.model.as_ref().unwrap()));
            assert_eq!(fixtures::serve(&start, &files), served, "sampling alone is drawn, from the seed");
        }
    }

    /// Without rows nothing moves: there is no noise in the weights.
    #[test]
    fn without_rows_the_weights_stay_where_they_began() {
        let (start, files) = job(0);
        let model = fixtures::serve(&start, &files).model.unwrap();
        let read = safetensors::SafeTensors::deserialize(&model).unwrap();
        assert!(read.tensors().iter().all(|(_, tensor)| tensor.data().iter().all(|byte| *byte == 0)));
    }

    /// One row at sample rate 1: the step is the plain gradient, however small the clipping norm.
    #[test]
    fn rows_are_not_clipped() {
        let (mut start, _) = job(1);
        (start.training.clipping_norm, start.plan.sample_rate) = (real("0.001"), real("1"));
        let settings = Settings { steps: 1, ..Settings::new(&start.plan, &start.training).unwrap() };
        let mut network = Network::new(&Model::LogisticRegression, 4, 0).unwrap();
        let data = Data::new(&Rows { features: vec![0.5; 4], labels: vec![1.0] }, 4).unwrap();
        train(&mut network, &data, &settings, &Streams::new(&[1; 32]), Position::default(), |_, _| Ok(())).unwrap();
        // At zero weights the gradient is −0.5 · (x, 1); the step divides by 48 and multiplies by 0.5.
        let step = 0.5 / settings.expected_batch * settings.learning_rate;
        let moved: Vec<f64> = network.parameters.iter().flat_map(|p| &p.values).copied().collect();
        assert!(moved[..4].iter().all(|w| (w - 0.5 * step).abs() < 1e-12) && (moved[4] - step).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_ends_nothing() {
        let (start, _) = job(1);
        let settings = Settings::new(&start.plan, &start.training).unwrap();
        let mut network = Network::new(&Model::LogisticRegression, 4, 0).unwrap();
        let data = Data::new(&Rows { features: vec![f32::NAN; 4 * 50], labels: vec![1.0; 50] }, 4).unwrap();
        let streams = Streams::new(&[1; 32]);
        let trained = train(&mut network, &data, &settings, &streams, Position::default(), |_, _| Ok(())).unwrap();
        assert_eq!(trained.noise_draws, 0);
        assert!(network.parameters.iter().flat_map(|p| &p.values).all(|value| value.is_finite()));
    }

    #[test]
    fn it_goes_on_from_its_own_checkpoint_and_from_no_private_one() {
        let (mut start, files) = job(300);
        let whole = fixtures::serve(&start, &files).model.unwrap();
        start.checkpoint_every = Some(11);
        let state = |start: &Start| {
            let frames = fixtures::raw(start, &files, None);
            let told = frames.iter().zip(&frames[1..]).find_map(|(report, state)| {
                let found = matches!(serde_json::from_slice(report), Ok(Report::Checkpoint { step: 22, .. }));
                found.then(|| state.clone())
            });
            told.unwrap()
        };
        let kept = state(&start);
        start.resume = Some(Resume { step: 22, bytes: kept.len() as u64 });
        assert_eq!(fixtures::raw(&start, &files, Some(&kept)).last().unwrap(), &whole);
        // The state of the private training has drawn noise, and is of another configuration besides.
        let (mut private, _) = fixtures::three_tables(300);
        private.checkpoint_every = Some(11);
        let foreign = state(&private);
        start.resume = Some(Resume { step: 22, bytes: foreign.len() as u64 });
        let frames = fixtures::raw(&start, &files, Some(&foreign));
        let last = serde_json::from_slice(frames.last().unwrap()).unwrap();
        assert!(matches!(last, Report::Failed { code, .. } if code == "WORKER_PROTOCOL"));
        let begin = Position { step: 22, noise_draws: 22 };
        let mut network = Network::new(&Model::LogisticRegression, 4, 0).unwrap();
        let data = Data::new(&Rows { features: vec![], labels: vec![] }, 4).unwrap();
        let settings = Settings::new(&start.plan, &start.training).unwrap();
        let refused = train(&mut network, &data, &settings, &Streams::new(&[1; 32]), begin, |_, _| Ok(()));
        assert_eq!(refused.unwrap_err().code.as_str(), "WORKER_PROTOCOL");
    }

    #[test]
    fn a_plan_of_one_kind_carries_no_training_of_the_other() {
        type Spoil = fn(&mut Start);
        let cases: [(&str, Spoil); 6] = [
            ("PIPELINE_NOT_PRIVATE", |s| s.plan.without_differential_privacy = false),
            ("PIPELINE_NOT_PRIVATE", |s| s.training.private = true),
            ("NOT_PRIVATE_FORM", |s| s.training.epsilon = Some(real("1"))),
            ("NOT_PRIVATE_FORM", |s| s.training.delta = Some(real("0.00001"))),
            ("NOT_PRIVATE_FORM", |s| {
                let (private, _) = fixtures::three_tables(1);
                s.training.metrics = private.training.metrics;
                s.plan.metrics_noise_multiplier = private.plan.metrics_noise_multiplier;
            }),
            ("WORKER_PROTOCOL", |s| s.plan.noise_multiplier = real("1.5")),
        ];
        for (at, (code, spoil)) in cases.into_iter().enumerate() {
            let (mut start, files) = job(20);
            spoil(&mut start);
            let served = fixtures::serve(&start, &files);
            let [Report::Failed { code: told, .. }] = &served.reports[..] else { panic!("{at}: {served:?}") };
            assert_eq!((told.as_str(), &served.model), (code, &None), "case {at}");
        }
    }
}
