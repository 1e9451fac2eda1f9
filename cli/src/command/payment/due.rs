use std::path::PathBuf;

use clap::Args;
use depa::{edge, payment};
use policies::payment::Estimate;
use schemas::R;
use schemas::id::ContractId;
use schemas::money::Minor;

use super::Global;
use crate::output::Answer;

#[derive(Args)]
pub struct Due {
    /// The job's bundle.
    bundle: PathBuf,
    /// How long the run is thought to take, for terms that count hours.
    #[arg(long)]
    hours: Option<u32>,
}

#[derive(Args)]
pub struct Revenue {
    /// The contract.
    #[arg(long, value_parser = crate::command::id::<ContractId>)]
    contract: ContractId,
    /// Its term.
    #[arg(long)]
    term: String,
    /// The period, from 0.
    #[arg(long)]
    period: u32,
    /// The revenue of the period in minor units of the term's currency.
    #[arg(long)]
    amount: i64,
}

/// What would fall due.
pub fn due(due: &Due, global: &Global) -> R<Answer> {
    let seconds = due.hours.map(|hours| u64::from(hours) * 3600);
    let terms = payment::due(&edge::read_json_of(&due.bundle, edge::BUNDLE)?, seconds, &global.trust()?)?;
    let mut lines: Vec<String> = terms.iter().map(line).collect();
    lines.push("tiers, discounts after some runs and amounts that are owed once count as for the first run".into());
    Ok(Answer::new(&terms, lines.join("\n")))
}

/// Signs and enters a statement.
pub fn revenue(revenue: &Revenue, global: &Global) -> R<Answer> {
    let (desk, key) = global.desk_as()?;
    let amount = Minor::new(revenue.amount)?;
    let place = (&revenue.contract, revenue.term.as_str(), revenue.period);
    let receipt = payment::state_revenue(&desk, &key, &global.trust()?, place, amount, edge::now())?;
    Ok(Answer::new(&receipt, format!("entered at {}", receipt.index)))
}

fn line(term: &Estimate) -> String {
    let money = |minor: Option<Minor>| minor.map_or("unknown".to_owned(), |m| payment::amount(m, term.currency));
    let when = match (term.blocked_first, term.owed_if_failed) {
        (true, _) => "blocked before the run",
        (false, true) => "also if the run fails with its keys",
        (false, false) => "if the run completes",
    };
    format!("{}\n  expected {}, at most {}; {when}", term.words, money(term.expected_minor), money(term.most_minor))
}
