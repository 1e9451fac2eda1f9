//! Training without differential privacy, for jobs that every dataset's contract allows it to.
//!
//! The same frame as [`crate::dpsgd`] and the same public figures: a fixed number of steps, rows drawn by Poisson sampling
//! from the run's seed, sums divided by the public expected batch, no stop that data decides. But no row is clipped and no
//! noise is drawn, so the model may repeat any row: nothing bounds what it reveals. What a step does is written here for
//! itself, so that neither training can turn into the other by a figure; which of the two is taken follows from the plan
//! alone, and `ccr` lets out only what the plan says.

use schemas::worker::NoiseSampler;
use schemas::{Code, R, Refusal};

use crate::dpsgd::{Data, Position, Settings, Trained, walk};
use crate::fault::protocol;
use crate::model::{MOST_WEIGHT, Network};
use crate::noise::Streams;
use crate::per_sample::add_plain;
use crate::shares;

/// Trains from `begin` on for exactly the planned steps, without clipping and noise. `after` is shown the network after
/// each step.
///
/// A sum that is no number moves nothing. Whether the training diverged is looked at behind the last step alone, so that
/// all that is said before is the same either way.
///
/// # Errors
/// `WORKER_PROTOCOL` where `begin` is that of a private training; `WORKER_FAILED` where the tensor library gives up;
/// `TRAINING_DIVERGED` where a weight ends at [`MOST_WEIGHT`], or the last sums are no numbers.
pub fn train(
    network: &mut Network,
    data: &Data,
    settings: &Settings,
    streams: &Streams,
    begin: Position,
    after: impl FnMut(&Network, Position) -> R<()>,
) -> R<Trained> {
    if begin.noise_draws != 0 {
        return Err(protocol("the checkpoint is of a private training"));
    }
    let mut sound = true;
    let step = |network: &mut Network, step: u32| {
        let mut sums = sums(network, data, settings, streams, step)?;
        sound = sums.iter().flatten().all(|sum| sum.is_finite());
        sums.iter_mut().flatten().filter(|sum| !sum.is_finite()).for_each(|sum| *sum = 0.0);
        network.descend(&sums, settings.expected_batch, settings.learning_rate, step, settings.steps);
        Ok(0)
    };
    let at = walk(network, settings.steps, begin, step, after)?;
    let within = |weight: &f64| weight.abs() < MOST_WEIGHT;
    if !sound || !network.parameters.iter().flat_map(|parameter| &parameter.values).all(within) {
        let sentence = "the training diverged: smaller steps may help";
        return Err(Refusal::new(Code::TrainingDiverged, sentence));
    }
    Ok(Trained { noise_draws: at.noise_draws, noise: NoiseSampler::WithoutNoise })
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
    shares::sums(network, data, &rows, add_plain)
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

    /// However it diverges, all planned steps are told of first, and then the same words.
    #[test]
    fn a_training_that_diverges_ends_in_one_sentence() {
        let told = |rows: usize, rate: &str| {
            let (mut start, files) = job(rows);
            start.training.learning_rate = real(rate);
            fixtures::serve(&start, &files)
        };
        assert!(told(300, "0.5").model.is_some());
        let (few, many) = (told(200, "1000000000"), told(300, "1000000000"));
        assert_eq!(few, many);
        assert_eq!((few.reports.len(), &few.model), (32, &None), "ready, thirty steps, the failure");
        let Some(Report::Failed { code, sentence }) = few.reports.last() else { panic!("{few:?}") };
        assert_eq!(code, "TRAINING_DIVERGED");
        assert!(!sentence.contains(|c: char| c.is_ascii_digit()));
    }

    #[test]
    fn infinities_behind_many_layers_end_it_too_and_no_step_before() {
        let layer = r#"{"op":"linear","inputs":1,"outputs":1,"bias":false}"#;
        let text = format!(r#"{{"input":{{"kind":"vector","features":1}},"layers":[{}]}}"#, [layer; 12].join(","));
        let (start, _) = job(1);
        let settings = Settings { learning_rate: 1e-9, ..Settings::new(&start.plan, &start.training).unwrap() };
        let mut network =
            Network::new(&Model::Network { network: serde_json::from_str(&text).unwrap() }, 1, 0).unwrap();
        network.parameters.iter_mut().flat_map(|p| &mut p.values).for_each(|w| *w = 9_999.0);
        let data = Data::new(&Rows { features: vec![1.0; 50], labels: vec![0.0; 50] }, 1).unwrap();
        let mut steps = Vec::new();
        let ended =
            train(&mut network, &data, &settings, &Streams::new(&[1; 32]), Position::default(), |network, at| {
                assert!(network.parameters.iter().flat_map(|p| &p.values).all(|w| *w == 9_999.0));
                steps.push(at.step);
                Ok(())
            });
        assert_eq!(ended.unwrap_err().code, Code::TrainingDiverged);
        assert_eq!(steps, (1..=settings.steps).collect::<Vec<_>>());
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
