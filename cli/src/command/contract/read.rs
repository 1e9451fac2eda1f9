//! What happened to a contract; contracts in other people's form.

use std::path::PathBuf;

use clap::Subcommand;
use depa::edge;
use depa::table::Table;
use schemas::R;
use schemas::id::ContractId;

use super::super::Global;
use super::drafts::described;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// List what happened to a contract, oldest first, each with its entry in the log.
    #[command(after_help = "Example:\n  depa contract events ctr_… --key tdp.key --registry URL")]
    Events {
        /// The contract.
        #[arg(value_parser = super::super::id::<ContractId>)]
        id: ContractId,
        /// Where the page before ended.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Make a draft of a contract in one of DEPA's shapes: JSON, or a COSE message whose signatures are all verified.
    #[command(
        after_help = "Examples:\n  depa contract import-depa contract.json --key tdc.key --registry URL\n  depa contract import-depa contract.cose --key tdc.key --registry URL --json"
    )]
    ImportDepa {
        /// The file: COSE unless it begins as JSON.
        file: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let desk = global.desk_as()?.0;
    match verb {
        Verb::Events { id, cursor } => {
            let page = desk.contract_events(&id, cursor.as_deref())?;
            let row =
                |e: &schemas::desk::ContractEvent| [e.index.to_string(), e.at.to_string(), e.body.kind().to_owned()];
            let table = Table::new(["entry", "at", "event"], page.events.iter().map(row)).numbers(&["entry"]);
            Ok(Answer::new(&page, table.page(page.next.as_deref())))
        }
        Verb::ImportDepa { file } => {
            let bytes = edge::read(&file)?;
            let json = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
            let draft = desk.import_draft(&bytes, !json)?;
            say(&format!(
                "next: complete it in a file, keep it: depa contract draft save FILE --id {}",
                draft.draft_id
            ));
            Ok(described(&draft))
        }
    }
}
