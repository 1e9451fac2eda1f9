//! A worker that speaks the protocol of `schemas::worker` and learns nothing: it takes the tables, counts the steps and
//! delivers a logistic regression whose weights are all zero. For tests of everything around the worker.

use std::io::{self, Write};
use std::process::ExitCode;

use house_tests::{say, worker, write};
use schemas::Digest;
use schemas::worker::{NoiseSampler, NoisedMetrics, Outcome, Report, Start};

fn main() -> ExitCode {
    worker(work)
}

fn work(start: &Start, output: &mut dyn Write) -> io::Result<()> {
    let (steps, private) = (start.plan.steps, !start.plan.without_differential_privacy);
    say(output, &Report::Ready {})?;
    for step in [steps / 2, steps] {
        say(output, &Report::Progress { step, steps })?;
    }
    let model = zeroes(start.training.features.len());
    let metrics = start.plan.metrics_noise_multiplier.as_ref().map(|_| NoisedMetrics {
        true_positives: 1,
        false_positives: 1,
        true_negatives: 1,
        false_negatives: 1,
        accuracy_ppm: 500_000,
        curve: None,
        loss: None,
    });
    let (bytes, sha256) = (model.len() as u64, Digest::of(&model));
    let outcome = Outcome {
        kind: "model".into(),
        bytes,
        sha256,
        steps,
        noise_draws: if private { steps } else { 0 },
        configuration: start.configuration().map_err(|_| io::Error::other("no configuration"))?,
        noise: if private { NoiseSampler::DiscreteGaussian } else { NoiseSampler::WithoutNoise },
        metrics,
    };
    say(output, &Report::Done(outcome))?;
    write(output, &model)
}

/// One linear layer in safetensors, all zero.
fn zeroes(features: usize) -> Vec<u8> {
    let end = 4 + 4 * features;
    let header = format!(
        r#"{{"0.bias":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"0.weight":{{"dtype":"F32","shape":[1,{features}],"data_offsets":[4,{end}]}}}}"#
    );
    let padded = header.len().next_multiple_of(8);
    let mut model = (padded as u64).to_le_bytes().to_vec();
    model.extend(format!("{header:padded$}").bytes());
    model.extend(std::iter::repeat_n(0, end));
    model
}
