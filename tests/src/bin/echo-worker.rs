//! A worker that speaks the protocol of `schemas::worker` and learns nothing: it takes the tables, counts the steps and
//! delivers a logistic regression whose weights are all zero. For tests of everything around the worker.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use schemas::Digest;
use schemas::worker::{NoisedMetrics, Outcome, Report, Start};

fn main() -> ExitCode {
    // It loads no library that would have to be measured.
    if std::env::args().nth(1).as_deref() == Some("--library-paths") {
        return ExitCode::SUCCESS;
    }
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let start: Start = serde_json::from_slice(&read(&mut input)?)?;
    for _ in &start.tables {
        read(&mut input)?;
    }
    let steps = start.plan.steps;
    say(&mut output, &Report::Ready {})?;
    for step in [steps / 2, steps] {
        say(&mut output, &Report::Progress { step, steps })?;
    }
    let model = zeroes(start.training.features.len());
    let metrics = start.plan.metrics_noise_multiplier.as_ref().map(|_| NoisedMetrics {
        true_positives: 1,
        false_positives: 1,
        true_negatives: 1,
        false_negatives: 1,
        accuracy_ppm: 500_000,
    });
    let (bytes, sha256) = (model.len() as u64, Digest::of(&model));
    say(
        &mut output,
        &Report::Done(Outcome { kind: "model".into(), bytes, sha256, steps, noise_draws: steps, metrics }),
    )?;
    write(&mut output, &model)
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

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn write(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&(bytes.len() as u32).to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

fn say(output: &mut impl Write, report: &Report) -> io::Result<()> {
    write(output, &serde_json::to_vec(report)?)
}
