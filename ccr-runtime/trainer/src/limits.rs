//! What a [`Start`] may ask for. Judged before any table is read, on public figures only.

use schemas::job::MOST_ROOMS;
use schemas::metrics::{MeanLoss, ScoreCurve};
use schemas::pipeline::{Model, Training};
use schemas::privacy::Plan;
use schemas::text::Real;
use schemas::worker::{Group, MAX_TABLE, Start};
use schemas::{Code, R, Refusal};

use crate::fault::{pipeline, protocol};

/// Tables of one job.
const MAX_TABLES: usize = 16;
/// All tables of one job together.
const MAX_TOTAL: u64 = 4 << 30;
/// Features of one job.
const MAX_FEATURES: usize = 4_096;
/// Steps of one job.
const MAX_STEPS: u32 = 1_000_000;

/// Refuses what the worker would not or could not execute as planned.
pub fn check(start: &Start) -> R<()> {
    if start.v != 1 {
        return Err(protocol("only version 1 of the protocol is known"));
    }
    tables(start)?;
    training(&start.training, &start.join.name)?;
    privacy(&start.plan, &start.training)?;
    plan(&start.plan, &start.training)?;
    if start.seed.0.0.len() != 32 {
        return Err(protocol("the seed has 32 bytes"));
    }
    if let Some(told) = &start.group {
        group(told, start)?;
    }
    if start.checkpoint_every == Some(0) || start.resume.as_ref().is_some_and(|r| r.step > start.plan.steps) {
        return Err(protocol("checkpoints lie between the first step and the last"));
    }
    Ok(())
}

/// A place that a group has; a group leaves no checkpoint and trains with privacy, by steps.
fn group(told: &Group, start: &Start) -> R<()> {
    if !(2..=MOST_ROOMS).contains(&told.size) || told.rank >= told.size || told.seconds == 0 {
        return Err(protocol("a group has 2 to 16 members, counted from 0"));
    }
    if start.checkpoint_every.is_some() || start.resume.is_some() {
        return Err(protocol("a group leaves no checkpoint"));
    }
    if start.plan.without_differential_privacy || matches!(start.training.model, Model::Trees { .. }) {
        return Err(pipeline("several workers train a network, with differential privacy"));
    }
    Ok(())
}

fn exceeded(sentence: &'static str) -> Refusal {
    Refusal::new(Code::LimitExceeded, sentence)
}

fn tables(start: &Start) -> R<()> {
    if start.tables.is_empty() || start.tables.len() > MAX_TABLES {
        return Err(exceeded("1 to 16 tables are allowed"));
    }
    let total = start.tables.iter().try_fold(0u64, |sum, t| sum.checked_add(t.bytes));
    if start.tables.iter().any(|t| t.bytes > MAX_TABLE as u64) || total.is_none_or(|sum| sum > MAX_TOTAL) {
        return Err(exceeded("a table may have 1 GiB, all together 4 GiB"));
    }
    Ok(())
}

fn training(training: &Training, join: &str) -> R<()> {
    if training.input != join {
        return Err(pipeline("the training does not read the join"));
    }
    if training.features.is_empty() || training.features.len() > MAX_FEATURES {
        return Err(exceeded("1 to 4096 features are allowed"));
    }
    if let Model::Mlp { hidden } = &training.model
        && (hidden.is_empty() || hidden.len() > 4 || hidden.iter().any(|width| !(1..=512).contains(width)))
    {
        return Err(exceeded("1 to 4 hidden layers of 1 to 512 are allowed"));
    }
    if let Model::Network { network } = &training.model {
        let shapes = network.shapes()?;
        if training.metrics.is_some() && shapes.output.numbers() != 1 {
            return Err(pipeline("noised metrics are those of a network with one output"));
        }
    }
    if matches!(training.model, Model::Trees { .. }) && training.weights.is_some() {
        return Err(pipeline("trees begin with no weights"));
    }
    if training.split_salt.0.len() != 32 || !(1..=1_000_000).contains(&training.train_ppm) {
        return Err(pipeline("the split needs a salt of 32 bytes and 1 to 1000000 parts per million"));
    }
    if !(positive(&training.clipping_norm) && positive(&training.learning_rate)) {
        return Err(pipeline("clipping norm and learning rate are above zero"));
    }
    Ok(())
}

/// The training is private or, where the plan says so, without differential privacy; never the one under a plan of the
/// other. Without it there is neither an ε nor a figure beside the model.
fn privacy(plan: &Plan, training: &Training) -> R<()> {
    if training.private == plan.without_differential_privacy {
        let sentence = "plan and training differ about differential privacy";
        return Err(Refusal::new(Code::PipelineNotPrivate, sentence));
    }
    if training.private {
        return Ok(());
    }
    if training.epsilon.is_some() || training.delta.is_some() || training.metrics.is_some() {
        let sentence = "a training without differential privacy names no ε, no δ and no metrics";
        return Err(Refusal::new(Code::NotPrivateForm, sentence));
    }
    if plan.noise_multiplier.value() != 0.0 {
        return Err(protocol("a training without differential privacy draws no noise"));
    }
    Ok(())
}

fn plan(plan: &Plan, training: &Training) -> R<()> {
    if plan.steps != training.steps || plan.sample_rate != training.sample_rate {
        return Err(protocol("plan and training differ in steps or sample rate"));
    }
    if plan.steps == 0 || plan.steps > MAX_STEPS {
        return Err(exceeded("1 to 1000000 steps are allowed"));
    }
    if plan.metrics_noise_multiplier.is_some() != training.metrics.is_some() {
        return Err(protocol("plan and training differ about metrics"));
    }
    plan.fits(&training.model)?;
    let asked = training.metrics.as_ref();
    if plan.curve != asked.and_then(|m| m.curve.clone()) || plan.loss != asked.and_then(|m| m.loss.clone()) {
        return Err(protocol("plan and training differ about metrics"));
    }
    if !plan.curve.as_ref().is_none_or(ScoreCurve::in_range) || !plan.loss.as_ref().is_none_or(MeanLoss::in_range) {
        return Err(protocol("the metrics' figures are out of range"));
    }
    let rate = plan.sample_rate.value();
    let noised = plan.without_differential_privacy || positive(&plan.noise_multiplier);
    let most = plan.most_expected();
    let expected = positive(&plan.expected_batch) && positive(most) && most.value() >= plan.expected_batch.value();
    if !(rate > 0.0 && rate <= 1.0 && expected && noised) {
        return Err(protocol("the plan's figures are out of range"));
    }
    Ok(())
}

fn positive(real: &Real) -> bool {
    (1e-9..=1e9).contains(&real.value())
}
