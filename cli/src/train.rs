//! Rehearsals: the trainer of the clean room on samples, outside any room.
//!
//! The same program, the same protocol, the same plan as in a run; but nobody attested to anything, nothing was charged,
//! and who has the seed could take the noise away. What comes of it is labelled [`LABEL`].

mod evaluate;
pub mod form;
mod pipe;
pub mod quality;
mod terms;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use policies::accountant::{Event, RdpVector};
use schemas::bundle::JobBundle;
use schemas::pipeline::{Join, Stage, Training};
use schemas::privacy::{Mechanism, Plan};
use schemas::text::Bytes;
use schemas::weights::Weights;
use schemas::worker::{Device, Outcome, SeedBytes, Start, TableFormat, TableHead};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use signing::Trust;
use zeroize::Zeroizing;

pub use evaluate::Evaluation;
pub use form::LocalForm;
pub use quality::Quality;

use crate::job::{join, training};
use crate::{edge, sql};

/// What stands on everything that a rehearsal gives.
pub const LABEL: &str = "local, no room, no guarantee to others";

/// A rehearsal, judged and planned, with its tables read.
pub struct Prepared {
    /// The join.
    pub join: Join,
    /// The training.
    pub training: Training,
    /// The plan, made by the function of room and key services.
    pub plan: Plan,
    /// The tables by handle.
    pub tables: Vec<Sample>,
    /// The weights that it begins with, where it names any.
    weights: Option<Zeroizing<Vec<u8>>>,
}

impl Prepared {
    /// Begins with the weights of a file: those that the training names, or, where it names none, these, with prefixes of
    /// parameters that they do not give.
    pub fn begin_with(&mut self, file: &Path, fresh: Vec<String>) -> R<()> {
        let weights = crate::weights::read(file)?;
        match &self.training.weights {
            Some(named) if fresh.is_empty() => named.expect(&weights)?,
            Some(_) => {
                let sentence = "the job says itself which parameters are fresh; leave --fresh out";
                return Err(Refusal::new(Code::ConfigInvalid, sentence).at("fresh"));
            }
            None => {
                self.training.weights = Some(Weights { sha256: Digest::of(&weights), fresh, sealed: None });
                self.training.shapes()?;
            }
        }
        self.weights = Some(weights);
        Ok(())
    }
}

/// A table of a rehearsal.
pub struct Sample {
    /// Its handle in the join.
    pub handle: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The form of the bytes.
    pub format: TableFormat,
    /// The described columns, as they would be sealed.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The public count of its description or offer.
    pub public_rows: u64,
}

/// A model that was rehearsed.
pub struct Rehearsed {
    /// The worker's words.
    pub outcome: Outcome,
    /// The model in safetensors.
    pub model: Zeroizing<Vec<u8>>,
}

/// Judges and plans the rehearsal of a form. Paths in the form are relative to `base`; `files` go before them, by table.
pub fn prepare(form: &LocalForm, base: &Path, files: &BTreeMap<String, PathBuf>) -> R<Prepared> {
    let mut terms = BTreeMap::new();
    for (place, (name, table)) in form.tables.iter().enumerate() {
        let description = edge::read_form(&base.join(&table.description))?;
        terms.insert(name.as_str(), terms::Terms::new(place, description, form.training.private)?);
    }
    let tables: Vec<_> = terms.iter().map(|(name, terms)| terms.sql_table(name)).collect();
    let needed = training::needed(&form.training)?;
    let sql::Parsed { join, tables: names } = join::join(form.sql.as_deref(), &form.union, &tables, &needed)?;
    let of = |name: &str| terms.get(name).ok_or_else(|| unknown(name, form.tables.keys()));
    let named = names.iter().map(|(handle, name)| Ok((handle.as_str(), of(name)?))).collect::<R<Vec<_>>>()?;
    let schemas: Vec<_> = named.iter().map(|(handle, terms)| (*handle, terms.columns.as_slice())).collect();
    let salt = Digest::of(b"depa train local: split").0;
    let training = training::training(&form.training, &join.projection, &schemas, &salt)?;
    let datasets: Vec<_> = named.iter().map(|(handle, terms)| terms.dataset(handle)).collect();
    let uses: Vec<_> = named.iter().zip(&datasets).map(|((_, terms), dataset)| terms.used(dataset)).collect();
    let plan = policies::privacy::rehearsal(&join, &training, &uses)?;
    given_tables(files, &names)?;
    let mut tables = Vec::new();
    for (handle, name) in &names {
        let given = files.get(handle).or_else(|| files.get(name)).cloned();
        let own = form.tables.get(name).and_then(|table| table.file.as_ref()).map(|file| base.join(file));
        let path = given.or(own).ok_or_else(|| no_file(handle))?;
        let description = &of(name)?.description;
        let (format, bytes) = crate::dataset::seal::plain(&path, description)
            .map_err(|e| Refusal { sentence: format!("{}: {}", path.display(), e.sentence), ..e })?;
        let columns = description.columns.iter().map(|c| c.name.clone()).collect();
        tables.push(Sample { handle: handle.clone(), columns, format, bytes, public_rows: description.public_rows });
    }
    Ok(Prepared { join, training, plan, tables, weights: None })
}

/// Judges a signed job as its room will, and rehearses it on samples: CSV files with the sealed tables' columns.
pub fn prepare_bundle(
    bundle: &JobBundle,
    trust: &Trust,
    files: &BTreeMap<String, PathBuf>,
    now: Timestamp,
) -> R<Prepared> {
    let plan = crate::job::estimate(bundle, None, trust, now)?.plan;
    let job = signing::open_bundle(bundle.clone(), trust)?;
    let (mut join, mut training) = (None, None);
    for stage in &job.job.stages {
        match stage {
            Stage::Join(stage) => join = Some(stage.clone()),
            Stage::Train(stage) => training = Some(stage.clone()),
            Stage::Output(_) => {}
        }
    }
    let (Some(join), Some(training)) = (join, training) else {
        return Err(Refusal::new(Code::PipelineInvalid, "the job has no join or no training"));
    };
    let names: Vec<_> = job.job.datasets.iter().map(|d| (d.handle.clone(), d.handle.clone())).collect();
    given_tables(files, &names)?;
    let mut tables = Vec::new();
    for dataset in &job.job.datasets {
        let offer = job.offers.iter().find(|o| o.dataset_id == dataset.dataset_id && o.version == dataset.version);
        let offer = offer.ok_or_else(|| Refusal::new(Code::DatasetUnknown, "the bundle lacks an offer of its job"))?;
        let path = files.get(&dataset.handle).ok_or_else(|| no_file(&dataset.handle))?;
        let columns = offer.columns.iter().map(|c| c.name.clone()).collect();
        let format = if crate::dataset::seal::is_parquet(path) { TableFormat::Parquet } else { TableFormat::Csv };
        tables.push(Sample {
            handle: dataset.handle.clone(),
            columns,
            format,
            bytes: Zeroizing::new(edge::read(path)?),
            public_rows: offer.public_rows,
        });
    }
    Ok(Prepared { join, training, plan, tables, weights: None })
}

/// Trains, in a process of its own. `seed` is of 32 bytes; `tell` hears of steps done.
pub fn run(prepared: &Prepared, trainer: &Path, seed: [u8; 32], tell: &mut dyn FnMut(u32, u32)) -> R<Rehearsed> {
    if prepared.training.weights.is_some() != prepared.weights.is_some() {
        let sentence = "the training begins with weights; name their file with --weights";
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("weights"));
    }
    let (outcome, model) = pipe::train(trainer, &start(prepared, seed), prepared, tell)?;
    if outcome.sha256 != Digest::of(&model) || outcome.steps != prepared.plan.steps {
        return Err(Refusal::new(Code::WorkerProtocol, "the worker delivered another model than it said"));
    }
    Ok(Rehearsed { outcome, model })
}

/// What the worker is sent first.
fn start(prepared: &Prepared, seed: [u8; 32]) -> Start {
    let head = |t: &Sample| TableHead {
        handle: t.handle.clone(),
        bytes: t.bytes.len() as u64,
        columns: t.columns.clone(),
        format: t.format,
        public_rows: t.public_rows,
    };
    Start {
        v: 1,
        tables: prepared.tables.iter().map(head).collect(),
        join: prepared.join.clone(),
        training: prepared.training.clone(),
        plan: prepared.plan.clone(),
        seed: SeedBytes(Bytes(seed.to_vec())),
        checkpoint_every: None,
        resume: None,
        group: None,
        device: Device::Auto,
    }
}

/// What a model says of the held-out part, by the trainer's own arithmetic in a process beside it: exact, and so for
/// whoever owns the samples alone. The model is a rehearsal's, or that of a run whose data the caller owns.
pub fn evaluate(prepared: &Prepared, model: &[u8], evaluator: &Path) -> R<Evaluation> {
    // A seed draws sampling and noise, and neither is left to be drawn here.
    evaluate::run(evaluator, &start(prepared, [0; 32]), &prepared.tables, model)
}

/// ε that the training alone has cost after `step` steps at the run's δ, at the dearest table; none where it is not
/// made of equal steps, or without differential privacy.
pub fn epsilon_at(prepared: &Prepared, step: u32) -> Option<f64> {
    let delta = prepared.training.delta.as_ref()?.value();
    let mechanisms = prepared.plan.charges.iter().filter_map(|charge| charge.mechanisms.first());
    let costs = mechanisms.map(|mechanism| match mechanism {
        Mechanism::SampledGaussian { noise_multiplier, sample_rate, .. } => {
            let (noise_multiplier, sample_rate) = (noise_multiplier.value(), sample_rate.value());
            let event = Event::SampledGaussian { noise_multiplier, sample_rate, steps: step.max(1) };
            RdpVector::of(&[event]).ok().map(|v| v.epsilon(delta))
        }
        _ => None,
    });
    costs.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
}

fn unknown(name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Refusal {
    let known: Vec<_> = known.map(|k| k.as_ref().to_owned()).collect();
    Refusal::new(Code::ConfigInvalid, format!("there is no table {name}; the job names {}", known.join(", ")))
}

fn no_file(handle: &str) -> Refusal {
    let sentence = format!("no file is given for the table {handle}; add --table {handle}=FILE");
    Refusal::new(Code::ConfigInvalid, sentence).at("table")
}

/// Every file that is given belongs to a table: a misspelt name is no silent default.
fn given_tables(files: &BTreeMap<String, PathBuf>, names: &[(String, String)]) -> R<()> {
    let known = |given: &&String| names.iter().any(|(handle, name)| handle == *given || name == *given);
    match files.keys().find(|given| !known(given)) {
        Some(stranger) => Err(unknown(stranger, names.iter().map(|(handle, _)| handle))),
        None => Ok(()),
    }
}
