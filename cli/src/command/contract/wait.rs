//! Waiting for a contract.

use std::time::Duration;

use clap::Subcommand;
use depa::contract::wait;
use schemas::contract::ContractState;
use schemas::id::ContractId;
use schemas::{Code, R, Refusal};
use serde_json::Value;

use super::super::Global;
use crate::output::{Answer, say, word};

#[derive(Subcommand)]
pub enum Verb {
    /// Wait until a contract has a state, `active` if none is named; each state that it passes goes to stderr.
    #[command(
        after_help = "Examples:\n  depa contract wait ctr_… --key tdc.key --registry URL\n  depa contract wait ctr_… --until completed --timeout 600 --key tdc.key --registry URL"
    )]
    Wait {
        /// The contract.
        #[arg(value_parser = super::super::id::<ContractId>)]
        id: ContractId,
        /// The state, as `depa contract list` writes it.
        #[arg(long, default_value = "active")]
        until: String,
        /// Seconds after which waiting ends (exit code 9).
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Wait { id, until, timeout } = verb;
    let unknown = |_| Refusal::new(Code::ConfigInvalid, format!("{until} is no state of a contract")).at("until");
    let wanted: ContractState = serde_json::from_value(Value::String(until.clone())).map_err(unknown)?;
    let tell = &mut |state: ContractState| say(&format!("{id}: {}", word(&state)));
    let view = wait::wait(&global.desk_as()?.0, &id, wanted, Duration::from_secs(timeout), tell)?;
    Ok(Answer::new(&view, format!("{id} is {until}\nsha256 {}", view.sha256)))
}
