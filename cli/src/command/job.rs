use std::path::PathBuf;

use clap::Subcommand;
use depa::job::{self, Drawn, Estimate};
use depa::payment::amount;
use depa::{contract, edge};
use schemas::R;
use schemas::privacy::WITHOUT_PRIVACY;
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Make a signed job of a form. Its SQL is parsed once, here, into a typed join; every rule that room and key
    /// services apply is asked first, and what a run would cost is shown.
    #[command(
        after_help = "The SQL: SELECT columns | * FROM t [AS] a [LEFT] JOIN u [AS] b ON a.k = b.k … [WHERE a.c = 'x' AND a.n >= 18]\n\
                            Table names are those of [tables] in the form. = and <> compare text, the others numbers.\n\
                            private = false trains without differential privacy, where every dataset's contract allows it: leave out\n\
                            epsilon, delta and metrics.\n\n\
                            Examples:\n  depa job bundle job.toml --out job.bundle.json --key tdc.key --trust trust.json --registry URL\n  \
                            depa job bundle job.toml --weights weights.json --out job.bundle.json --key tdc.key --trust trust.json --registry URL\n  \
                            depa job bundle job.toml --dry-run --key tdc.key --trust trust.json --registry URL"
    )]
    Bundle {
        /// The form (TOML, or JSON).
        form: PathBuf,
        /// The bundle: a new file.
        #[arg(long, required_unless_present = "dry_run")]
        out: Option<PathBuf>,
        /// The record of `depa model seal`: the weights that the training begins with.
        #[arg(long, value_name = "FILE")]
        weights: Option<PathBuf>,
        /// Only judge the job and show its cost.
        #[arg(long)]
        dry_run: bool,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Bundle { form, out, weights, dry_run } = verb;
    let mut form: job::JobForm = edge::read_form(&form)?;
    if let Some(record) = weights {
        form.training.weights = Some(edge::read_json(&record)?);
    }
    let ((desk, key), trust) = (global.desk_as()?, global.trust()?);
    let contracts = form.contracts.iter().map(|id| contract::bundle(&desk, id)).collect::<R<Vec<_>>>()?;
    let list = signing::verify(desk.status_list()?, &trust.registry, &trust)?;
    let states = job::states(&list, &contracts)?;
    let prepared = job::bundle(&form, &contracts, &states, &key, &trust, &Drawn::fresh()?, edge::now())?;
    let sha256 = prepared.bundle.job.digest();
    if let (Some(out), false) = (&out, dry_run) {
        edge::write_json(out, &prepared.bundle)?;
        say(&format!("wrote {}; order it with depa run start", out.display()));
    }
    Ok(Answer::new(
        &json!({"job_sha256": sha256, "estimate": prepared.estimate}),
        format!("job {sha256}\n{}", cost(&prepared.estimate)),
    ))
}

/// What a run would cost, in words.
pub fn cost(estimate: &Estimate) -> String {
    let plan = &estimate.plan;
    let noise = if plan.without_differential_privacy {
        format!("TRAINING {}: no noise, no clipping", WITHOUT_PRIVACY.to_uppercase())
    } else {
        format!("σ = {}", plan.noise_multiplier)
    };
    let mut lines = vec![format!(
        "{noise} over {} steps at sample rate {}, divisor {}",
        plan.steps, plan.sample_rate, plan.expected_batch
    )];
    if let Some(metrics) = &plan.metrics_noise_multiplier {
        lines.push(format!("metrics leave the room with noise {metrics} on each count"));
        let curve =
            plan.curve.as_ref().map(|curve| format!("a curve, with noise {} on each count", curve.noise_multiplier));
        let loss = plan
            .loss
            .as_ref()
            .map(|loss| format!("a mean loss, with noise {} times {}", loss.noise_multiplier, loss.bound));
        lines.extend([curve, loss].into_iter().flatten());
    }
    for charge in &plan.charges {
        lines.push(format!("{} pays {} (factor {})", charge.dataset_id, charge.words(), charge.factor));
    }
    for term in &estimate.terms {
        let money = |minor: Option<schemas::money::Minor>| {
            minor.map_or("unknown beforehand".to_owned(), |minor| amount(minor, term.currency))
        };
        let when = match (term.blocked_first, term.owed_if_failed) {
            (true, _) => ", blocked before the room checks in",
            (false, true) => ", also if the run fails once it has its keys",
            (false, false) => "",
        };
        let (expected, most) = (money(term.expected_minor), money(term.most_minor));
        lines.push(format!("term {} costs {expected}, at most {most}, with tax{when}", term.term_id));
    }
    for due in &estimate.payments {
        lines.push(format!("a completed run owes {} to {}", amount(due.amount_minor, due.currency), due.payee));
    }
    lines.push("the privacy charge is final once keys are released; it comes back only if the room reports an abort before the first step".into());
    lines.join("\n")
}
