//! Acts on a contract that stands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use contract_client::Acted;
use depa::contract::acts::{ContractAct, Said, hand_in};
use schemas::contract::{Cause, ContractResume, ContractRevoke, ContractSuspend, ContractTerminate, ContractWithdraw};
use schemas::{Code, R, Refusal};

use super::super::Global;
use super::super::passing::{Passing, waiting};
use super::{acted, reference};
use crate::output::Answer;

/// Why.
#[derive(Clone, Copy, ValueEnum)]
pub enum Why {
    /// No cause is needed.
    AtWill,
    /// Somebody broke the contract.
    Breach,
    /// Keys, data or a room are in danger.
    SecurityIncident,
    /// Principals withdrew their consent.
    ConsentWithdrawn,
    /// A court or authority ordered it.
    LegalOrder,
    /// Nothing was paid.
    NonPayment,
    /// A party is gone.
    PartyGone,
}

impl From<Why> for Cause {
    fn from(why: Why) -> Cause {
        match why {
            Why::AtWill => Cause::AtWill,
            Why::Breach => Cause::Breach,
            Why::SecurityIncident => Cause::SecurityIncident,
            Why::ConsentWithdrawn => Cause::ConsentWithdrawn,
            Why::LegalOrder => Cause::LegalOrder,
            Why::NonPayment => Cause::NonPayment,
            Why::PartyGone => Cause::PartyGone,
        }
    }
}

/// What is said, and how it is passed on.
#[derive(Args)]
pub struct Act {
    /// The contract.
    #[arg(conflicts_with = "draft", required_unless_present = "draft")]
    contract: Option<PathBuf>,
    /// The cause.
    #[arg(long, default_value = "at-will", conflicts_with = "draft")]
    cause: Why,
    /// One sentence of reason.
    #[arg(long, default_value = "none given", conflicts_with = "draft")]
    reason: String,
    #[command(flatten)]
    passing: Passing,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Take back an open proposal of yours; a scheduled contract is taken back by all parties together.
    #[command(
        after_help = "Examples:\n  depa contract withdraw contract.json --reason 'wrong table' --key tdc.key --trust trust.json --registry URL\n  depa contract withdraw --draft withdraw.json --key tdp.key --registry URL"
    )]
    Withdraw(Act),
    /// Stop a contract for now: a provider as a security stop, or two SRO people.
    #[command(
        after_help = "Examples:\n  depa contract suspend contract.json --cause security-incident --reason 'key lost' --key tdp.key --trust trust.json --registry URL\n  depa contract suspend contract.json --reason 'inquiry' --out suspend.json --key sro-a.key --trust trust.json\n  depa contract suspend --draft suspend.json --key sro-b.key --registry URL"
    )]
    Suspend(Act),
    /// End a suspension: two SRO people, or who suspended together with all providers.
    #[command(
        after_help = "Example:\n  depa contract resume contract.json --reason 'key changed' --key tdp.key --trust trust.json --registry URL"
    )]
    Resume(Act),
    /// End a contract by all its parties: the file goes from one to the next, the last one hands it in.
    #[command(
        after_help = "Examples:\n  depa contract terminate contract.json --reason 'done' --out end.json --key tdc.key --trust trust.json\n  depa contract terminate --draft end.json --key tdp.key --registry URL"
    )]
    Terminate(Act),
    /// End a contract early, for a cause that it names or at will. The first of two SRO people writes --out, the second
    /// passes --draft.
    #[command(
        after_help = "Examples:\n  depa contract revoke contract.json --cause consent-withdrawn --reason 'many withdrew' --key tdp.key --trust trust.json --registry URL\n  depa contract revoke --draft revoke.json --key sro-b.key --registry URL"
    )]
    Revoke(Act),
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Withdraw(act) => pass::<ContractWithdraw>(act, global),
        Verb::Suspend(act) => pass::<ContractSuspend>(act, global),
        Verb::Resume(act) => pass::<ContractResume>(act, global),
        Verb::Terminate(act) => pass::<ContractTerminate>(act, global),
        Verb::Revoke(act) => pass::<ContractRevoke>(act, global),
    }
}

fn pass<T: ContractAct>(act: Act, global: &Global) -> R<Answer> {
    let Act { contract, cause, reason, passing } = act;
    passing.pass(
        global,
        |trust, now| {
            let needed = || Refusal::new(Code::ConfigInvalid, "a contract or --draft is needed");
            let contract = reference(&contract.ok_or_else(needed)?)?;
            Ok(T::draft(&Said { contract, cause: cause.into(), reason }, trust, now))
        },
        |desk, signed| match hand_in(desk, signed)? {
            Acted::Entered(answer) => acted(&answer),
            Acted::Waiting(answer) => Ok(waiting(&answer)),
        },
    )
}
