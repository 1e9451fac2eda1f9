//! Who is registered, and who waits for a decision.

use clap::Subcommand;
use depa::table::Table;
use schemas::R;

use super::super::Global;
use crate::output::{Answer, word};

#[derive(Subcommand)]
pub enum Verb {
    /// List participants.
    #[command(after_help = "Example:\n  depa party list --role tdp --state verified --text acme --registry URL")]
    List {
        /// Role.
        #[arg(long, value_parser = ["tdp", "tdc", "ccrp", "psp", "auditor"])]
        role: Option<String>,
        /// State.
        #[arg(long, value_parser = ["applied", "verified", "rejected", "suspended", "withdrawn"])]
        state: Option<String>,
        /// Words of the name.
        #[arg(long)]
        text: Option<String>,
    },
    /// List those who applied and wait for two people of the SRO.
    #[command(after_help = "Example:\n  depa party applications --registry URL")]
    Applications,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let (role, state, text) = match verb {
        Verb::List { role, state, text } => (role, state, text),
        Verb::Applications => (None, Some("applied".to_owned()), None),
    };
    let all = depa::party::list(&global.desk()?, role, state, text)?;
    let rows = all
        .iter()
        .map(|p| [p.did.to_string(), word(&p.kind), p.state.clone(), p.jurisdiction.clone(), p.legal_name.clone()]);
    let table = Table::new(["participant", "role", "state", "country", "name"], rows);
    Ok(Answer::new(&all, table.text()))
}
