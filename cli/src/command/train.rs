use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::edge;
use depa::train::{self, LABEL, LocalForm, Quality};
use schemas::privacy::WITHOUT_PRIVACY;
use schemas::{Code, Digest, R, Refusal};
use serde_json::{Value, json};

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Train on samples here, with the trainer of the clean room and the plan that a run would have. No room, no
    /// contract, no charge: what comes of it is a rehearsal, and no guarantee to others.
    #[command(
        after_help = "The job is a form (TOML; `depa scenario new` writes examples) whose [training] is that of `depa job bundle`, or a\n\
                      signed job bundle (.json, with --trust). A table that is given with --table goes before the form's own file.\n\
                      private = false in the form trains without differential privacy, with a warning: no ε bounds what the model says.\n\n\
                      Examples:\n  depa train local --job job.toml --out model.safetensors\n  \
                      depa train local --job job.toml --table icmr=sample.csv --out model.safetensors --json\n  \
                      depa train local --job job.toml --weights weights.safetensors --fresh 6. --out model.safetensors\n  \
                      depa train local --job job.bundle.json --trust trust.json --table icmr=sample.csv --out model.safetensors"
    )]
    Local {
        /// The form, or a signed job bundle.
        #[arg(long, value_name = "FILE")]
        job: PathBuf,
        /// The file of a table; once per table.
        #[arg(long, value_name = "HANDLE=FILE")]
        table: Vec<String>,
        /// Begin with these weights (safetensors, F32), as a job with sealed weights does: those that the job names, or,
        /// where a form names none, any that fit.
        #[arg(long, value_name = "FILE")]
        weights: Option<PathBuf>,
        /// A prefix of parameters that --weights does not give, such as a new last layer; once per prefix.
        #[arg(long, value_name = "PREFIX", requires = "weights")]
        fresh: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
}

/// What a rehearsal may be told.
#[derive(clap::Args)]
pub struct Options {
    /// The model: a new file (safetensors).
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Inputs, outputs and labels of the held-out part, as JSON: a new file.
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Draw sampling and noise from this number, so that the same comes out again; drawn from the system if absent.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The trainer; else DEPA_TRAINER, else `ccr-trainer` beside this program.
    #[arg(long, value_name = "FILE")]
    pub trainer: Option<PathBuf>,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Local { job, table, weights, fresh, options } = verb;
    let files = table.iter().map(|text| pair(text)).collect::<R<BTreeMap<_, _>>>()?;
    let bundled = job.extension().is_some_and(|e| e == "json") && is_bundle(&job)?;
    let mut prepared = if bundled {
        train::prepare_bundle(&edge::read_json(&job)?, &global.trust()?, &files, edge::now())?
    } else {
        let form: LocalForm = edge::read_form(&job)?;
        train::prepare(&form, job.parent().unwrap_or(Path::new("")), &files)?
    };
    if let Some(file) = weights {
        prepared.begin_with(&file, fresh)?;
    }
    rehearse(&prepared, &options)
}

/// Trains a prepared rehearsal, looks at the held-out part, writes the model.
pub fn rehearse(prepared: &train::Prepared, options: &Options) -> R<Answer> {
    let trainer = trainer(options.trainer.as_deref())?;
    for path in [Some(&options.out), options.predictions.as_ref()].into_iter().flatten() {
        if path.exists() {
            return Err(edge::file_fault(path, "exists already and is not overwritten; choose another name"));
        }
    }
    say(LABEL);
    let plan = &prepared.plan;
    say(&plan_line(prepared));
    if plan.without_differential_privacy {
        say(
            "the model may repeat any row of these samples; a run is refused unless the contract of every dataset allows it",
        );
    }
    for (table, charge) in prepared.tables.iter().zip(&plan.charges) {
        say(&format!("{}: a run would pay {} (factor {})", table.handle, charge.words(), charge.factor));
    }
    let seed = match options.seed {
        Some(seed) => Digest::of(format!("depa train local: seed {seed}").as_bytes()).0,
        None => signing::signer::random()?,
    };
    let tenth = plan.steps.div_ceil(10).max(1);
    let mut told = 0;
    let rehearsed = train::run(prepared, &trainer, seed, &mut |step, steps| {
        if step / tenth > told || step == steps {
            told = step / tenth;
            let epsilon = train::epsilon_at(prepared, step).map(|e| format!(", ε so far {e:.3}")).unwrap_or_default();
            say(&format!("step {step} of {steps}{epsilon}"));
        }
    })?;
    edge::write_private(&options.out, &rehearsed.model)?;
    let quality = held_out(prepared, &rehearsed, &trainer.with_file_name("trainer-evaluate"), options)?;
    let mut document = json!({
        "label": LABEL, "model": options.out, "sha256": rehearsed.outcome.sha256, "bytes": rehearsed.outcome.bytes,
        "plan": plan, "noised_metrics": rehearsed.outcome.metrics, "held_out_exact_computed_here": quality,
    });
    if plan.without_differential_privacy {
        document["warning"] = WITHOUT_PRIVACY.into();
    }
    let text = format!(
        "{LABEL}\n{}\nwrote {} ({} bytes, sha256 {})\nheld out, exact, computed here: {}",
        plan_line(prepared),
        options.out.display(),
        rehearsed.outcome.bytes,
        rehearsed.outcome.sha256,
        quality.map_or("not looked at".into(), |quality| quality.words())
    );
    Ok(Answer::new(&document, text))
}

/// What the model is worth on the rows it was not trained on; none without the program that says so.
fn held_out(
    prepared: &train::Prepared,
    rehearsed: &train::Rehearsed,
    evaluator: &Path,
    options: &Options,
) -> R<Option<Quality>> {
    if !evaluator.exists() {
        say(&format!("the held-out part is not looked at: there is no {}", evaluator.display()));
        return Ok(None);
    }
    let evaluation = train::evaluate(prepared, &rehearsed.model, evaluator)?;
    if let Some(path) = &options.predictions {
        edge::write_json(path, &evaluation)?;
    }
    Ok(Some(Quality::of(&prepared.training, &evaluation)))
}

fn plan_line(prepared: &train::Prepared) -> String {
    let (plan, training) = (&prepared.plan, &prepared.training);
    let steps =
        format!("over {} steps at sample rate {}, divisor {}", plan.steps, plan.sample_rate, plan.expected_batch);
    match (&training.epsilon, &training.delta) {
        (Some(epsilon), Some(delta)) if !plan.without_differential_privacy => {
            format!("ε = {epsilon} at δ = {delta}: σ = {} {steps}", plan.noise_multiplier)
        }
        _ => format!("WARNING: {}: no ε bounds it; no noise, no clipping, {steps}", WITHOUT_PRIVACY.to_uppercase()),
    }
}

fn pair(text: &str) -> R<(String, PathBuf)> {
    match text.split_once('=') {
        Some((handle, file)) if !handle.is_empty() && !file.is_empty() => Ok((handle.to_owned(), file.into())),
        _ => Err(Refusal::new(Code::ConfigInvalid, format!("{text:?} is no table; write --table HANDLE=FILE"))),
    }
}

fn is_bundle(path: &Path) -> R<bool> {
    let value: Value = edge::read_json(path)?;
    Ok(value.get("contracts").is_some() && value.get("job").is_some())
}

/// Where the trainer is: as asked, else as the environment says, else beside this program.
fn trainer(asked: Option<&Path>) -> R<PathBuf> {
    let beside = || std::env::current_exe().ok().map(|path| path.with_file_name("ccr-trainer"));
    let found =
        asked.map(Path::to_path_buf).or_else(|| std::env::var_os("DEPA_TRAINER").map(PathBuf::from)).or_else(beside);
    let missing = |path: &Path| {
        let sentence = format!(
            "there is no trainer at {}; build it with `cargo build -p ccr-trainer`, or name it with --trainer or DEPA_TRAINER",
            path.display()
        );
        Refusal::new(Code::ConfigInvalid, sentence).at("trainer")
    };
    let path = found.unwrap_or_else(|| PathBuf::from("ccr-trainer"));
    // An absolute path: the trainer works in another folder.
    path.canonicalize().map_err(|_| missing(&path))
}
