mod dispute;
mod due;
mod payout;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use depa::{edge, payment};
use schemas::R;
use schemas::id::{ContractId, Did};
use serde_json::json;

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// List what your contracts owe, and what was paid.
    #[command(
        after_help = "Examples:\n  depa payment list --key tdp.key --registry URL\n  depa payment list --contract ctr_… --key tdc.key --registry URL\n\nStates: instructed (its payment provider was told), settled (paid), due (an attempt failed; it is told again). Of a deposit:\nasked, blocked, refunding, refunded, void. Where the payment system says more of the last instruction, it stands beside:\ncreated, submitted, accepted, settled, failed, returned."
    )]
    List {
        /// Of one contract only.
        #[arg(long, value_parser = super::id::<ContractId>)]
        contract: Option<ContractId>,
    },
    /// What a run of a job would cost, term by term, before it starts: expected, at most, blocked first, owed if it fails.
    #[command(after_help = "Example:\n  depa payment due job.bundle.json --hours 2 --trust trust.json")]
    Due(due::Due),
    /// State what you earned in a period, where a contract shares your revenue.
    #[command(
        after_help = "Example:\n  depa payment revenue --contract ctr_… --term p2 --period 0 --amount 12500000 --key tdc.key --trust trust.json --registry URL"
    )]
    Revenue(due::Revenue),
    /// Export the double-entry books that you may read: for hledger, or as JSON for an auditor to compare.
    #[command(
        after_help = "Examples:\n  depa payment export --format hledger --out books.journal --key tdp.key --registry URL\n  hledger -f books.journal check --strict\n  depa payment export --format json --out books.json --key sro-a.key --registry URL\n  depa audit verify log.jsonl --books books.json --trust trust.json"
    )]
    Export {
        /// The form of the file.
        #[arg(long, value_enum, default_value_t = Format::Hledger)]
        format: Format,
        /// Of one contract only.
        #[arg(long, value_parser = super::id::<ContractId>)]
        contract: Option<ContractId>,
        /// Of one party's accounts only.
        #[arg(long, value_parser = super::id::<Did>)]
        party: Option<Did>,
        /// A new file; stdout where none is named.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Disputes about money.
    #[command(
        subcommand,
        after_help = "Example:\n  depa payment dispute open INSTRUCTION --reason 'paid twice' --key tdc.key --trust trust.json --registry URL"
    )]
    Dispute(dispute::Verb),
    /// Payouts to data principals.
    #[command(
        subcommand,
        after_help = "Example:\n  depa payment payout new dst_… --currency INR --weights weights.csv --out batch-1.json --key tdp.key --trust trust.json --registry URL"
    )]
    Payout(payout::Verb),
}

/// Forms of an export.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// A journal of hledger.
    Hledger,
    /// JSON.
    Json,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::List { contract } => list(contract.as_ref(), global),
        Verb::Export { format, contract, party, out } => {
            let export = payment::export::export(&global.desk_as()?.0, contract.as_ref(), party.as_ref())?;
            let text = match format {
                Format::Hledger => payment::hledger::journal(&export.transfers),
                Format::Json => {
                    serde_json::to_string_pretty(&export).map_err(|e| edge::file_fault("export".as_ref(), e))?
                }
            };
            let Some(out) = out else { return Ok(Answer::new(&export, text)) };
            edge::write_private(&out, text.as_bytes())?;
            let counts = json!({"transfers": export.transfers.len(), "obligations": export.obligations.len()});
            Ok(Answer::new(&counts, format!("{} transfers in {}", export.transfers.len(), out.display())))
        }
        Verb::Due(due) => due::due(&due, global),
        Verb::Revenue(revenue) => due::revenue(&revenue, global),
        Verb::Dispute(verb) => dispute::run(verb, global),
        Verb::Payout(verb) => payout::run(verb, global),
    }
}

fn list(contract: Option<&ContractId>, global: &Global) -> R<Answer> {
    let all = payment::list(&global.desk_as()?.0, contract)?;
    Ok(Answer::new(&all, payment::table(&all).text()))
}
