//! What falls due: computed from contracts and log alone, the same in service and audit.
//!
//! [`due`] takes a contract and what the log knows of a run, and gives what each term owes: whole minor units, in `i128`
//! on the way, by largest remainders where payees share. Quantities are the contract's public figures, what the room
//! attested, what the run's plan charges, and differences of the log's own times; a consumer's word counts in
//! `revenue_share` alone, whose statements are logged ([`revenue`]).

mod amount;
mod estimate;
mod ids;
mod share;
mod words;

pub use amount::{Tally, amount, revenue, worst};
pub use estimate::{Estimate, estimate, first_run};
pub use ids::{Act, instruction, instruction_id, surplus_id};
pub use share::{Part, parts, split};
pub use words::plain;

use schemas::contract::{Contract, ContractRef, PaymentTerm, TermKind, Trigger};
use schemas::event::Obligation;
use schemas::id::RunId;
use schemas::job::JobSpec;
use schemas::money::Minor;
use schemas::pipeline::Stage;
use schemas::privacy::DatasetCharge;
use schemas::problem::{Code, R, Refusal};
use schemas::{Digest, Timestamp};

/// What the log knows of a run. What it does not know yet is none, and a term that counts it is not owed yet.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Its job.
    pub job: &'a JobSpec,
    /// Steps carried out, as the completion attests.
    pub steps: Option<u32>,
    /// What the run's plan charges each dataset, as job and contracts give it; never what a key service states.
    pub charges: &'a [DatasetCharge],
    /// Log times of check-in and completion.
    pub time: Option<(Timestamp, Timestamp)>,
}

/// What one term owes at one occasion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owed {
    /// The term.
    pub term_id: String,
    /// The quantity that was counted.
    pub units: u64,
    /// One per payee and line, without amounts of 0.
    pub obligations: Vec<Obligation>,
}

/// The occasion that makes a term fall due; it stands in the obligation and in its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion<'a> {
    /// A run.
    Run(&'a RunId),
    /// A job whose deposit is asked.
    Job(&'a Digest),
    /// A period.
    Period(Nth),
    /// What a statement owes for a period beyond the minimum that the clock made due.
    Stated(Nth),
}

/// A period of a version of a contract; each version counts from its own `effective_from`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nth {
    /// The contract's version.
    pub version: u32,
    /// The period, from 0.
    pub period: u32,
}

/// What the terms of a contract with this trigger owe for a run, in their order. `before` says what a term was owed for
/// under the contract so far. Terms by period and deposits are not of this: [`term_owes`].
pub fn due<'t>(
    trigger: Trigger,
    (reference, contract): (&ContractRef, &'t Contract),
    facts: &RunFacts<'_>,
    before: impl Fn(&'t PaymentTerm) -> Tally,
) -> R<Vec<Owed>> {
    let terms = contract.payment.iter().filter(|term| term.trigger == trigger && concerns(term, facts.job));
    let each = terms.map(|term| run_owes(term, (reference, contract), facts, before(term)));
    each.filter_map(Result::transpose).collect()
}

/// What one term owes for a run that reached its trigger; none where nothing is owed, or the log does not know it yet.
pub fn run_owes(
    term: &PaymentTerm,
    (reference, contract): (&ContractRef, &Contract),
    facts: &RunFacts<'_>,
    before: Tally,
) -> R<Option<Owed>> {
    let Some(units) = quantity(term, contract, facts, before)? else { return Ok(None) };
    let owed = amount(term, before, units)?;
    let obligations = term_owes(term, reference, Occasion::Run(facts.run), owed)?;
    Ok(Some(Owed { term_id: term.term_id.clone(), units, obligations }))
}

/// What the entry of a completion lists, where no term of the contracts depends on what it was owed for before; none where
/// one does, and only the log can say. The contracts stand in the order of the job.
pub fn listed(facts: &RunFacts<'_>, contracts: &[(&ContractRef, &Contract)]) -> R<Option<Vec<Obligation>>> {
    if contracts.iter().flat_map(|(_, contract)| &contract.payment).any(counts_on) {
        return Ok(None);
    }
    let facts = RunFacts { time: None, ..*facts };
    let mut all = Vec::new();
    for pair in contracts {
        all.extend(
            due(Trigger::Completed, *pair, &facts, |_| Tally::default())?.into_iter().flat_map(|o| o.obligations),
        );
    }
    Ok(Some(all))
}

/// Whether what a term owes depends on what it was owed for before.
pub fn counts_on(term: &PaymentTerm) -> bool {
    let stepped = term.pricing.as_ref().is_some_and(|pricing| !pricing.tiers.is_empty());
    let later = term.discount.as_ref().is_some_and(|discount| discount.after_runs.is_some());
    term.kind == TermKind::Fixed || stepped || later
}

/// The obligations of an amount of a term: shares of the payees, each with its tax lines; amounts of 0 are left out.
pub fn term_owes(
    term: &PaymentTerm,
    contract: &ContractRef,
    occasion: Occasion<'_>,
    amount: Minor,
) -> R<Vec<Obligation>> {
    let (run_id, job_sha256, period) = match occasion {
        Occasion::Run(run) => (Some(run.clone()), None, None),
        Occasion::Job(job) => (None, Some(*job), None),
        Occasion::Period(nth) | Occasion::Stated(nth) => (None, None, Some(nth.period)),
    };
    let parts = parts(term, amount)?;
    let owed = parts.into_iter().filter(|part| part.amount.get() > 0);
    owed.map(|part| {
        Ok(Obligation {
            instruction_id: ids::of_part(contract, occasion, &term.term_id, &part)?,
            contract: contract.clone(),
            run_id: run_id.clone(),
            job_sha256,
            period,
            term_id: term.term_id.clone(),
            line: part.line,
            payer: term.payer.clone(),
            payee: part.to.clone(),
            currency: term.currency,
            amount_minor: part.amount,
        })
    })
    .collect()
}

/// Whether a term is about a job at all: about one of its datasets, or about every run.
pub fn concerns(term: &PaymentTerm, job: &JobSpec) -> bool {
    term.dataset_id.as_ref().is_none_or(|id| job.datasets.iter().any(|d| d.dataset_id == *id))
}

/// The number of a period: period n begins n × `period_days` after the contract.
pub fn period_begins(term: &PaymentTerm, contract: &Contract, n: u32) -> Option<Timestamp> {
    let days = term.pricing.as_ref()?.period_days?;
    let seconds = i64::from(days).checked_mul(86_400)?.checked_mul(i64::from(n))?;
    Some(contract.effective_from.plus_seconds(seconds))
}

/// Passes over the data, rounded up to whole ones: steps times the sampling rate of the job's training.
pub fn epochs(job: &JobSpec, steps: u32) -> R<u64> {
    let rate = job.stages.iter().find_map(|stage| match stage {
        Stage::Train(training) => Some(&training.sample_rate),
        Stage::Join(_) | Stage::Output(_) => None,
    });
    let Some(rate) = rate else { return Ok(0) };
    let atto = rate.scaled_up(18).and_then(|rate| rate.checked_mul(u128::from(steps)));
    let whole = atto.map(|atto| atto.div_ceil(1_000_000_000_000_000_000));
    whole.and_then(|whole| u64::try_from(whole).ok()).ok_or_else(|| too_large("epochs"))
}

/// How much of what a term counts; none where nothing is owed now, or the log does not know it yet.
fn quantity(term: &PaymentTerm, contract: &Contract, facts: &RunFacts<'_>, before: Tally) -> R<Option<u64>> {
    Ok(match term.kind {
        TermKind::Free | TermKind::Subscription | TermKind::RevenueShare | TermKind::Escrow => None,
        TermKind::PerRun => Some(1),
        TermKind::Fixed => (before.times == 0).then_some(1),
        TermKind::PerEpoch => facts.steps.map(|steps| epochs(facts.job, steps)).transpose()?,
        TermKind::PerRecord => records(term, contract),
        TermKind::PerEpsilon => {
            let own = facts.charges.iter().find(|charge| Some(&charge.dataset_id) == term.dataset_id.as_ref());
            own.map(|charge| charge.epsilon_micro)
        }
        TermKind::PerComputeHour => facts.time.map(|(from, to)| started_seconds(from, to)),
    })
}

/// The contracted public count of principals of the term's dataset.
pub(crate) fn records(term: &PaymentTerm, contract: &Contract) -> Option<u64> {
    let id = term.dataset_id.as_ref()?;
    contract.datasets.iter().find(|d| d.dataset_id == *id).map(|d| d.public_rows)
}

fn started_seconds(from: Timestamp, to: Timestamp) -> u64 {
    let micros = u64::try_from(to.micros().saturating_sub(from.micros())).unwrap_or(0);
    micros.div_ceil(1_000_000)
}

fn too_large(what: &str) -> Refusal {
    Refusal::new(Code::LimitExceeded, format!("The {what} of a payment exceed what can be paid.")).at("payment")
}
