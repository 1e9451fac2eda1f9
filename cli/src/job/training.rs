//! The training of a form, with bounds from the public schemas of its tables: for signed jobs and for rehearsals alike.

use schemas::dataset::{Column, ColumnType};
use schemas::pipeline::{ColumnRef, Feature, FeatureForm, Metrics, Training};
use schemas::text::{Bytes, Real};
use schemas::{Code, R, Refusal};

use super::form::{TrainingForm, column};
use super::{JOINED, TRAINED};

/// Principal and target of a form: what the join must give besides the features.
pub(crate) fn needed(wanted: &TrainingForm) -> R<[ColumnRef; 2]> {
    Ok([column(&wanted.principal)?, column(&wanted.target)?])
}

/// The training that a form asks for on a join that gives `projection`; `schemas` has the columns of each handle.
pub(crate) fn training(
    wanted: &TrainingForm,
    projection: &[ColumnRef],
    schemas: &[(&str, &[Column])],
    drawn_salt: &[u8; 32],
) -> R<Training> {
    let [principal, target] = needed(wanted)?;
    let features = features(wanted, projection, schemas, &[&principal, &target])?;
    Ok(Training {
        name: TRAINED.into(),
        input: JOINED.into(),
        private: wanted.private,
        model: wanted.model.clone(),
        features,
        target,
        positive: wanted.positive.clone(),
        principal,
        epsilon: wanted.epsilon.clone(),
        delta: wanted.delta.clone(),
        steps: wanted.steps,
        sample_rate: wanted.sample_rate.clone(),
        clipping_norm: wanted.clipping_norm.clone(),
        learning_rate: wanted.learning_rate.clone(),
        split_salt: wanted.split_salt.clone().unwrap_or_else(|| Bytes(drawn_salt.to_vec())),
        train_ppm: wanted.train_ppm,
        init_seed: wanted.init_seed,
        metrics: wanted.metrics_noise_multiplier.clone().map(|noise_multiplier| Metrics {
            noise_multiplier,
            curve: wanted.metrics_curve.clone(),
            loss: wanted.metrics_loss.clone(),
        }),
        recipe: wanted.recipe.clone(),
        labels: wanted.labels.clone(),
        weights: wanted.weights.clone(),
    })
}

/// The features of the form, or everything that has a number's public bounds or a form in the join, but principal and
/// target.
fn features(
    wanted: &TrainingForm,
    projection: &[ColumnRef],
    schemas: &[(&str, &[Column])],
    not: &[&ColumnRef],
) -> R<Vec<Feature>> {
    let feature = |c: &ColumnRef| {
        let (_, columns) = schemas.iter().find(|(handle, _)| *handle == c.handle)?;
        let schema = columns.iter().find(|s| s.name == c.column)?;
        let form = wanted.forms.get(&c.to_string()).cloned();
        let (lower, upper) = match (&form, schema.column_type) {
            // A list of values has 0 and 1 for bounds.
            (Some(FeatureForm::Values { .. }), _) => (Real::parse("0").ok()?, Real::parse("1").ok()?),
            (Some(_), _) | (None, ColumnType::Number) => (schema.lower.clone()?, schema.upper.clone()?),
            (None, _) => return None,
        };
        Some(Feature { column: c.clone(), lower, upper, form })
    };
    let Some(named) = &wanted.features else {
        return Ok(projection.iter().filter(|c| !not.contains(c)).filter_map(feature).collect());
    };
    let one = |text: &String| {
        let named = column(text)?;
        feature(&named).ok_or_else(|| {
            let sentence = format!("{named} has no public bounds in its offer; only bounded numbers are features");
            Refusal::new(Code::PipelineBounds, sentence).at("training.features")
        })
    };
    named.iter().map(one).collect()
}
