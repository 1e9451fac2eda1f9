//! The training of a pipeline: private, on permitted columns, within public bounds and sane limits.

use schemas::dataset::ColumnType;
use schemas::metrics::{MeanLoss, ScoreCurve};
use schemas::pipeline::{ColumnRef, Feature, Join, Metrics, Model, Training};
use schemas::problem::{Code, R};
use schemas::text::Real;

use super::join::{factors, principal_keys};
use super::{Tables, invalid};
use crate::forms::{count, ensure, text, unique};
use crate::reals;

/// Is this training allowed on this join?
pub(super) fn decide(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let sentence = "Training without differential privacy is not allowed by any contract.";
    ensure(training.private, Code::PipelineNotPrivate, "private", sentence)?;
    principal(&training.principal, join, tables)?;
    target(training, join, tables)?;
    let plain = training.labels.is_none() && training.features.iter().all(|feature| feature.form.is_none());
    ensure(plain, Code::PipelineInvalid, "features", "Pictures, lists and other labels are not judged yet.")?;
    features(training, join, tables)?;
    model(&training.model, training.steps)?;
    let sentence = "A recipe is for networks only.";
    ensure(training.recipe.is_none(), Code::PipelineInvalid, "recipe", sentence)?;
    numbers(training)?;
    training.metrics.as_ref().map_or(Ok(()), |metrics| self::metrics(metrics, join))
}

/// The principal is the key that the tables are joined on, read from a table whose rows are always there: so a person's
/// part of the split never changes, and one row per person is kept.
fn principal(principal: &ColumnRef, join: &Join, tables: &Tables<'_>) -> R<()> {
    tables.join_key(principal).map_err(|refusal| refusal.at("principal"))?;
    let keys = principal_keys(join);
    let always = factors(join).iter().any(|(handle, factor)| *handle == principal.handle && *factor == 1);
    let joined_on = keys.is_empty() || keys.contains(&principal);
    let sentence =
        format!("{principal} is not the key that the tables are joined on, in a table whose rows are always there.");
    ensure(joined_on && always, Code::PipelineJoinKey, "principal", sentence)
}

fn target(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let target = &training.target;
    let permitted = tables.of(target)?.terms.target_columns.contains(&target.column);
    ensure(permitted, Code::PipelineTarget, "target", format!("The contract does not allow the target {target}."))?;
    let feature = training.features.iter().any(|feature| feature.column == *target);
    ensure(!feature, Code::PipelineTarget, "features", "The target may not be a feature.")?;
    let filtered = join.filters.iter().any(|filter| filter.column == *target);
    ensure(!filtered, Code::PipelineTarget, "target", "Rows may not be chosen by their target.")?;
    projected(target, join)?;
    text(&training.positive, 256, "positive").map_err(|refusal| invalid(refusal.sentence).at("positive"))
}

fn features(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let features = &training.features;
    count(features.len(), 512, "features")?;
    let once = unique(features.iter().map(|feature| &feature.column));
    ensure(once, Code::PipelineInvalid, "features", "A feature stands twice.")?;
    features.iter().try_for_each(|feature| self::feature(feature, join, tables))
}

fn feature(feature: &Feature, join: &Join, tables: &Tables<'_>) -> R<()> {
    let (column, used) = (&feature.column, tables.of(&feature.column)?);
    let allowed = used.terms.allowed_columns.contains(&column.column);
    ensure(allowed, Code::PipelineColumn, "features", format!("The contract does not allow the column {column}."))?;
    projected(column, join)?;
    // Bounds clamp and scale; they are public only if they are those of the offer's schema.
    let schema = used.columns.iter().find(|c| c.name == column.column && c.column_type == ColumnType::Number);
    let public = schema.and_then(|c| Some((c.lower.as_ref()?, c.upper.as_ref()?))).is_some_and(|(lower, upper)| {
        reals::order(lower, &feature.lower).is_eq() && reals::order(upper, &feature.upper).is_eq()
    });
    let ordered = reals::order(&feature.lower, &feature.upper).is_lt();
    let sentence = format!("The bounds of {column} are not those of the offer's public schema.");
    ensure(public && ordered, Code::PipelineBounds, "features", sentence)
}

fn projected(column: &ColumnRef, join: &Join) -> R<()> {
    let given = join.projection.contains(column);
    ensure(given, Code::PipelineColumn, "projection", format!("The join does not give the column {column}."))
}

fn model(model: &Model, steps: u32) -> R<()> {
    match model {
        Model::LogisticRegression => Ok(()),
        Model::Mlp { hidden } => {
            let sized = (1..=4).contains(&hidden.len()) && hidden.iter().all(|width| (1..=512).contains(width));
            ensure(sized, Code::PipelineInvalid, "model", "An mlp has 1 to 4 hidden layers of 1 to 512 units.")
        }
        Model::Trees { trees } => {
            let sentence = "Trees have depth 1 to 6, 1 to depth features each, a regularization from 0.001 to 10^6 and \
                            together at most 2^20 leaves.";
            ensure(trees.in_range(steps), Code::PipelineInvalid, "model", sentence)
        }
        Model::Network { .. } => Err(invalid("Networks are not judged yet.").at("model")),
    }
}

fn numbers(training: &Training) -> R<()> {
    let refuse = |ok, field: &str, sentence: &str| ensure(ok, Code::PipelineInvalid, field, sentence);
    refuse((1..=100_000).contains(&training.steps), "steps", "A training has 1 to 100000 steps.")?;
    let rate = at_least_pico(&training.sample_rate) && training.sample_rate.value() <= 1.0;
    refuse(rate, "sample_rate", "The sample rate lies above 0 and at most at 1.")?;
    for (real, field) in [(&training.clipping_norm, "clipping_norm"), (&training.learning_rate, "learning_rate")] {
        let sane = reals::floor_units(real, 9).is_some_and(|nano| (1..=1_000_000_000_000).contains(&nano));
        refuse(sane && real.value() <= 1e3, field, "Clipping norm and learning rate lie above 0 and at most at 1000.")?;
    }
    refuse(training.split_salt.0.len() == 32, "split_salt", "The public salt of the split has 32 bytes.")?;
    let share = (1..=999_999).contains(&training.train_ppm);
    refuse(share, "train_ppm", "The training part has 1 to 999999 parts per million.")
}

/// Metrics are noised sums of sensitivity 1 in their own units; a noise multiplier below 1, after the largest factor of
/// the join, would be a release in name only.
fn metrics(metrics: &Metrics, join: &Join) -> R<()> {
    let largest = factors(join).into_iter().map(|(_, factor)| factor).max().unwrap_or(1);
    let released = [
        (Some(&metrics.noise_multiplier), 1e6, "metrics.noise_multiplier"),
        (metrics.curve.as_ref().map(|curve| &curve.noise_multiplier), 1e6, "metrics.curve.noise_multiplier"),
        (metrics.loss.as_ref().map(|loss| &loss.noise_multiplier), 3e4, "metrics.loss.noise_multiplier"),
    ];
    for (noise, most, field) in released {
        let noise = noise.map(|noise| reals::over(noise, largest));
        let sane = noise.is_none_or(|noise| noise.is_some_and(|noise| (1.0..=most).contains(&noise.value())));
        let sentence = "The noise multiplier of a metric, over the join's largest factor, lies between 1 and 10^6, of the \
                        loss 30000.";
        ensure(sane, Code::PipelineInvalid, field, sentence)?;
    }
    let curve = metrics.curve.as_ref().is_none_or(ScoreCurve::in_range);
    let sentence = "A curve has 2 to 256 bins and a range from 0.001 to 1000.";
    ensure(curve, Code::PipelineInvalid, "metrics.curve", sentence)?;
    let loss = metrics.loss.as_ref().is_none_or(MeanLoss::in_range);
    ensure(loss, Code::PipelineInvalid, "metrics.loss", "The bound of a loss lies between 0.001 and 1000.")
}

fn at_least_pico(real: &Real) -> bool {
    reals::floor_units(real, 12).is_some_and(|pico| pico >= 1)
}
