//! Datasets found by what they offer, and in other people's form.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::dataset::{self, DatasetLine};
use depa::edge;
use schemas::R;
use schemas::id::DatasetId;
use serde_json::json;

use super::super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Search the registered datasets.
    #[command(
        after_help = "Examples:\n  depa dataset search --text diabetes --column hba1c --registry URL\n  depa dataset search --min-epsilon 1.0 --max-price 500000 --currency INR --registry URL --json"
    )]
    Search(Box<Wanted>),
    /// Fetch the sample that the newest offer names: bytes that anyone may read, and not the data.
    #[command(after_help = "Example:\n  depa dataset sample dst_… --out sample.csv --registry URL")]
    Sample {
        /// The dataset.
        #[arg(value_parser = super::super::id::<DatasetId>)]
        id: DatasetId,
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Read and write Croissant 1.1.
    #[command(
        subcommand,
        after_help = "Examples:\n  depa dataset croissant export dst_… --out croissant.json --registry URL\n  depa dataset croissant import croissant.json --key tdp.key --registry URL"
    )]
    Croissant(Croissant),
}

/// What is looked for.
#[derive(Args)]
pub struct Wanted {
    /// Words of name, keywords and data card.
    #[arg(long)]
    text: Option<String>,
    /// The provider's DID.
    #[arg(long)]
    provider: Option<String>,
    /// A column.
    #[arg(long)]
    column: Option<String>,
    /// URI of the SRO data schema.
    #[arg(long)]
    data_schema: Option<String>,
    /// A purpose.
    #[arg(long)]
    purpose: Option<String>,
    /// At least this ε is offered.
    #[arg(long)]
    min_epsilon: Option<String>,
    /// At most this price per run, in minor units.
    #[arg(long)]
    max_price: Option<String>,
    /// The currency of the price, ISO 4217.
    #[arg(long)]
    currency: Option<String>,
    /// State.
    #[arg(long, value_parser = ["registered", "suspended", "deprecated", "withdrawn"])]
    state: Option<String>,
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Subcommand)]
pub enum Croissant {
    /// Write the newest offer of a dataset as Croissant 1.1.
    #[command(after_help = "Example:\n  depa dataset croissant export dst_… --out croissant.json --registry URL")]
    Export {
        /// The dataset.
        #[arg(value_parser = super::super::id::<DatasetId>)]
        id: DatasetId,
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the beginning of an offer that follows from a Croissant document.
    #[command(after_help = "Example:\n  depa dataset croissant import croissant.json --key tdp.key --registry URL")]
    Import {
        /// The document.
        file: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Search(wanted) => search(*wanted, global),
        Verb::Sample { id, out } => {
            let offered = dataset::show(&global.desk()?, &id)?.offer.reference.sample;
            let bytes = dataset::sample::fetch(offered.as_ref(), &global.reach()?)?;
            edge::write_new(&out, &bytes)?;
            let answer = json!({"dataset_id": id, "sample": offered, "out": out});
            Ok(Answer::new(&answer, format!("wrote {}, {} bytes", out.display(), bytes.len())))
        }
        Verb::Croissant(Croissant::Export { id, out }) => {
            edge::write_new(&out, &global.desk()?.export_croissant(&id)?)?;
            Ok(Answer::new(&json!({"dataset_id": id, "out": out}), format!("wrote {}", out.display())))
        }
        Verb::Croissant(Croissant::Import { file }) => {
            Ok(Answer::value(&global.desk_as()?.0.import_croissant(&edge::read(&file)?)?))
        }
    }
}

fn search(wanted: Wanted, global: &Global) -> R<Answer> {
    let page = global.desk()?.search_datasets(&[
        ("q", wanted.text),
        ("provider", wanted.provider),
        ("column", wanted.column),
        ("data_schema", wanted.data_schema),
        ("purpose", wanted.purpose),
        ("min_epsilon", wanted.min_epsilon),
        ("max_price", wanted.max_price),
        ("currency", wanted.currency),
        ("state", wanted.state),
        ("cursor", wanted.cursor),
    ])?;
    let found: Vec<DatasetLine> = page.datasets.into_iter().map(DatasetLine::of).collect();
    let text = DatasetLine::table(&found).page(page.next.as_deref());
    Ok(Answer::new(&json!({"datasets": found, "next": page.next}), text))
}
