//! What a run would cost, before it starts.

use schemas::contract::{Contract, ContractRef, PaymentTerm, TermKind, Trigger};
use schemas::event::Obligation;
use schemas::id::{Did, RunId};
use schemas::job::JobSpec;
use schemas::money::{Currency, Minor};
use schemas::pipeline::Stage;
use schemas::privacy::DatasetCharge;
use schemas::problem::R;
use serde::{Deserialize, Serialize};

use super::amount::minor;
use super::{Occasion, RunFacts, Tally, amount, concerns, due, epochs, parts, plain, records, term_owes, worst};

/// What one term of a contract would cost its payer with one run of a job, taxes included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The contract.
    pub contract: ContractRef,
    /// The term.
    pub term_id: String,
    /// Who pays.
    pub payer: Did,
    /// ISO 4217.
    pub currency: Currency,
    /// Why it falls due.
    pub kind: TermKind,
    /// When it falls due.
    pub trigger: Trigger,
    /// As the first run under the contract; none where the quantity is not known beforehand.
    pub expected_minor: Option<Minor>,
    /// The most; none where nothing bounds it.
    pub most_minor: Option<Minor>,
    /// Whether it is owed although the run fails, once keys are released.
    pub owed_if_failed: bool,
    /// Whether that much is blocked beforehand.
    pub blocked_first: bool,
    /// The term in plain words.
    pub words: String,
}

/// What a run of this job would cost, term by term. `charges` are those of the job's plan, where it is known; `seconds`
/// how long the run is thought to take.
pub fn estimate(
    job: &JobSpec,
    contracts: &[(&ContractRef, &Contract)],
    charges: &[DatasetCharge],
    seconds: Option<u64>,
) -> R<Vec<Estimate>> {
    let mut all = Vec::new();
    for (reference, contract) in contracts {
        for term in contract.payment.iter().filter(|term| concerns(term, job)) {
            let Some(units) = units(term, contract, job, charges, seconds)? else { continue };
            let cost = |amount: Minor| total(term, amount);
            let cap = term.pricing.as_ref().and_then(|pricing| pricing.cap_minor);
            let most = match units {
                Some(units) => Some(worst(term, units)?),
                None => cap,
            };
            all.push(Estimate {
                contract: (*reference).clone(),
                term_id: term.term_id.clone(),
                payer: term.payer.clone(),
                currency: term.currency,
                kind: term.kind,
                trigger: term.trigger,
                expected_minor: units.map(|units| cost(amount(term, Tally::default(), units)?)).transpose()?,
                most_minor: most.map(cost).transpose()?,
                owed_if_failed: term.trigger == Trigger::KeysReleased,
                blocked_first: term.kind == TermKind::Escrow,
                words: plain(term),
            });
        }
    }
    Ok(all)
}

/// The obligations of the first run of this job under its contracts when it completes, deposits included; terms that count
/// the log's time are left out. Any run id gives the same payees and amounts.
pub fn first_run(
    run: &RunId,
    job: &JobSpec,
    contracts: &[(&ContractRef, &Contract)],
    charges: &[DatasetCharge],
) -> R<Vec<Obligation>> {
    let facts = RunFacts { run, job, steps: steps(job), charges, time: None };
    let mut all = Vec::new();
    for (reference, contract) in contracts {
        for trigger in [Trigger::KeysReleased, Trigger::Completed] {
            all.extend(
                due(trigger, (*reference, *contract), &facts, |_| Tally::default())?
                    .into_iter()
                    .flat_map(|o| o.obligations),
            );
        }
        for term in contract.payment.iter().filter(|term| term.kind == TermKind::Escrow && concerns(term, job)) {
            all.extend(term_owes(term, reference, Occasion::Run(run), amount(term, Tally::default(), 1)?)?);
        }
    }
    Ok(all)
}

fn steps(job: &JobSpec) -> Option<u32> {
    job.stages.iter().find_map(|stage| match stage {
        Stage::Train(training) => Some(training.steps),
        Stage::Join(_) | Stage::Output(_) => None,
    })
}

/// The quantity, where a run of the job owes anything by the term: `Some(None)` where it is not known beforehand.
fn units(
    term: &PaymentTerm,
    contract: &Contract,
    job: &JobSpec,
    charges: &[DatasetCharge],
    seconds: Option<u64>,
) -> R<Option<Option<u64>>> {
    Ok(match term.kind {
        TermKind::Free | TermKind::Subscription | TermKind::RevenueShare => None,
        TermKind::PerRun | TermKind::Fixed | TermKind::Escrow => Some(Some(1)),
        TermKind::PerEpoch => Some(steps(job).map(|steps| epochs(job, steps)).transpose()?),
        TermKind::PerRecord => Some(records(term, contract)),
        TermKind::PerEpsilon => {
            let own = charges.iter().find(|charge| Some(&charge.dataset_id) == term.dataset_id.as_ref());
            Some(own.map(|charge| charge.epsilon_micro))
        }
        TermKind::PerComputeHour => Some(seconds),
    })
}

/// What the payer pays in all for an amount of a term.
fn total(term: &PaymentTerm, amount: Minor) -> R<Minor> {
    minor(parts(term, amount)?.iter().map(|part| i128::from(part.amount.get())).sum())
}
