//! The privacy plan: how much noise a run needs so that no dataset reveals more than its contract allows.
//!
//! One function makes it in the room (to run) and in every key service (to charge): same bytes, same plan. ε and δ are
//! asked by the job once for the run, metrics included; every dataset is charged with its own factor.

use schemas::pipeline::{Join, JoinKind, Training};
use schemas::privacy::{Clause, DatasetCharge, Mechanism, Plan};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Real;

use crate::accountant::{RdpVector, calibrate};
use crate::budget::{delta_atto, epsilon_micro, vector};
use crate::facts::{Facts, TableUse};
use crate::forms::ensure;
use crate::pipeline::{self, factors};
use crate::reals;

/// The plan of a run of this job:
///
/// 1. the pipeline is allowed ([`pipeline::decide`]);
/// 2. ε and δ asked lie within the clause of every dataset, and δ below 1/`public_rows`; the ε of a clause of level 0
///    is kept by law alone and refuses nothing here;
/// 3. σ is the smallest noise multiplier of three decimals, rounded up, with which training and metrics together cost
///    every dataset, at σ over its factor, at most the ε asked at the δ asked;
/// 4. the divisor of the noised sums is sample rate × N × training share, rounded down, where N is the smallest
///    `public_rows` of the datasets that bound the rows of the join: the first one and those of its inner joins. A left
///    join takes no row away, however small its table is.
/// 5. the margin of the clipping norm follows from the rows that a step may expect at most: the same with the largest of
///    these `public_rows`, for a provider vouches for its own count alone, and another's may be declared too small.
/// 6. a private step of a network expects no more rows than [`schemas::privacy::MOST_EXPECTED_ROWS`].
///
/// Where the training is not private, which every contract allows by then, there is no σ and no metrics: each dataset is
/// charged what no ε bounds.
pub fn plan(facts: &Facts<'_>) -> R<Plan> {
    let pipeline = pipeline::decide(facts)?;
    of(pipeline.join, pipeline.training, &facts.tables()?)
}

/// The plan of a rehearsal on samples, outside any room: the same rules and figures on terms that nobody has signed. No
/// ledger is charged and no contract is kept by it.
pub fn rehearsal(join: &Join, training: &Training, tables: &[TableUse<'_>]) -> R<Plan> {
    pipeline::rehearse(join, training, tables)?;
    of(join, training, tables)
}

fn of(join: &Join, training: &Training, uses: &[TableUse<'_>]) -> R<Plan> {
    let factors = factors(join);
    let largest = factors.iter().map(|(_, factor)| *factor).max().unwrap_or(1);
    let asked = if training.private { Some(Asked::of(training)?) } else { None };
    for (asked, used) in asked.iter().flat_map(|asked| uses.iter().map(move |used| (asked, used))) {
        within_clause(asked, used)?;
    }
    let noise = match &asked {
        Some(asked) => noise_multiplier(training, asked, largest)?,
        None => reals::from_units(0, 0).ok_or_else(|| internal("0 cannot be written"))?,
    };
    let factor = |used: &TableUse<'_>| {
        let found = factors.iter().find(|(handle, _)| *handle == used.job.handle);
        found.map(|(_, factor)| *factor).ok_or_else(|| internal("a dataset has no factor"))
    };
    let charges = uses.iter().map(|used| match &asked {
        Some(asked) => charge(training, asked, &noise, used, factor(used)?),
        None => Ok(unbounded(training, used, factor(used)?)),
    });
    let charges = charges.collect::<R<_>>()?;
    let counts = bounding(join, uses);
    let (expected, most) = (batch(training, counts.least)?, batch(training, counts.most)?);
    let plan = Plan {
        without_differential_privacy: !training.private,
        noise_multiplier: noise,
        sample_rate: training.sample_rate.clone(),
        steps: training.steps,
        most_expected_batch: Some(most).filter(|most| *most != expected),
        expected_batch: expected,
        metrics_noise_multiplier: training.metrics.as_ref().map(|metrics| metrics.noise_multiplier.clone()),
        curve: training.metrics.as_ref().and_then(|metrics| metrics.curve.clone()),
        loss: training.metrics.as_ref().and_then(|metrics| metrics.loss.clone()),
        charges,
    };
    plan.fits(&training.model)?;
    Ok(plan)
}

/// What a private training asks for.
struct Asked<'a> {
    epsilon: &'a Real,
    delta: &'a Real,
}

impl<'a> Asked<'a> {
    fn of(training: &'a Training) -> R<Asked<'a>> {
        let named = |real: &'a Option<Real>, field: &str| {
            let sentence = format!("A private training names its {field}.");
            real.as_ref().ok_or_else(|| Refusal::new(Code::EpsilonOutOfRange, sentence).at(field))
        };
        Ok(Asked { epsilon: named(&training.epsilon, "epsilon")?, delta: named(&training.delta, "delta")? })
    }
}

fn within_clause(asked: &Asked<'_>, used: &TableUse<'_>) -> R<()> {
    let Asked { epsilon, delta } = asked;
    let (id, clause) = (&used.job.dataset_id, &used.terms.privacy);
    ensure(!reals::is_zero(epsilon), Code::EpsilonOutOfRange, "epsilon", "ε must be above 0.")?;
    let sentence = format!("ε {epsilon} is asked, the contract grants {} of dataset {id}.", clause.epsilon);
    let within = clause.level == Clause::LEGAL_ONLY || reals::order(epsilon, &clause.epsilon).is_le();
    ensure(within, Code::EpsilonExceedsContract, "epsilon", sentence)?;
    ensure(!reals::is_zero(delta), Code::EpsilonOutOfRange, "delta", "δ must be above 0.")?;
    let sentence = format!("δ {delta} is asked, the contract grants {} of dataset {id}.", clause.delta);
    ensure(reals::order(delta, &clause.delta).is_le(), Code::DeltaTooLarge, "delta", sentence)?;
    let sentence = format!("δ {delta} is not below 1/{} of dataset {id}.", used.terms.public_rows);
    ensure(reals::is_below_one_over(delta, used.terms.public_rows), Code::DeltaTooLarge, "delta", sentence)
}

/// σ for the largest factor of the join; a smaller factor costs less at the same σ.
fn noise_multiplier(training: &Training, asked: &Asked<'_>, factor: u8) -> R<Real> {
    let metrics = vector(&metrics(training, factor)?)?;
    let delta = delta_atto(asked.delta)? as f64 * 1e-18;
    let (epsilon, rate) = (asked.epsilon.value(), training.sample_rate.value());
    calibrate(epsilon, delta, rate, training.steps, &metrics, f64::from(factor))
        .and_then(|noise| Real::rounded_up(noise, 3))
        .ok_or_else(|| {
            let sentence = "No amount of noise reaches the ε asked; noisier metrics or fewer steps might.";
            Refusal::new(Code::EpsilonOutOfRange, sentence).at("epsilon")
        })
}

/// What the run costs one dataset, at its factor; checked against what was asked once more.
fn charge(training: &Training, asked: &Asked<'_>, noise: &Real, used: &TableUse<'_>, factor: u8) -> R<DatasetCharge> {
    let mut mechanisms = vec![Mechanism::SampledGaussian {
        noise_multiplier: reals::over(noise, factor).ok_or_else(|| internal("σ cannot be divided"))?,
        sample_rate: training.sample_rate.clone(),
        steps: training.steps,
    }];
    mechanisms.extend(metrics(training, factor)?);
    let cost: RdpVector = vector(&mechanisms)?;
    let reached = cost.epsilon_micro(delta_atto(asked.delta)?) <= epsilon_micro(asked.epsilon)?;
    ensure(reached, Code::EpsilonExceedsContract, "epsilon", "The plan costs more than the ε asked.")?;
    // At the clause's δ, which is not below the one asked: so not above the ε asked.
    let epsilon_micro = cost.epsilon_micro(delta_atto(&used.terms.privacy.delta)?);
    Ok(charged(used, factor, mechanisms, epsilon_micro))
}

/// What a training without differential privacy costs one dataset: more than any ε.
fn unbounded(training: &Training, used: &TableUse<'_>, factor: u8) -> DatasetCharge {
    let mechanisms = vec![Mechanism::WithoutDifferentialPrivacy { steps: training.steps }];
    charged(used, factor, mechanisms, DatasetCharge::UNBOUNDED)
}

fn charged(used: &TableUse<'_>, factor: u8, mechanisms: Vec<Mechanism>, epsilon_micro: u64) -> DatasetCharge {
    DatasetCharge {
        dataset_id: used.job.dataset_id.clone(),
        version: used.job.version,
        family: used.terms.family.clone(),
        factor,
        level: used.terms.privacy.level,
        mechanisms,
        epsilon_micro,
        delta: used.terms.privacy.delta.clone(),
    }
}

/// The metrics' releases, after the training: a row lies in one cell of the confusion matrix, in one bin of the curve, and
/// adds at most the bound to the loss (sensitivity 1 each, in its own unit).
fn metrics(training: &Training, factor: u8) -> R<Vec<Mechanism>> {
    let Some(metrics) = &training.metrics else { return Ok(Vec::new()) };
    let curve = metrics.curve.as_ref().map(|curve| &curve.noise_multiplier);
    let loss = metrics.loss.as_ref().map(|loss| &loss.noise_multiplier);
    let released = [Some(&metrics.noise_multiplier), curve, loss].into_iter().flatten();
    released
        .map(|noise| {
            let noise_multiplier = reals::over(noise, factor);
            noise_multiplier
                .map(|noise_multiplier| Mechanism::Gaussian { noise_multiplier })
                .ok_or_else(|| internal("the metrics' noise cannot be divided"))
        })
        .collect()
}

/// How many rows a join may have, by the public counts.
struct Counts {
    least: u64,
    most: u64,
}

/// The smallest and the largest of the tables that bound the rows of the join or, where they are united, the sum of all.
fn bounding(join: &Join, uses: &[TableUse<'_>]) -> Counts {
    let count = |used: &TableUse<'_>| used.terms.public_rows;
    if join.steps.iter().any(|step| step.kind == JoinKind::Union) {
        let all = uses.iter().map(count).fold(0, u64::saturating_add);
        return Counts { least: all, most: all };
    }
    let beside = |handle: &str| join.steps.iter().any(|step| step.handle == handle && step.kind == JoinKind::Left);
    let counts = || uses.iter().filter(|used| !beside(&used.job.handle)).map(count);
    Counts { least: counts().min().unwrap_or(0), most: counts().max().unwrap_or(0) }
}

/// q · rows · training share in units of 10⁻⁶, rounded down; in whole numbers, so that everyone gets the same.
fn batch(training: &Training, rows: u64) -> R<Real> {
    let pico = reals::floor_units(&training.sample_rate, 12).unwrap_or(0);
    let product = u128::from(pico).checked_mul(u128::from(rows)).and_then(|p| p.checked_mul(training.train_ppm.into()));
    // 10^-12 of the rate times 10^-6 of the share, to 10^-6.
    let micro = product.map_or(0, |product| product / 1_000_000_000_000);
    let batch = reals::from_units(micro, 6).filter(|batch| !reals::is_zero(batch));
    batch.ok_or_else(|| pipeline::invalid("The expected batch is empty.").at("sample_rate"))
}

fn internal(what: &str) -> Refusal {
    Refusal::new(Code::Internal, format!("The plan could not be made: {what}."))
}
