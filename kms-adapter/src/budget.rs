//! The ledger: what every run costs each family of data principals, checked against the caps in the same transaction
//! that enters it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::accountant::RdpVector;
use schemas::privacy::{DatasetCharge, Scope};
use schemas::{Code, R, Refusal, Timestamp};
use serde::Serialize;

use crate::judge::{Judged, OwnDataset};
use crate::kms::{Kms, use_once};
use crate::run::{self, COUNTING};
use crate::store::Tx;
use crate::tables::{charge, run as runs};

/// A row of the ledger.
#[derive(Insertable)]
#[diesel(table_name = charge)]
struct NewCharge {
    run_id: String,
    family: String,
    tdc: String,
    scope: String,
    contract_id: String,
    dataset_id: String,
    version: i64,
    event: Vec<u8>,
    at: i64,
}

fn decode(events: Vec<Vec<u8>>) -> R<Vec<DatasetCharge>> {
    let read = |event: &Vec<u8>| serde_json::from_slice(event);
    let all: Result<_, _> = events.iter().map(read).collect();
    all.map_err(|_| Refusal::new(Code::Internal, "a charge of the ledger does not read"))
}

/// Events of a family that count: of one consumer, or, where the budget is shared by all, of every one.
fn of_family(c: &mut SqliteConnection, dataset: &OwnDataset, tdc: &str, family: &str) -> Tx<Vec<DatasetCharge>> {
    let mut rows = charge::table
        .inner_join(runs::table)
        .filter(charge::family.eq(family).and(runs::state.eq_any(COUNTING)))
        .select(charge::event)
        .into_boxed();
    if dataset.cap.scope == Scope::PerTdc {
        rows = rows.filter(charge::tdc.eq(tdc));
    }
    Ok(decode(rows.load(c)?)?)
}

/// Events of a dataset under one contract that count.
fn of_contract(c: &mut SqliteConnection, dataset: &OwnDataset) -> Tx<Vec<DatasetCharge>> {
    let rows = charge::table
        .inner_join(runs::table)
        .filter(charge::contract_id.eq(dataset.released.contract.id.as_str()))
        .filter(charge::dataset_id.eq(dataset.released.dataset_id.as_str()))
        .filter(runs::state.eq_any(COUNTING))
        .select(charge::event);
    Ok(decode(rows.load(c)?)?)
}

/// Refuses unless every new charge fits beside what stands in the ledger and beside the charges before it.
pub(crate) fn check(c: &mut SqliteConnection, judged: &Judged, charges: &[DatasetCharge]) -> Tx<()> {
    let tdc = judged.opened.job.tdc.as_str();
    for (index, (dataset, new)) in judged.own.iter().zip(charges).enumerate() {
        let mut family = of_family(c, dataset, tdc, new.family.as_str())?;
        family.extend(charges.iter().take(index).filter(|other| other.family == new.family).cloned());
        let contract = of_contract(c, dataset)?;
        policies::budget::check(&family, &contract, &dataset.cap, &dataset.clause, new)?;
    }
    Ok(())
}

/// Enters the charges of a run.
pub(crate) fn enter(c: &mut SqliteConnection, judged: &Judged, charges: &[DatasetCharge], now: Timestamp) -> Tx<()> {
    let tdc = judged.opened.job.tdc.to_string();
    for (dataset, new) in judged.own.iter().zip(charges) {
        let row = NewCharge {
            run_id: judged.transcript.run_id.to_string(),
            family: new.family.to_string(),
            tdc: tdc.clone(),
            scope: match dataset.cap.scope {
                Scope::PerTdc => tdc.clone(),
                Scope::Global => "global".into(),
            },
            contract_id: dataset.released.contract.id.to_string(),
            dataset_id: new.dataset_id.to_string(),
            version: i64::from(new.version),
            event: serde_json::to_vec(new).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            at: now.micros(),
        };
        diesel::insert_into(charge::table).values(&row).execute(c)?;
    }
    Ok(())
}

/// The charges of a run as the ledger has them, in the order in which they were entered.
pub(crate) fn of_run(c: &mut SqliteConnection, run_id: &str) -> Tx<Vec<DatasetCharge>> {
    let rows = charge::table.filter(charge::run_id.eq(run_id)).order(charge::charge_id.asc()).select(charge::event);
    Ok(decode(rows.load(c)?)?)
}

/// The ledger as its owner sees it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BudgetView {
    /// One per family and scope.
    pub ledgers: Vec<LedgerView>,
}

/// The ledger of a family in one scope.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LedgerView {
    /// The family.
    pub family: String,
    /// The consumer, or `global`.
    pub scope: String,
    /// ε spent by the events that count, in 10⁻⁶ rounded up, at the smallest δ of the events; none when nothing counts.
    pub epsilon_micro: Option<u64>,
    /// That δ.
    pub delta: Option<String>,
    /// All events in the order of their entry.
    pub events: Vec<EventView>,
}

/// An event of a ledger.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EventView {
    /// The run.
    pub run_id: String,
    /// `reserved`, `charged`, `committed`, `expired` or `refunded`; the last two do not count.
    pub state: String,
    /// The contract.
    pub contract_id: String,
    /// When it was entered.
    pub at: Timestamp,
    /// What it costs.
    pub charge: DatasetCharge,
}

impl LedgerView {
    fn sum_up(&mut self) -> R<()> {
        let counting = self.events.iter().filter(|e| COUNTING.contains(&e.state.as_str()));
        let charges: Vec<DatasetCharge> = counting.map(|e| e.charge.clone()).collect();
        let smallest = charges.iter().map(|c| &c.delta).min_by(|a, b| a.value().total_cmp(&b.value()));
        let Some(delta) = smallest else { return Ok(()) };
        let sum: RdpVector = policies::budget::spent(&charges)?;
        self.epsilon_micro = Some(policies::accountant::micro_up(sum.epsilon(delta.value())));
        self.delta = Some(delta.to_string());
        Ok(())
    }
}

impl Kms {
    /// The ledger, for the TDP alone: its assertion for this service stands in `token`.
    pub fn budget(&self, token: &str) -> R<BudgetView> {
        let now = self.now();
        let claims = signing::token::check_assertion(token, &self.config.url, &self.provider_book(), now)?;
        self.store.transact(|c| {
            use_once(c, claims.iss.as_str(), &claims.jti, Code::TokenReplayed, now)?;
            run::expire(c, now)
        })?;
        let columns = (
            charge::run_id,
            runs::state,
            charge::family,
            charge::scope,
            charge::contract_id,
            charge::at,
            charge::event,
        );
        type Columns = (String, String, String, String, String, i64, Vec<u8>);
        let rows: Vec<Columns> = self.store.transact(|c| {
            let all = charge::table.inner_join(runs::table).order(charge::charge_id.asc()).select(columns);
            Ok(all.load(c)?)
        })?;
        let mut ledgers: BTreeMap<(String, String), LedgerView> = BTreeMap::new();
        for (run_id, state, family, scope, contract_id, at, event) in rows {
            let key = (family.clone(), scope.clone());
            let empty = LedgerView { family, scope, epsilon_micro: None, delta: None, events: Vec::new() };
            let charge = serde_json::from_slice(&event)
                .map_err(|_| Refusal::new(Code::Internal, "a charge of the ledger does not read"))?;
            let at = Timestamp::from_micros(at);
            ledgers.entry(key).or_insert(empty).events.push(EventView { run_id, state, contract_id, at, charge });
        }
        let mut ledgers: Vec<LedgerView> = ledgers.into_values().collect();
        ledgers.iter_mut().try_for_each(LedgerView::sum_up)?;
        Ok(BudgetView { ledgers })
    }
}
