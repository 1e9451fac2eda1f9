use std::path::PathBuf;

use clap::Subcommand;
use depa::{edge, log};
use schemas::R;
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Fetch the newest checkpoint, verified; with --earlier it is proved to continue one seen before.
    #[command(
        after_help = "Examples:\n  depa log checkpoint --trust trust.json --registry URL > checkpoint.txt\n  depa log checkpoint --earlier checkpoint.txt --trust trust.json --registry URL"
    )]
    Checkpoint {
        /// A checkpoint note seen earlier.
        #[arg(long)]
        earlier: Option<PathBuf>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Checkpoint { earlier } = verb;
    let (desk, trust) = (global.desk()?, global.trust()?);
    let note = match earlier {
        Some(path) => {
            let text = String::from_utf8(edge::read(&path)?).map_err(|_| edge::file_fault(&path, "not UTF-8"))?;
            let note = log::continued(&desk, &trust, &text)?;
            say("it continues the earlier checkpoint");
            note
        }
        None => log::checkpoint(&desk, &trust)?,
    };
    let text = note.text();
    Ok(Answer::new(&json!({"size": note.head.size, "root": note.head.root, "note": text}), text))
}
