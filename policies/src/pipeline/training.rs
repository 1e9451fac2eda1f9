//! The training of a pipeline: private, or allowed not to be; on permitted columns, within public bounds and sane limits.

use schemas::dataset::ColumnType;
use schemas::metrics::{MeanLoss, ScoreCurve};
use schemas::network::shape::Shapes;
use schemas::pipeline::{ColumnRef, Feature, FeatureForm, Join, JoinKind, Labels, Metrics, Model, Training};
use schemas::privacy::WITHOUT_PRIVACY;
use schemas::problem::{Code, R};
use schemas::text::Real;

use super::join::{everywhere, factors, principal_keys};
use super::{Tables, invalid};
use crate::forms::{count, ensure, text, unique};
use crate::output::MAX_MODEL;
use crate::reals;

/// Is this training allowed on this join?
pub(super) fn decide(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    if !training.private {
        without_privacy(training, tables)?;
    }
    principal(&training.principal, join, tables)?;
    trees(training)?;
    target(training, join, tables)?;
    features(training, join, tables)?;
    model(training)?;
    numbers(training)?;
    training.metrics.as_ref().map_or(Ok(()), |metrics| self::metrics(metrics, join))
}

/// Training without differential privacy: only where the contract of every dataset says so. It names no ε and no δ, for
/// nothing would keep them, and lets no figures out beside the model: they would be exact.
fn without_privacy(training: &Training, tables: &Tables<'_>) -> R<()> {
    let closed = tables.uses.iter().find(|used| !used.terms.privacy.allows_without_privacy());
    let id = closed.map_or("", |used| used.job.dataset_id.as_str());
    let sentence = format!("Dataset {id}: its contract does not allow training {WITHOUT_PRIVACY}.");
    ensure(closed.is_none(), Code::PipelineNotPrivate, "private", sentence)?;
    let sentence = "A training without differential privacy names no ε, no δ and no metrics.";
    for (absent, field) in [
        (training.epsilon.is_none(), "epsilon"),
        (training.delta.is_none(), "delta"),
        (training.metrics.is_none(), "metrics"),
    ] {
        ensure(absent, Code::NotPrivateForm, field, sentence)?;
    }
    Ok(())
}

/// The principal is the key that the tables are joined on, read from a table whose rows are always there: so a person's
/// part of the split never changes, and one row per person is kept.
fn principal(principal: &ColumnRef, join: &Join, tables: &Tables<'_>) -> R<()> {
    tables.join_key(principal).map_err(|refusal| refusal.at("principal"))?;
    let keys = principal_keys(join);
    let always = factors(join).iter().any(|(handle, factor)| *handle == principal.handle && *factor == 1);
    let united = join.steps.iter().find(|step| step.kind == JoinKind::Union);
    let joined_on = united.map_or(keys.is_empty() || keys.contains(&principal), |step| step.left == *principal);
    let sentence =
        format!("{principal} is not the key that the tables are joined on, in a table whose rows are always there.");
    ensure(joined_on && always, Code::PipelineJoinKey, "principal", sentence)
}

fn target(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let target = &training.target;
    for target in everywhere(target, join) {
        let permitted = tables.of(&target)?.terms.target_columns.contains(&target.column);
        ensure(permitted, Code::PipelineTarget, "target", format!("The contract does not allow the target {target}."))?;
    }
    let feature = training.features.iter().any(|feature| feature.column == *target);
    ensure(!feature, Code::PipelineTarget, "features", "The target may not be a feature.")?;
    let filtered = join.filters.iter().any(|filter| filter.column == *target);
    ensure(!filtered, Code::PipelineTarget, "target", "Rows may not be chosen by their target.")?;
    let aggregated = join.aggregates.iter().any(|aggregate| aggregate.column == *target);
    ensure(!aggregated, Code::PipelineTarget, "target", "The target is that of a person's first row.")?;
    projected(target, join)?;
    labels(training, join, tables)
}

/// Classes are a public list of the job; bounds and shapes are public too. None of it is taken from rows.
fn labels(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let refuse = |ok, sentence: &str| ensure(ok, Code::PipelineInvalid, "labels", sentence);
    let Some(labels) = &training.labels else {
        return text(&training.positive, 256, "positive").map_err(|refusal| invalid(refusal.sentence).at("positive"));
    };
    refuse(training.positive.is_empty(), "Only a binary target has a positive text.")?;
    let binary = training.metrics.is_none();
    refuse(binary, "Noised metrics are counts of two classes; other targets release none.")?;
    match labels {
        Labels::Classes { classes } => public_list(classes, 2, "labels"),
        Labels::Number { lower, upper } => {
            let target = everywhere(&training.target, join);
            target.iter().try_for_each(|column| bounds(column, ColumnType::Number, lower, upper, "labels", tables))
        }
        Labels::Mask { height, width, threshold_ppm } => {
            refuse(*threshold_ppm < 1_000_000, "The threshold of a mask lies below the full scale.")?;
            let sized = (1..=MAX_SIDE).contains(height) && (1..=MAX_SIDE).contains(width);
            refuse(sized, "A mask has 1 to 1024 rows and columns.")?;
            everywhere(&training.target, join).iter().try_for_each(|c| of_type(c, ColumnType::Image, "labels", tables))
        }
    }
}

/// The longest side of a picture.
const MAX_SIDE: u32 = 1_024;
/// Inputs of a model.
const MAX_INPUTS: usize = 1 << 20;

fn features(training: &Training, join: &Join, tables: &Tables<'_>) -> R<()> {
    let features = &training.features;
    count(features.len(), 512, "features")?;
    let once = unique(features.iter().map(|feature| &feature.column));
    ensure(once, Code::PipelineInvalid, "features", "A feature stands twice.")?;
    features.iter().try_for_each(|feature| self::feature(feature, join, tables))?;
    let sentence = "The features fill at most 1048576 inputs.";
    ensure(training.inputs() <= MAX_INPUTS, Code::LimitExceeded, "features", sentence)
}

fn feature(feature: &Feature, join: &Join, tables: &Tables<'_>) -> R<()> {
    let everywhere = everywhere(&feature.column, join);
    for column in &everywhere {
        let allowed = tables.of(column)?.terms.allowed_columns.contains(&column.column);
        let sentence = format!("The contract does not allow the column {column}.");
        ensure(allowed, Code::PipelineColumn, "features", sentence)?;
    }
    projected(&feature.column, join)?;
    let aggregated = join.aggregates.iter().any(|aggregate| aggregate.column == feature.column);
    let number = feature.form.is_none() || !aggregated;
    ensure(number, Code::PipelineInvalid, "features", "Only numbers are taken over several rows.")?;
    match &feature.form {
        Some(FeatureForm::Values { values }) => {
            public_list(values, 1, "features")?;
            let unit = feature.lower.value() == 0.0 && feature.upper.value() == 1.0;
            ensure(unit, Code::PipelineBounds, "features", "A list of values has the bounds 0 and 1.")?;
        }
        Some(FeatureForm::Image { channels, height, width }) => {
            let side = |side: &u32| (1..=MAX_SIDE).contains(side);
            let sized = matches!(channels, 1 | 3) && side(height) && side(width);
            let sentence = "A picture has 1 or 3 channels and 1 to 1024 rows and columns.";
            ensure(sized, Code::PipelineInvalid, "features", sentence)?;
        }
        None => {}
    }
    let (lower, upper) = (&feature.lower, &feature.upper);
    everywhere.iter().try_for_each(|column| match &feature.form {
        Some(FeatureForm::Values { .. }) => of_type(column, ColumnType::Text, "features", tables),
        Some(FeatureForm::Image { .. }) => bounds(column, ColumnType::Image, lower, upper, "features", tables),
        None => bounds(column, ColumnType::Number, lower, upper, "features", tables),
    })
}

/// Bounds clamp and scale; they are public only if they are those of the offer's schema.
fn bounds(column: &ColumnRef, kind: ColumnType, lower: &Real, upper: &Real, field: &str, tables: &Tables<'_>) -> R<()> {
    let schema = tables.of(column)?.columns.iter().find(|c| c.name == column.column && c.column_type == kind);
    let public = schema
        .and_then(|c| Some((c.lower.as_ref()?, c.upper.as_ref()?)))
        .is_some_and(|(l, u)| reals::order(l, lower).is_eq() && reals::order(u, upper).is_eq());
    let ordered = reals::order(lower, upper).is_lt();
    let sentence = format!("The bounds of {column} are not those of the offer's public schema.");
    ensure(public && ordered, Code::PipelineBounds, field, sentence)
}

fn of_type(column: &ColumnRef, kind: ColumnType, field: &str, tables: &Tables<'_>) -> R<()> {
    let found = tables.of(column)?.columns.iter().any(|c| c.name == column.column && c.column_type == kind);
    ensure(found, Code::PipelineInvalid, field, format!("{column} holds something else by the offer's public schema."))
}

/// A list that the job brings: what stands in rows has no part in it.
fn public_list(list: &[String], least: usize, field: &str) -> R<()> {
    let sized = (least..=1_024).contains(&list.len()) && list.iter().all(|entry| entry.len() <= 256);
    let sentence = format!("A list has {least} to 1024 entries of at most 256 bytes, each once.");
    ensure(sized && unique(list), Code::PipelineInvalid, field, sentence)
}

fn projected(column: &ColumnRef, join: &Join) -> R<()> {
    let given = join.projection.contains(column);
    ensure(given, Code::PipelineColumn, "projection", format!("The join does not give the column {column}."))
}

/// Trees read numbers and tell two classes apart.
fn trees(training: &Training) -> R<()> {
    let Model::Trees { trees } = &training.model else { return Ok(()) };
    let sentence = "Trees have depth 1 to 6, 1 to depth features each, a regularization from 0.001 to 10^6 and together \
                    at most 2^20 leaves.";
    ensure(trees.in_range(training.steps), Code::PipelineInvalid, "model", sentence)?;
    let formed = training.features.iter().any(|feature| feature.form.is_some());
    let plain = training.recipe.is_none() && training.labels.is_none() && training.weights.is_none() && !formed;
    let sentence = "Trees read numbers, tell two classes apart, and have no recipe and no weights.";
    ensure(plain, Code::PipelineInvalid, "model", sentence)
}

fn model(training: &Training) -> R<()> {
    match &training.model {
        Model::Trees { .. } => Ok(()),
        Model::Mlp { hidden } => {
            let sized = (1..=4).contains(&hidden.len()) && hidden.iter().all(|width| (1..=512).contains(width));
            ensure(sized, Code::PipelineInvalid, "model", "An mlp has 1 to 4 hidden layers of 1 to 512 units.")?;
            training.shapes().and_then(|shapes| leaves(training, &shapes))
        }
        Model::LogisticRegression | Model::Network { .. } => {
            training.shapes().and_then(|shapes| leaves(training, &shapes))
        }
    }
}

/// A model that would be too large to leave the room is refused before it is paid for: four bytes a number, adapters
/// included, and a line of the header for every tensor.
fn leaves(training: &Training, shapes: &Shapes) -> R<()> {
    let adapters = training.recipe.as_ref().and_then(|recipe| recipe.adapters.as_ref());
    let beside = |target: &String| {
        let weight = shapes.parameters.iter().find(|p| p.name.strip_suffix(".weight") == Some(target.as_str()));
        weight.map_or(0, |weight| weight.shape.iter().sum::<usize>() as u64)
    };
    let more = adapters.map_or(0, |a| a.targets.iter().map(beside).sum::<u64>().saturating_mul(a.rank.into()));
    let tensors = shapes.parameters.len() + adapters.map_or(0, |a| 2 * a.targets.len());
    let bytes = shapes.parameter_count.saturating_add(more).saturating_mul(4).saturating_add(256 * tensors as u64);
    let sentence = "The model would have more than 64 MiB and could not leave the room.";
    ensure(bytes <= MAX_MODEL as u64, Code::LimitExceeded, "model", sentence)
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
