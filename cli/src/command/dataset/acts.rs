//! What happens to a registered dataset version.

use clap::{Args, Subcommand};
use depa::dataset::acts;
use schemas::dataset::DatasetActKind;
use schemas::id::DatasetId;
use schemas::{Code, R, Refusal};

use super::super::Global;
use super::super::passing::{Passing, entered};
use crate::output::Answer;

/// Which version, why, and how it is passed on.
#[derive(Args)]
pub struct Act {
    /// The dataset.
    #[arg(value_parser = super::super::id::<DatasetId>, conflicts_with = "draft", required_unless_present = "draft")]
    id: Option<DatasetId>,
    /// Its version.
    #[arg(long, default_value_t = 1, conflicts_with = "draft")]
    dataset_version: u32,
    /// One sentence of reason.
    #[arg(long, default_value = "none given", conflicts_with = "draft")]
    reason: String,
    #[command(flatten)]
    passing: Passing,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Stop a dataset for now: no new contract and no run. By its provider, or by two SRO people.
    #[command(
        after_help = "Examples:\n  depa dataset suspend dst_… --dataset-version 2 --reason 'inquiry' --key tdp.key --trust trust.json --registry URL\n  depa dataset suspend dst_… --out suspend.json --key sro-a.key --trust trust.json\n  depa dataset suspend --draft suspend.json --key sro-b.key --registry URL"
    )]
    Suspend(Act),
    /// End a suspension; the SRO's only by two SRO people.
    #[command(
        after_help = "Example:\n  depa dataset resume dst_… --dataset-version 2 --reason 'settled' --key tdp.key --trust trust.json --registry URL"
    )]
    Resume(Act),
    /// Withdraw a dataset version for good.
    #[command(
        after_help = "Example:\n  depa dataset withdraw dst_… --dataset-version 1 --reason 'replaced' --key tdp.key --trust trust.json --registry URL"
    )]
    Withdraw(Act),
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let (kind, act) = match verb {
        Verb::Suspend(act) => (DatasetActKind::Suspend, act),
        Verb::Resume(act) => (DatasetActKind::Resume, act),
        Verb::Withdraw(act) => (DatasetActKind::Withdraw, act),
    };
    let Act { id, dataset_version: version, reason, passing } = act;
    passing.pass(
        global,
        |trust, now| {
            let needed = || Refusal::new(Code::ConfigInvalid, "a dataset or --draft is needed");
            Ok(acts::draft((id.ok_or_else(needed)?, version), kind, &reason, trust, now))
        },
        |desk, act| Ok(entered(&desk.change_dataset(act)?)),
    )
}
