mod prove;
mod verify;
mod watch;

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::{audit, edge};
use schemas::R;

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Export the whole log with bodies, as a person of the SRO.
    #[command(
        after_help = "Example:\n  depa audit export --out log.jsonl --key sro-a.key --trust trust.json --registry URL"
    )]
    Export {
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    #[command(flatten)]
    Verify(verify::Verb),
    #[command(flatten)]
    Prove(prove::Verb),
    #[command(flatten)]
    Watch(watch::Verb),
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Export { out } => {
            let (desk, trust) = (global.desk_as()?.0, global.trust()?);
            // Bodies are for the SRO. An export that broke off would only be in the way of the next.
            let file = edge::create_private(&out)?;
            let head = audit::export(&desk, &trust, &mut BufWriter::new(file)).inspect_err(|_| {
                let _ = std::fs::remove_file(&out);
            })?;
            Ok(Answer::new(&head, format!("{} entries\ncheck them: depa audit verify {}", head.size, out.display())))
        }
        Verb::Verify(verb) => verify::run(verb, global),
        Verb::Prove(verb) => prove::run(verb, global),
        Verb::Watch(verb) => watch::run(verb, global),
    }
}

/// A text file.
pub(super) fn text(path: &Path) -> R<String> {
    String::from_utf8(edge::read(path)?).map_err(|_| edge::file_fault(path, "not UTF-8"))
}
