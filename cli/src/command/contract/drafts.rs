//! Drafts that the registry keeps, private to their owner; a draft has signatures of nobody.

use std::path::PathBuf;

use clap::Subcommand;
use depa::edge;
use depa::table::Table;
use schemas::R;
use schemas::desk::{DraftRequest, DraftView, Fault};
use serde_json::json;

use super::super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// List your drafts.
    #[command(after_help = "Example:\n  depa contract draft list --key tdc.key --registry URL")]
    List,
    /// Show a draft, with what stands in the way of a proposal.
    #[command(after_help = "Example:\n  depa contract draft show DRAFT --key tdc.key --registry URL --json")]
    Show {
        /// The draft.
        id: String,
    },
    /// Keep a draft: as much of a contract as is known, in JSON. With --id one that is kept already is replaced.
    #[command(
        after_help = "Examples:\n  depa contract draft save draft.json --key tdc.key --registry URL\n  depa contract draft save draft.json --id DRAFT --rev 2 --key tdc.key --registry URL"
    )]
    Save {
        /// The file.
        file: PathBuf,
        /// The draft that is replaced.
        #[arg(long, requires = "rev")]
        id: Option<String>,
        /// Its revision as you saw it; refused where it changed since.
        #[arg(long, requires = "id")]
        rev: Option<u32>,
    },
    /// List all that stands in the way of proposing a draft.
    #[command(after_help = "Example:\n  depa contract draft check DRAFT --key tdc.key --registry URL")]
    Check {
        /// The draft.
        id: String,
    },
    /// Throw a draft away.
    #[command(after_help = "Example:\n  depa contract draft discard DRAFT --key tdc.key --registry URL")]
    Discard {
        /// The draft.
        id: String,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let desk = global.desk_as()?.0;
    match verb {
        Verb::List => {
            let page = desk.drafts(None)?;
            let rows = page.drafts.iter().map(|d| [d.draft_id.clone(), d.rev.to_string(), d.updated_at.to_string()]);
            let table = Table::new(["draft", "revision", "changed"], rows).numbers(&["revision"]);
            Ok(Answer::new(&page, table.text()))
        }
        Verb::Show { id } => Ok(described(&desk.draft(&id)?)),
        Verb::Save { file, id, rev } => {
            let draft = DraftRequest { contract: edge::read_json(&file)? };
            Ok(described(&match id.zip(rev) {
                Some((id, rev)) => desk.replace_draft(&id, rev, &draft)?,
                None => desk.create_draft(&draft)?,
            }))
        }
        Verb::Check { id } => {
            let checked = desk.check_draft(&id)?;
            let mut answer = Answer::new(&checked, faults(&checked.refusals));
            answer.exit = if checked.refusals.is_empty() { depa::exit::OK } else { depa::exit::POLICY };
            Ok(answer)
        }
        Verb::Discard { id } => {
            desk.discard_draft(&id)?;
            Ok(Answer::new(&json!({"discarded": id}), "gone"))
        }
    }
}

/// A draft with what its reader must know.
pub(super) fn described(draft: &DraftView) -> Answer {
    let notices: String = draft.notices.iter().map(|n| format!("notice: {n}\n")).collect();
    let text = format!("{} revision {}\n{notices}{}", draft.draft_id, draft.rev, faults(&draft.refusals));
    Answer::new(draft, text)
}

fn faults(refusals: &[Fault]) -> String {
    if refusals.is_empty() {
        return "nothing stands in the way of a proposal".into();
    }
    let line = |f: &Fault| {
        let field = f.field.as_ref().map_or(String::new(), |field| format!(" (at {field})"));
        format!("{}: {}{field}", f.code, f.detail)
    };
    refusals.iter().map(line).collect::<Vec<_>>().join("\n")
}
