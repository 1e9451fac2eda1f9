//! Further versions of a contract, and a look at a draft before it is signed.

use std::path::PathBuf;

use clap::Subcommand;
use depa::contract::{check, version};
use depa::edge;
use schemas::contract::Contract;
use schemas::{Envelope, R};
use serde_json::json;

use super::super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Draft a counter-offer to an open proposal from a form. It replaces the proposal once it is proposed.
    #[command(
        after_help = concat!("Example:\n  depa contract counter contract.json form.toml --out counter.json --key tdp.key --trust trust.json --registry URL\n  depa contract sign counter.json --out tdp.signature.json --key tdp.key --trust trust.json\n  depa contract propose counter.json --signature tdp.signature.json --registry URL\n\nA form with everything that is needed:\n\n", include_str!("../../../samples/contract.toml"))
    )]
    Counter(Next),
    /// Draft an amendment of a contract in force from a form. It takes its place once all parties have signed.
    #[command(
        after_help = concat!("Example:\n  depa contract amend contract.json form.toml --out amended.json --key tdc.key --trust trust.json --registry URL\n\nA form with everything that is needed:\n\n", include_str!("../../../samples/contract.toml"))
    )]
    Amend(Next),
    /// Check a draft against the offers and the rules of the register, before anybody signs.
    #[command(
        after_help = "Example:\n  depa contract check contract.json --key tdc.key --trust trust.json --registry URL"
    )]
    Check {
        /// The draft.
        contract: PathBuf,
    },
}

#[derive(clap::Args)]
pub struct Next {
    /// The contract as it stands.
    contract: PathBuf,
    /// The form of the next version (TOML, or JSON).
    form: PathBuf,
    /// The draft: a new file.
    #[arg(long)]
    out: PathBuf,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Counter(next) => draft(&next, global, "it replaces the proposal once it is proposed"),
        Verb::Amend(next) => draft(&next, global, "the contract stays in force until all parties have signed this one"),
        Verb::Check { contract } => {
            let draft: Envelope<Contract> = edge::read_json(&contract)?;
            let checked = check::check(&global.desk_as()?.0, &draft, &global.trust()?, edge::now())?;
            let text =
                format!("nothing is against it: {} offers compared\nsha256 {}", checked.datasets, checked.sha256);
            Ok(Answer::new(&checked, text))
        }
    }
}

fn draft(next: &Next, global: &Global, hint: &str) -> R<Answer> {
    let before: Envelope<Contract> = edge::read_json(&next.contract)?;
    let form = edge::read_form(&next.form)?;
    let draft = version::next(&global.desk_as()?.0, &before, &form, &global.trust()?, edge::now())?;
    let contract = draft.read_unverified()?;
    let changes = version::changes(&before.read_unverified()?, &contract)?;
    edge::write_json(&next.out, &draft)?;
    say(hint);
    let answer = json!({
        "contract_id": contract.contract_id, "version": contract.version, "sha256": draft.digest(), "changes": changes,
    });
    let list = if changes.is_empty() { "nothing".to_owned() } else { changes.join(", ") };
    let text =
        format!("{} version {}\nsha256 {}\nchanged: {list}", contract.contract_id, contract.version, draft.digest());
    Ok(Answer::new(&answer, text))
}
