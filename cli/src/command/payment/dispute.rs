//! `depa payment dispute`.

use std::path::PathBuf;

use clap::Subcommand;
use depa::payment::dispute;
use depa::{edge, payment};
use schemas::desk::DisputeReceipt;
use schemas::dispute::Ruling;
use schemas::id::{ContractId, DisputeId};
use schemas::{Code, R, Refusal};

use super::super::{Global, sro};
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// List disputes that you may read about.
    #[command(after_help = "Example:\n  depa payment dispute list --key tdp.key --registry URL")]
    List {
        /// Of one contract only.
        #[arg(long, value_parser = super::super::id::<ContractId>)]
        contract: Option<ContractId>,
    },
    /// Dispute an obligation of one of your contracts.
    #[command(
        after_help = "Example:\n  depa payment dispute open INSTRUCTION --reason 'paid twice' --key tdc.key --trust trust.json --registry URL"
    )]
    Open {
        /// The obligation, by its instruction id.
        instruction: String,
        /// What is wrong, in one sentence.
        #[arg(long)]
        reason: String,
    },
    /// Answer a dispute, as the other side.
    #[command(
        after_help = "Example:\n  depa payment dispute answer dsp_… --reason 'once only' --key tdp.key --trust trust.json --registry URL"
    )]
    Answer {
        /// The dispute.
        #[arg(value_parser = super::super::id::<DisputeId>)]
        id: DisputeId,
        /// What you say to it, in one sentence.
        #[arg(long)]
        reason: String,
    },
    /// Draft a ruling: two people of the SRO sign it with `depa sro approve`.
    #[command(
        after_help = "Examples:\n  depa payment dispute rule dsp_… --refund --reason 'paid twice' --out ruling.json --trust trust.json\n  depa payment dispute rule dsp_… --release INSTRUCTION --reason 'wrong reference' --out ruling.json --trust trust.json\n  depa sro approve ruling.json --key sro-a.key --registry URL"
    )]
    Rule {
        /// The dispute.
        #[arg(value_parser = super::super::id::<DisputeId>)]
        id: DisputeId,
        /// The payer gets it back.
        #[arg(long, group = "ruling")]
        refund: bool,
        /// Money in suspense pays this obligation.
        #[arg(long, value_name = "INSTRUCTION", group = "ruling")]
        release: Option<String>,
        /// It stays as it is.
        #[arg(long, group = "ruling")]
        stand: bool,
        /// Why, in one sentence.
        #[arg(long)]
        reason: String,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Close a ruled dispute: at once as its opener, or with --out as a draft for two people of the SRO.
    #[command(
        after_help = "Example:\n  depa payment dispute close dsp_… --reason 'settled' --key tdc.key --trust trust.json --registry URL"
    )]
    Close {
        /// The dispute.
        #[arg(value_parser = super::super::id::<DisputeId>)]
        id: DisputeId,
        /// One sentence.
        #[arg(long)]
        reason: String,
        /// A draft in place of the act: a new file.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let now = edge::now();
    match verb {
        Verb::List { contract } => {
            let all = dispute::list(&global.desk_as()?.0, contract.as_ref())?;
            Ok(Answer::new(&all, dispute::table(&all).text()))
        }
        Verb::Open { instruction, reason } => {
            let (desk, key) = global.desk_as()?;
            let payments = payment::list(&desk, None)?;
            let unknown = || Refusal::new(Code::PaymentUnknown, "none of your contracts has this obligation");
            let payment = payments.iter().find(|p| p.instruction_id == instruction).ok_or_else(unknown)?;
            let id = DisputeId::new(edge::fresh());
            done(&dispute::open(&desk, payment, (id, &reason), &key, (&global.trust()?, now))?)
        }
        Verb::Answer { id, reason } => {
            let (desk, key) = global.desk_as()?;
            done(&dispute::answer(&desk, (&id, &reason), &key, (&global.trust()?, now))?)
        }
        Verb::Rule { id, refund, release, stand, reason, out } => {
            let ruling = match (refund, release, stand) {
                (true, None, false) => Ruling::Refund {},
                (false, Some(instruction_id), false) => Ruling::Release { instruction_id },
                (false, None, true) => Ruling::Stand {},
                _ => return Err(Refusal::new(Code::ConfigInvalid, "--refund, --release or --stand is needed")),
            };
            sro::write(&dispute::ruling(&id, ruling, &reason, (&global.trust()?, now))?, &out)
        }
        Verb::Close { id, reason, out } => {
            let draft = dispute::closing(&id, &reason, (&global.trust()?, now))?;
            let Some(out) = out else {
                let (desk, key) = global.desk_as()?;
                return done(&dispute::close(&desk, &draft, &key, now)?);
            };
            sro::write(&draft, &out)
        }
    }
}

fn done(receipt: &DisputeReceipt) -> R<Answer> {
    Ok(Answer::new(receipt, format!("{} is {}", receipt.dispute_id, receipt.state)))
}
