//! The budget: what every run costs each family of data principals, checked against the caps in the same transaction
//! that enters it; and the ledger as its owner reads it, with what was let out outside runs.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use policies::accountant::RdpVector;
use schemas::own_release::{OwnRelease, ReleasedKind};
use schemas::privacy::{Clause, DatasetCharge, Scope, WITHOUT_PRIVACY, level_words};
use schemas::release::KmsReceipt;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::judge::OwnDataset;
use crate::kms::{Kms, use_once};
use crate::ledger;
use crate::own_release;
use crate::rows;
use crate::run::{self, COUNTING, RunRow};
use crate::store::{Db, Tx};
use crate::tables::{charge, run as runs};

/// A charge as the database has it.
#[derive(Clone, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = charge)]
pub(crate) struct ChargeRow {
    pub run_id: String,
    pub family: String,
    pub tdc: String,
    /// The ledger by which the offer's cap was meant when the run was charged.
    pub scope: String,
    pub contract_id: String,
    pub dataset_id: String,
    pub version: i64,
    pub event: Vec<u8>,
    pub at: i64,
    pub rdp: Vec<u8>,
}

/// What a run is to be charged for one dataset, its cost worked out before the transaction.
#[derive(Clone)]
pub(crate) struct Line {
    pub charge: DatasetCharge,
    pub cost: RdpVector,
    /// The most that the offer lets any contract grant, over all its consumers or over each.
    pub cap: Clause,
    /// What the contract grants.
    pub clause: Clause,
    pub contract_id: String,
}

/// The lines of a request: one for each dataset whose key is kept here.
pub(crate) fn lines(own: &[OwnDataset], charges: &[DatasetCharge]) -> R<Vec<Line>> {
    let line = |(dataset, charge): (&OwnDataset, &DatasetCharge)| {
        Ok(Line {
            cost: policies::budget::vector(&charge.mechanisms)?,
            charge: charge.clone(),
            cap: dataset.cap.clone(),
            clause: dataset.clause.clone(),
            contract_id: dataset.released.contract.id.to_string(),
        })
    };
    own.iter().zip(charges).map(line).collect()
}

fn decode(events: Vec<Vec<u8>>) -> R<Vec<DatasetCharge>> {
    let read = |event: &Vec<u8>| serde_json::from_slice(event);
    let all: Result<_, _> = events.iter().map(read).collect();
    all.map_err(|_| Refusal::new(Code::Internal, "a charge of the ledger does not read"))
}

/// What counts of a dataset under one contract.
pub(crate) fn of_contract(c: &mut Db, contract_id: &str, dataset_id: &str) -> Tx<RdpVector> {
    let rows = charge::table
        .inner_join(runs::table)
        .filter(charge::contract_id.eq(contract_id))
        .filter(charge::dataset_id.eq(dataset_id))
        .filter(runs::state.eq_any(COUNTING))
        .select(charge::rdp);
    Ok(ledger::add(&rows.load(c)?)?)
}

/// The scope of the ledger by which a cap is meant.
fn scope<'a>(cap: &Clause, tdc: &'a str) -> &'a str {
    match cap.scope {
        Scope::PerTdc => tdc,
        Scope::Global => ledger::GLOBAL,
    }
}

/// Charges a consumer, in this order: each line must fit beside what counts in the ledger, the lines before it included;
/// then it is added to the sums of its family, on what was just read. The charges themselves are entered by [`enter`],
/// in the same transaction.
pub(crate) fn take(c: &mut Db, tdc: &str, lines: &[Line]) -> Tx<()> {
    for (index, line) in lines.iter().enumerate() {
        let family = line.charge.family.as_str();
        let spent = ledger::sum(c, family, scope(&line.cap, tdc))?.vector;
        let mut contract = of_contract(c, &line.contract_id, line.charge.dataset_id.as_str())?;
        let same = |other: &&Line| {
            (&other.contract_id, &other.charge.dataset_id) == (&line.contract_id, &line.charge.dataset_id)
        };
        for before in lines.iter().take(index).filter(same) {
            contract = contract.compose(&before.cost);
        }
        policies::budget::both_fit(&spent, &contract, &line.cap, &line.clause, &line.cost)?;
        for scope in ledger::scopes(tdc) {
            let sum = ledger::sum(c, family, scope)?;
            ledger::put(c, family, scope, &sum.vector.compose(&line.cost), sum.rev)?;
        }
    }
    Ok(())
}

/// Enters the charges of a run that [`take`] found room for.
pub(crate) fn enter(c: &mut Db, run_id: &str, tdc: &str, lines: &[Line], now: Timestamp) -> Tx<()> {
    for line in lines {
        let row = ChargeRow {
            run_id: run_id.to_owned(),
            family: line.charge.family.to_string(),
            tdc: tdc.to_owned(),
            scope: scope(&line.cap, tdc).to_owned(),
            contract_id: line.contract_id.clone(),
            dataset_id: line.charge.dataset_id.to_string(),
            version: i64::from(line.charge.version),
            event: serde_json::to_vec(&line.charge).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            at: now.micros(),
            rdp: ledger::encode(&line.cost),
        };
        diesel::insert_into(charge::table).values(&row).execute(c)?;
    }
    Ok(())
}

/// Families and consumers that these runs are charged to.
pub(crate) fn charged(c: &mut Db, run_ids: &[String]) -> Tx<BTreeSet<(String, String)>> {
    let rows = charge::table.filter(charge::run_id.eq_any(run_ids)).select((charge::family, charge::tdc));
    Ok(rows.load::<(String, String)>(c)?.into_iter().collect())
}

/// Works out the cost of charges that an older build entered without it.
pub(crate) fn complete(c: &mut Db) -> Tx<()> {
    let bare = charge::table.filter(charge::rdp.eq(Vec::<u8>::new()));
    let rows: Vec<(i64, String, String, Vec<u8>)> =
        bare.select((charge::charge_id, charge::family, charge::tdc, charge::event)).load(c)?;
    let mut changed = BTreeSet::new();
    for (id, family, tdc, event) in rows {
        for charge in decode(vec![event])? {
            let cost = ledger::encode(&policies::budget::vector(&charge.mechanisms)?);
            diesel::update(charge::table.find(id)).set(charge::rdp.eq(cost)).execute(c)?;
        }
        changed.insert((family, tdc));
    }
    ledger::recount(c, &changed)
}

/// Requires that the charges of a run are those of its newest receipt, column by column: the sums are made of columns.
pub(crate) fn check_run(c: &mut Db, row: &RunRow, said: &KmsReceipt) -> Tx<()> {
    let own = charge::table.filter(charge::run_id.eq(&row.run_id)).order(charge::charge_id.asc());
    let rows: Vec<ChargeRow> = own.select(ChargeRow::as_select()).load(c)?;
    let mut fits = rows.len() == said.charges.len() && consumer_fits(row, said, &rows)?;
    for (row, charge) in rows.iter().zip(&said.charges) {
        let under = said.datasets.iter().find(|d| d.dataset_id == charge.dataset_id && d.version == charge.version);
        let event: Option<DatasetCharge> = serde_json::from_slice(&row.event).ok();
        fits &= event.as_ref() == Some(charge)
            && row.family == charge.family.as_str()
            && row.dataset_id == charge.dataset_id.as_str()
            && row.version == i64::from(charge.version)
            && row.contract_id == under.map(|d| d.contract.id.to_string()).unwrap_or_default()
            && (row.scope == row.tdc || row.scope == ledger::GLOBAL)
            && row.rdp == ledger::encode(&policies::budget::vector(&charge.mechanisms)?);
    }
    if fits {
        return Ok(());
    }
    let sentence = format!("the charges of {} stand otherwise in the ledger than in the journal", row.run_id);
    Err(Refusal::new(Code::LogTampered, sentence).into())
}

/// Whether the charges are of the consumer that ordered the job. A run that is known from the log alone has no job here.
fn consumer_fits(row: &RunRow, said: &KmsReceipt, rows: &[ChargeRow]) -> R<bool> {
    if row.bundle.is_empty() {
        return Ok(row.lost == 1);
    }
    let job = row.bundle()?.job;
    let tdc = job.read_unverified()?.tdc;
    Ok(job.digest() == said.job_sha256 && rows.iter().all(|row| row.tdc == tdc.as_str()))
}

/// The ledger as its owner sees it.
#[derive(Clone, PartialEq, Debug, Serialize, schemars::JsonSchema)]
pub struct BudgetView {
    /// One per family and scope.
    pub ledgers: Vec<LedgerView>,
}

/// The ledger of a family in one scope.
#[derive(Clone, PartialEq, Debug, Serialize, schemars::JsonSchema)]
pub struct LedgerView {
    /// The family.
    pub family: String,
    /// The consumer, `global`, or `*` where no consumer is known: what counts for everyone.
    pub scope: String,
    /// ε spent by the events that count, in 10⁻⁶ rounded up, at the smallest δ of the events; none when nothing counts, and
    /// none where nothing bounds it.
    pub epsilon_micro: Option<u64>,
    /// Events that count and are without differential privacy: with one of them no ε bounds the sum. Written where there
    /// are some.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub without_differential_privacy: usize,
    /// That δ.
    pub delta: Option<String>,
    /// All events in the order of their entry.
    pub events: Vec<EventView>,
    /// What the provider let out itself, outside any run: each counts in every ledger of the family. Written where there is
    /// something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub releases: Vec<ReleaseView>,
}

/// A file that the provider let out itself.
#[derive(Clone, PartialEq, Debug, Serialize, schemars::JsonSchema)]
pub struct ReleaseView {
    /// What it is.
    pub kind: ReleasedKind,
    /// SHA-256 of it.
    pub file_sha256: Digest,
    /// What keeps the offer's cap, in words.
    pub kept: String,
    /// When it was entered.
    pub at: Timestamp,
    /// What it costs.
    pub charge: DatasetCharge,
}

/// An event of a ledger.
#[derive(Clone, PartialEq, Debug, Serialize, schemars::JsonSchema)]
pub struct EventView {
    /// The run.
    pub run_id: String,
    /// `reserved`, `charged`, `committed`, `expired` or `refunded`; the last two do not count.
    pub state: String,
    /// The contract.
    pub contract_id: String,
    /// What keeps the contract's clause, in words: `legal only`, `enforced budget`, …; with `without differential privacy`
    /// where no ε bounds the event.
    pub kept: String,
    /// When it was entered.
    pub at: Timestamp,
    /// What it costs.
    pub charge: DatasetCharge,
}

/// What keeps the clause of a charge, and whether nothing bounds the charge itself.
fn kept(charge: &DatasetCharge) -> String {
    let words = level_words(charge.level);
    if charge.is_private() { words.to_owned() } else { format!("{words}, {WITHOUT_PRIVACY}") }
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl LedgerView {
    fn empty(family: String, scope: String) -> LedgerView {
        let (events, releases) = (Vec::new(), Vec::new());
        LedgerView {
            family,
            scope,
            epsilon_micro: None,
            without_differential_privacy: 0,
            delta: None,
            events,
            releases,
        }
    }

    fn sum_up(&mut self) -> R<()> {
        let counting = self.events.iter().filter(|e| COUNTING.contains(&e.state.as_str()));
        let released = self.releases.iter().map(|r| &r.charge);
        let charges: Vec<DatasetCharge> = counting.map(|e| &e.charge).chain(released).cloned().collect();
        let smallest = charges.iter().map(|c| &c.delta).min_by(|a, b| a.value().total_cmp(&b.value()));
        let Some(delta) = smallest else { return Ok(()) };
        let sum: RdpVector = policies::budget::spent(&charges)?;
        let spent = policies::accountant::micro_up(sum.epsilon(delta.value()));
        self.epsilon_micro = (spent < RdpVector::INFINITE).then_some(spent);
        self.without_differential_privacy = charges.iter().filter(|charge| !charge.is_private()).count();
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
            rows::check(c, &self.store.key, "", &[], now)?;
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
        let (rows, released): (Vec<Columns>, _) = self.store.transact(|c| {
            let all = charge::table.inner_join(runs::table).order(charge::charge_id.asc()).select(columns);
            Ok((all.load(c)?, own_release::all(c)?))
        })?;
        let mut ledgers: BTreeMap<(String, String), LedgerView> = BTreeMap::new();
        for (run_id, state, family, scope, contract_id, at, event) in rows {
            let key = (family.clone(), scope.clone());
            let empty = LedgerView::empty(family, scope);
            let charge: DatasetCharge = serde_json::from_slice(&event)
                .map_err(|_| Refusal::new(Code::Internal, "a charge of the ledger does not read"))?;
            let at = Timestamp::from_micros(at);
            let kept = kept(&charge);
            let event = EventView { run_id, state, contract_id, kept, at, charge };
            ledgers.entry(key).or_insert(empty).events.push(event);
        }
        for row in released {
            let OwnRelease { kind, file_sha256, charge, .. } = row.release()?;
            let (kept, at) = (kept(&charge), Timestamp::from_micros(row.at));
            let view = ReleaseView { kind, file_sha256, kept, at, charge };
            if !ledgers.keys().any(|(family, _)| *family == row.family) {
                let everyone = (row.family.clone(), ledger::ANYONE.to_owned());
                ledgers.insert(everyone.clone(), LedgerView::empty(everyone.0, everyone.1));
            }
            let own = ledgers.iter_mut().filter(|((family, _), _)| *family == row.family);
            own.for_each(|(_, ledger)| ledger.releases.push(view.clone()));
        }
        let mut ledgers: Vec<LedgerView> = ledgers.into_values().collect();
        ledgers.iter_mut().try_for_each(LedgerView::sum_up)?;
        Ok(BudgetView { ledgers })
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
