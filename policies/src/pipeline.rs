//! The taint walk: sealed tables may go into one join, the join into one training, and out goes the model or, where it
//! stays inside, the noised metrics alone.
//!
//! What a stage gives is either raw (rows of people) or a model: trained with differential privacy, or without it where the
//! contract of every dataset says so. Raw data has no way
//! to an output. The room and every key service judge the typed stages with this function; SQL is never judged here.

mod join;
mod rooms;
mod training;

use schemas::job::JobSpec;
use schemas::jwk::Curve;
use schemas::pipeline::{ColumnRef, Join, Output, OutputKind, Stage, Training};
use schemas::privacy::Clause;
use schemas::problem::{Code, R, Refusal};

pub use join::factors;

use crate::facts::{Facts, TableUse};
use crate::forms::{ensure, is_folder_url, is_name};

/// The stages of an allowed pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pipeline<'a> {
    /// The one join, over all datasets of the job.
    pub join: &'a Join,
    /// The one training on the join.
    pub training: &'a Training,
    /// The one output, of the model or the metrics, to the contracts' recipient.
    pub output: &'a Output,
}

/// Is this pipeline allowed by every contract of its datasets? In the order of the stages:
///
/// 1. a join takes every dataset of the job once, on the principal's keys, and gives permitted columns;
/// 2. a training reads the join, is private unless every dataset's contract allows otherwise, and uses permitted columns
///    within public bounds;
/// 3. an output writes the model, encrypted to the contracts' recipient, or the metrics that the training releases, and
///    nothing else; the metrics alone where a dataset's clause is of level 2 or a contract lets only them out;
/// 4. there is one of each;
/// 5. several rooms carry out what several rooms can, and as many as every contract lets a run take.
pub fn decide<'a>(facts: &Facts<'a>) -> R<Pipeline<'a>> {
    let tables = Tables { uses: facts.tables()? };
    tables.handles_are_names()?;
    let job: &'a JobSpec = facts.job;
    let mut walk = Walk::default();
    for (at, stage) in job.stages.iter().enumerate() {
        walk.stage(stage, &tables, facts).map_err(|refusal| within(refusal, at))?;
    }
    match walk {
        Walk { join: Some(join), training: Some(training), output: Some(output) } => {
            rooms::decide(facts, training)?;
            Ok(Pipeline { join, training, output })
        }
        _ => Err(invalid("A pipeline has one join, one training and one output.").at("stages")),
    }
}

/// A join and a training on it, judged as in [`decide`] on tables whose terms nobody has signed: for a rehearsal
/// on samples, outside any room. Nothing is said about contracts and outputs, because there are none.
pub(crate) fn rehearse(join: &Join, training: &Training, tables: &[TableUse<'_>]) -> R<()> {
    let tables = Tables { uses: tables.to_vec() };
    tables.handles_are_names()?;
    let mut walk = Walk::default();
    walk.join(join, &tables)?;
    walk.train(training, &tables)
}

/// What was met so far.
#[derive(Default)]
struct Walk<'a> {
    join: Option<&'a Join>,
    training: Option<&'a Training>,
    output: Option<&'a Output>,
}

impl<'a> Walk<'a> {
    fn stage(&mut self, stage: &'a Stage, tables: &Tables<'_>, facts: &Facts<'_>) -> R<()> {
        match stage {
            Stage::Join(join) => self.join(join, tables)?,
            Stage::Train(training) => {
                self.train(training, tables)?;
                training.weights.as_ref().map_or(Ok(()), crate::weights::in_a_job)?;
            }
            Stage::Output(output) => {
                self.untainted(output, tables)?;
                only(&self.output, "output")?;
                self.stays_inside(output, tables, facts)?;
                self::output(output, facts)?;
                self.output = Some(output);
            }
        }
        Ok(())
    }

    fn join(&mut self, join: &'a Join, tables: &Tables<'_>) -> R<()> {
        self.new_name(&join.name, tables)?;
        only(&self.join, "join")?;
        join::decide(join, tables)?;
        self.join = Some(join);
        Ok(())
    }

    fn train(&mut self, training: &'a Training, tables: &Tables<'_>) -> R<()> {
        self.new_name(&training.name, tables)?;
        only(&self.training, "training")?;
        let join = self.join.filter(|join| join.name == training.input);
        let join = join.ok_or_else(|| invalid("A training reads the join before it.").at("input"))?;
        training::decide(training, join, tables)?;
        self.training = Some(training);
        Ok(())
    }

    /// Only what was trained leaves: not a sealed table, not a join, not anything in the form of a table.
    fn untainted(&self, output: &Output, tables: &Tables<'_>) -> R<()> {
        let joined = self.join.is_some_and(|join| join.name == output.input);
        let raw = joined || tables.get(&output.input).is_some() || output.kind == OutputKind::Table;
        let sentence = "Rows of people never leave the room: only a trained model does.";
        ensure(!raw, Code::PipelineRawOutput, "input", sentence)?;
        let trained = self.training.is_some_and(|training| training.name == output.input);
        ensure(trained, Code::PipelineInvalid, "input", "An output writes the result of the training before it.")
    }

    /// The model leaves only where every clause and every contract lets it; metrics only where they are charged.
    fn stays_inside(&self, output: &Output, tables: &Tables<'_>, facts: &Facts<'_>) -> R<()> {
        if output.kind == OutputKind::Metrics {
            let charged = self.training.is_some_and(|training| training.metrics.is_some());
            let sentence = "An output of metrics needs a training that releases noised metrics.";
            return ensure(charged, Code::PipelineInvalid, "kind", sentence);
        }
        let inside = tables.uses.iter().find(|used| used.terms.privacy.level == Clause::STAYS_INSIDE);
        let sentence =
            format!("Dataset {}: at level 2 the model stays inside.", inside.map_or("", |u| u.job.dataset_id.as_str()));
        ensure(inside.is_none(), Code::ModelStaysInside, "kind", sentence)?;
        let kind = output.kind.as_str();
        let closed = facts.contracts.iter().find(|contract| !contract.outputs.kinds.iter().any(|named| named == kind));
        let sentence =
            format!("Contract {} lets no {kind} out.", closed.map_or("", |contract| contract.contract_id.as_str()));
        ensure(closed.is_none(), Code::ModelStaysInside, "kind", sentence)
    }

    fn new_name(&self, name: &str, tables: &Tables<'_>) -> R<()> {
        let taken = self.join.is_some_and(|join| join.name == name)
            || self.training.is_some_and(|training| training.name == name)
            || tables.get(name).is_some();
        ensure(
            is_name(name),
            Code::PipelineInvalid,
            "name",
            "A stage is named by a letter and up to 63 letters, digits or _.",
        )?;
        ensure(!taken, Code::PipelineInvalid, "name", format!("The name {name} stands twice."))
    }
}

/// Where the output goes: to the recipient of every contract, which is the TDC, under a key of the right kind.
fn output(output: &Output, facts: &Facts<'_>) -> R<()> {
    let others = facts.contracts.iter().any(|contract| contract.outputs.recipient != output.recipient);
    let sentence = format!("{} is not the recipient that every contract names.", output.recipient);
    ensure(!others && output.recipient == facts.job.tdc, Code::PipelineRecipient, "recipient", sentence)?;
    output.recipient_jwk.point(Curve::X25519).map_err(|refusal| refusal.at("recipient_jwk"))?;
    let sentence =
        "An output is uploaded to a file:, https:, s3:, az:, abfss: or gs: address, as to a folder: no query.";
    ensure(is_folder_url(&output.upload), Code::AddressRefused, "upload", sentence)
}

/// The tables of the job by handle.
pub(crate) struct Tables<'a> {
    pub(crate) uses: Vec<TableUse<'a>>,
}

impl<'a> Tables<'a> {
    /// The table behind a handle.
    pub(crate) fn get(&self, handle: &str) -> Option<&TableUse<'a>> {
        self.uses.iter().find(|used| used.job.handle == handle)
    }

    /// The table of a column; unknown handles are refused.
    pub(crate) fn of(&self, column: &ColumnRef) -> R<&TableUse<'a>> {
        self.get(&column.handle).ok_or_else(|| invalid(format!("{} is no handle of the job.", column.handle)))
    }

    /// Refuses unless the column is a join key of its table under the contract.
    pub(crate) fn join_key(&self, column: &ColumnRef) -> R<()> {
        let known = self.of(column)?.terms.join_keys.contains(&column.column);
        ensure(known, Code::PipelineJoinKey, "join", format!("{column} is no join key of the contract."))
    }

    fn handles_are_names(&self) -> R<()> {
        let named = self.uses.iter().all(|used| is_name(&used.job.handle));
        ensure(named, Code::PipelineInvalid, "datasets", "A handle is a letter and up to 63 letters, digits or _.")
    }
}

pub(crate) fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::PipelineInvalid, sentence)
}

fn only<T>(met: &Option<T>, what: &str) -> R<()> {
    ensure(met.is_none(), Code::PipelineInvalid, "stages", format!("A pipeline has one {what}."))
}

fn within(mut refusal: Refusal, at: usize) -> Refusal {
    let field = refusal.field.take().map(|field| format!(".{field}")).unwrap_or_default();
    refusal.at(format!("stages.{at}{field}"))
}
