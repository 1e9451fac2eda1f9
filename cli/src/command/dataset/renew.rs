//! A privacy budget is renewed, and its renewals are read.

use clap::Subcommand;
use depa::dataset::renewal::{self, Renewal};
use depa::table::Table;
use depa::{dataset, edge};
use schemas::R;
use schemas::id::{DatasetId, Did};
use schemas::text::Real;

use super::super::{Global, id};
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Raise the cap of your newest offer by a stated ε, within the total that the offer says (`renewable_to`).
    ///
    /// Nothing that was spent is forgotten, and contracts keep their grants.
    #[command(
        after_help = "Examples:\n  depa dataset renew dst_… --number 1 --epsilon 0.5 --tdc did:web:… --reason 'second year' --key tdp.key --trust trust.json --registry URL\n  depa dataset renewals dst_… --registry URL"
    )]
    Renew {
        /// The dataset.
        #[arg(value_parser = id::<DatasetId>)]
        id: DatasetId,
        /// The consumer whose ledger it is; left out where the cap is for all consumers together.
        #[arg(long, value_parser = id::<Did>)]
        tdc: Option<Did>,
        /// Which renewal of that ledger this is, from 1: the same one sent twice counts once.
        #[arg(long)]
        number: u32,
        /// ε by which the cap rises.
        #[arg(long)]
        epsilon: String,
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
    },
    /// List the renewals of a dataset's privacy budget, offer by offer.
    #[command(after_help = "Example:\n  depa dataset renewals dst_… --registry URL")]
    Renewals {
        /// The dataset.
        #[arg(value_parser = id::<DatasetId>)]
        id: DatasetId,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Renew { id, tdc, number, epsilon, reason } => {
            let ((desk, key), trust) = (global.desk_as()?, global.trust()?);
            let offer = dataset::verified_offer(&desk, &trust, &id)?;
            let epsilon = Real::parse(&epsilon).map_err(|refusal| refusal.at("epsilon"))?;
            let signed = renewal::sign(Renewal { tdc, number, epsilon, reason }, &offer, &key, edge::now())?;
            let receipt = desk.renew_budget(&signed)?;
            Ok(Answer::new(&receipt, format!("renewed; entry {} of the log", receipt.index)))
        }
        Verb::Renewals { id } => {
            let all = global.desk()?.budget_renewals(&id)?;
            let row = |logged: &schemas::bundle::Logged<schemas::renewal::BudgetRenewal>| {
                let renewal = logged.envelope.read_unverified()?;
                let ledger = renewal.tdc.map_or("all consumers".to_owned(), |tdc| tdc.to_string());
                let (number, epsilon, at) = (renewal.number, renewal.epsilon, renewal.at);
                Ok([number.to_string(), epsilon.to_string(), ledger, at.to_string(), renewal.reason])
            };
            let rows = all.renewals.iter().map(row).collect::<R<Vec<_>>>()?;
            let table = Table::new(["number", "ε", "ledger", "at", "reason"], rows).numbers(&["number", "ε"]);
            Ok(Answer::new(&all, table.text()))
        }
    }
}
