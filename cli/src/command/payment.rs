use clap::Subcommand;
use depa::payment;
use schemas::R;
use schemas::id::ContractId;

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// List what your contracts owe, and what was paid.
    #[command(
        after_help = "Examples:\n  depa payment list --key tdp.key --registry URL\n  depa payment list --contract ctr_… --key tdc.key --registry URL"
    )]
    List {
        /// Of one contract only.
        #[arg(long, value_parser = super::id::<ContractId>)]
        contract: Option<ContractId>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::List { contract } = verb;
    let all = payment::list(&global.desk_as()?.0, contract.as_ref())?;
    let line = |p: &schemas::desk::ObligationView| {
        format!(
            "{} {} {} to {} for {}: {}",
            p.instruction_id,
            p.currency,
            p.amount_minor.get(),
            p.payee,
            p.run_id,
            p.state
        )
    };
    let text: Vec<String> = all.iter().map(line).collect();
    Ok(Answer::new(&all, text.join("\n")))
}
