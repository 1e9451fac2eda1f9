//! What people look at: the runs of their contracts, what is left of a budget, what a training would cost. Reads alone;
//! whom they concern is judged as everywhere.

use std::collections::BTreeMap;

use policies::accountant::{RdpVector, calibrate};
use policies::budget;
use policies::lifecycle::{AbortFact, RunRow, State};
use schemas::desk::{BudgetLine, BudgetView, Forecast, ForecastPoint, RunLine, RunList, RunRecord, RunStatement};
use schemas::id::{ContractId, DatasetId, Did, RunId};
use schemas::party::Kind;
use schemas::privacy::{DatasetCharge, Mechanism, Scope};
use schemas::release::KmsStatement;
use schemas::text::Real;
use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call, page_size};
use crate::error::fault;

/// A page of the runs that the caller may read about, newest first; `contract` chooses among them.
pub fn runs(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let limit = page_size(call)?;
    let before = call.query.get("cursor").map(|text| RunId::parse(text)).transpose()?;
    let contract = call.query.get("contract").map(|text| ContractId::parse(text)).transpose()?;
    let under = |row: &RunRow| {
        let of = |id: &ContractId| state.job_of(row).is_ok_and(|job| job.contracts.iter().any(|c| c.id == *id));
        contract.as_ref().is_none_or(of)
    };
    let rows = state.runs().rev().filter(|row| before.as_ref().is_none_or(|id| row.run_id < *id));
    let mut rows = rows.filter(|row| under(row)).filter(|row| reads(&state, &caller, row));
    let page: Vec<&RunRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.run_id.to_string());
    let runs = page.into_iter().map(|row| line(&state, row)).collect::<R<Vec<_>>>()?;
    Answer::ok(&RunList { runs, next })
}

fn reads(state: &State, caller: &Caller, row: &RunRow) -> bool {
    state.job_of(row).is_ok_and(|job| caller.reads_job(state, job))
}

fn line(state: &State, row: &RunRow) -> R<RunLine> {
    let job = state.job_of(row)?;
    Ok(RunLine {
        run_id: row.run_id.clone(),
        job_sha256: row.job_sha256,
        tdc: job.tdc.clone(),
        ccrp: job.ccrp.clone(),
        contracts: job.contracts.clone(),
        state: super::word(&row.state)?,
        assurance: row.assurance,
        image_set_id: row.image_set_id.clone(),
        checked_in_at: row.checked_in_at,
        completed_at: row.completion.as_ref().map(|(_, at, _)| *at),
    })
}

/// What the log holds about a run. That an overseer reads it is entered first.
pub fn record(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let id: RunId = call.param("id")?;
    let unknown = || Refusal::new(Code::RunUnknown, "no such run is known to you");
    let row = state.run(&id).filter(|row| reads(&state, &caller, row)).ok_or_else(unknown)?;
    let order = state.order(&row.job_sha256).ok_or_else(unknown)?;
    oversight::enter(app, &caller, row.index, 1)?;
    let statements = state.receipts_of(&row.run_id);
    let statements = statements.map(|r| RunStatement { index: r.index, receipt: r.receipt.clone() }).collect();
    let (aborted, aborted_steps, aborted_code) = match &row.aborted {
        Some(AbortFact::ByRoom { index, steps_run, code, .. }) => (Some(*index), Some(*steps_run), Some(code.clone())),
        Some(AbortFact::FromOutside { index } | AbortFact::Silent { index }) => (Some(*index), None, None),
        None => (None, None, None),
    };
    Answer::ok(&RunRecord {
        run: line(&state, row)?,
        job: order.envelope.clone(),
        ordered: order.index,
        checked_in: row.index,
        evidence_sha256: row.evidence_sha256,
        checks: row.checks.clone(),
        platform: row.platform.as_deref().cloned(),
        statements,
        completion: row.completion.as_ref().map(|(index, ..)| *index),
        delivered: row.delivered,
        aborted,
        aborted_steps,
        aborted_code,
    })
}

/// What is left of a dataset's budget, as the log shows it: every consumer for its provider and who oversees, a consumer
/// itself alone.
pub fn budget(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let id: DatasetId = call.param("id")?;
    let missing = || Refusal::new(Code::NotFound, "no such dataset is registered");
    let offer = &state.latest_offer(&id).ok_or_else(missing)?.offer;
    let all = caller.oversees() || offer.provider == *caller.did();
    let shown = |tdc: &Did| all || tdc == caller.did();
    let cap = &offer.privacy_cap;
    let cap_micro = budget::epsilon_micro(&cap.epsilon)?;
    let mut charges = charges(&state, offer.family.as_str())?;
    if !all && caller.kind() == Kind::Tdc {
        charges.entry(caller.did().clone()).or_default();
    }
    let together: Vec<DatasetCharge> = charges.values().flatten().cloned().collect();
    let lines = charges.into_iter().filter(|(tdc, _)| shown(tdc)).map(|(tdc, charges)| {
        let ledger = if cap.scope == Scope::Global { &together } else { &charges };
        let left_micro = budget::left(ledger, cap)?;
        let runs = u32::try_from(charges.len()).map_err(fault)?;
        Ok(BudgetLine { tdc, runs, spent_micro: cap_micro.saturating_sub(left_micro), left_micro })
    });
    let lines = lines.collect::<R<Vec<_>>>()?;
    Answer::ok(&BudgetView { dataset_id: id, family: offer.family.clone(), cap: cap.clone(), cap_micro, lines })
}

/// The charges of a family that stand or are held, by consumer.
fn charges(state: &State, family: &str) -> R<BTreeMap<Did, Vec<DatasetCharge>>> {
    let mut all: BTreeMap<Did, Vec<DatasetCharge>> = BTreeMap::new();
    for run in state.runs() {
        let tdc = &state.job_of(run)?.tdc;
        for row in state.receipts_of(&run.run_id) {
            let held = match &row.receipt.statement {
                // A reservation that ended without a release lapses.
                KmsStatement::Released { .. } => run.alive() || run.charge_stands(),
                _ => false,
            };
            let own = row.receipt.charges.iter().filter(|charge| held && charge.family.as_str() == family);
            all.entry(tdc.clone()).or_default().extend(own.cloned());
        }
    }
    all.retain(|_, charges| !charges.is_empty());
    Ok(all)
}

/// Points of a forecast.
const POINTS: u32 = 24;
/// The largest ε of a forecast: beyond it lies so little noise that the accountant reckons for seconds.
const MOST_EPSILON: f64 = 64.0;
/// The most steps of a forecast.
const MOST_STEPS: u64 = 1_000_000;

/// What a private training would cost at the least noise that keeps to `epsilon` at `delta`: `sample_rate`, `steps`.
pub fn forecast(app: &App, call: &Call) -> R<Answer> {
    caller(app, call, &app.registry.state())?;
    let real = |name: &str| {
        let text = call.query.get(name).map(String::as_str).unwrap_or_default();
        Real::parse(text).map_err(|refusal| refusal.at(name))
    };
    let (epsilon, delta, rate) = (real("epsilon")?, real("delta")?, real("sample_rate")?);
    if epsilon.value() > MOST_EPSILON {
        return Err(Refusal::new(Code::LimitExceeded, "ε is at most 64 in a forecast").at("epsilon"));
    }
    let steps = call.number("steps", 0)?;
    if !(1..=MOST_STEPS).contains(&steps) {
        return Err(Refusal::new(Code::LimitExceeded, "steps are 1 to 1,000,000").at("steps"));
    }
    let steps = u32::try_from(steps).map_err(fault)?;
    let none = || {
        let sentence = "no amount of noise reaches this ε with these steps at this sampling rate and δ";
        Refusal::new(Code::EpsilonOutOfRange, sentence).at("epsilon")
    };
    let atto = delta.scaled_up(18).and_then(|atto| u64::try_from(atto).ok());
    let atto = atto.filter(|atto| (1..1_000_000_000_000_000_000).contains(atto));
    let atto =
        atto.ok_or_else(|| Refusal::new(Code::EpsilonOutOfRange, "δ must lie between 10^-18 and 1").at("delta"))?;
    let noise = calibrate(epsilon.value(), delta.value(), rate.value(), steps, &RdpVector::zero(), 1.0);
    let noise = noise.and_then(|noise| Real::rounded_up(noise, 3)).ok_or_else(none)?;
    let cost = |steps: u32| -> R<ForecastPoint> {
        let steps_of = Mechanism::SampledGaussian { noise_multiplier: noise.clone(), sample_rate: rate.clone(), steps };
        let epsilon_micro = budget::vector(&[steps_of])?.epsilon_micro(atto);
        Ok(ForecastPoint { steps, epsilon_micro })
    };
    let mut at: Vec<u32> = (1..=POINTS).map(|n| (u64::from(steps) * u64::from(n) / u64::from(POINTS)) as u32).collect();
    at.retain(|steps| *steps > 0);
    at.dedup();
    let points = at.into_iter().map(cost).collect::<R<Vec<_>>>()?;
    Answer::ok(&Forecast { noise_multiplier: noise, points })
}
