//! Rows that the budget stands on (runs, charges, releases outside runs, sums, what the service remembers of itself): a MAC
//! under the root key covers every column of each. Whoever edits the database cannot make one. A bundle is left out of its
//! run's MAC, since it is large and signed: it counts only for the job that the receipt of the run names.
//!
//! A row that is written loses its MAC (by triggers of the database) and gets another one at the end of the transaction.
//! So what is to be written is checked before; otherwise a row that somebody edited would come to a MAC.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::Bool;
use schemas::{Code, R, Refusal, Timestamp};
use serde::Serialize;

use crate::cupboard::same_mac;
use crate::fixed::Fixed;
use crate::ledger::{ANYONE, GLOBAL, decode, of_charges};
use crate::own_release::OwnReleaseRow;
use crate::run::State;
use crate::secret::Secret;
use crate::store::{Db, Tx};
use crate::tables::{charge, ledger, own_release, run, service_state};

/// The key of these MACs.
pub(crate) fn key(root: &Secret) -> R<Secret> {
    root.derive("depa/kms/ledger-mac/1")
}

pub(crate) fn tampered(what: &str) -> Refusal {
    tracing::error!(alarm = "rows_tampered", what, "rows of the budget were changed outside this service");
    Refusal::new(Code::RowTampered, format!("{what} was changed outside this service"))
}

/// All columns of `run` but the bundle and the MAC.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = run)]
struct Run {
    run_id: String,
    reservation_id: String,
    state: String,
    expires_at: i64,
    lease_until: Option<i64>,
    reserved_seq: i64,
    last_seq: i64,
    run_jwk: String,
    lost: i32,
    lease_s: Option<i32>,
}

/// All columns of `charge` but the MAC.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = charge)]
struct Charge {
    charge_id: i64,
    run_id: String,
    family: String,
    tdc: String,
    scope: String,
    contract_id: String,
    dataset_id: String,
    version: i64,
    event: Vec<u8>,
    at: i64,
    rdp: Vec<u8>,
}

/// All columns of `ledger` but the MAC.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = ledger)]
struct Sum {
    family: String,
    scope: String,
    grid: String,
    rdp: Vec<u8>,
    rev: i64,
}

/// All columns of `service_state` but the MAC.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = service_state)]
struct Kept {
    name: String,
    value: String,
}

fn mac(key: &Secret, table: &str, row: &impl Serialize) -> R<[u8; 32]> {
    let bytes = postcard::to_allocvec(row).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    key.mac(&[b"row/1", table.as_bytes(), &bytes])
}

fn check_all_of(key: &Secret, table: &str, rows: &[(impl Serialize, Vec<u8>)]) -> Tx<()> {
    for (row, found) in rows {
        if !same_mac(&mac(key, table, row)?, found) {
            return Err(tampered(&format!("a row of {table}")).into());
        }
    }
    Ok(())
}

/// Requires the MAC of each of these rows.
macro_rules! check {
    ($c:expr, $key:expr, $table:ident, $row:ty, $filter:expr) => {{
        let chosen = $table::table.filter($filter).select((<$row>::as_select(), $table::mac));
        check_all_of($key, stringify!($table), &chosen.load::<($row, Vec<u8>)>($c)?)?;
    }};
}

/// Makes the MAC of each row of a table for which `which` holds.
macro_rules! close {
    ($c:expr, $key:expr, $table:ident, $row:ty, $which:expr, |$r:ident| $one:expr) => {{
        let open: Vec<$row> = $table::table.filter(Fixed::<Bool>::new($which)).select(<$row>::as_select()).load($c)?;
        for $r in &open {
            let mac = mac($key, stringify!($table), $r)?.to_vec();
            diesel::update($table::table.filter($one)).set($table::mac.eq(mac)).execute($c)?;
        }
    }};
}

fn close_where(c: &mut Db, key: &Secret, which: &'static str) -> Tx<()> {
    close!(c, key, run, Run, which, |row| run::run_id.eq(&row.run_id));
    close!(c, key, charge, Charge, which, |row| charge::charge_id.eq(row.charge_id));
    close!(c, key, own_release, OwnReleaseRow, which, |row| own_release::file_sha256.eq(&row.file_sha256));
    close!(c, key, ledger, Sum, which, |row| ledger::family.eq(&row.family).and(ledger::scope.eq(&row.scope)));
    close!(c, key, service_state, Kept, which, |row| service_state::name.eq(&row.name));
    Ok(())
}

/// Makes the MACs of the rows that have none.
pub(crate) fn close(c: &mut Db, key: &Secret) -> Tx<()> {
    close_where(c, key, "length(mac) = 0")
}

/// Makes every MAC anew, under another key; the rows were checked before.
pub(crate) fn close_anew(c: &mut Db, key: &Secret) -> Tx<()> {
    close_where(c, key, "length(mac) >= 0")
}

/// Requires every MAC.
pub(crate) fn check_all(c: &mut Db, key: &Secret) -> Tx<()> {
    let every = "length(mac) >= 0";
    check!(c, key, run, Run, Fixed::<Bool>::new(every));
    check!(c, key, charge, Charge, Fixed::<Bool>::new(every));
    check!(c, key, own_release, OwnReleaseRow, Fixed::<Bool>::new(every));
    check!(c, key, ledger, Sum, Fixed::<Bool>::new(every));
    check!(c, key, service_state, Kept, Fixed::<Bool>::new(every));
    Ok(())
}

/// Requires the MACs of what an act on a run is about to read or write: what the service remembers, the run, and the
/// charges, releases and sums of its families and of those whose reservations run out now.
pub(crate) fn check(c: &mut Db, key: &Secret, run_id: &str, families: &[String], now: Timestamp) -> Tx<()> {
    check!(c, key, service_state, Kept, Fixed::<Bool>::new("length(mac) >= 0"));
    let due = run::state.eq(State::Reserved.as_str()).and(run::expires_at.le(now.micros()));
    let mut concerned: Vec<String> = run::table.filter(due).select(run::run_id).load(c)?;
    concerned.push(run_id.to_owned());
    let charged = charge::table.filter(charge::run_id.eq_any(&concerned)).select(charge::family);
    let mut all: BTreeSet<String> = charged.load::<String>(c)?.into_iter().collect();
    all.extend(families.iter().cloned());
    let all: Vec<String> = all.into_iter().collect();
    check!(c, key, charge, Charge, charge::family.eq_any(&all));
    check!(c, key, own_release, OwnReleaseRow, own_release::family.eq_any(&all));
    check!(c, key, ledger, Sum, ledger::family.eq_any(&all));
    let beside = charge::table.filter(charge::family.eq_any(&all)).select(charge::run_id);
    check!(c, key, run, Run, run::run_id.eq_any(&concerned).or(run::run_id.eq_any(beside)));
    all.iter().try_for_each(|family| check_sums(c, family))
}

/// Requires that the sums of a family are there and are those of its charges: a charge that was given to another family
/// is missed here.
fn check_sums(c: &mut Db, family: &str) -> Tx<()> {
    let sums = ledger::table.filter(ledger::family.eq(family)).select((ledger::scope, ledger::rdp));
    let sums: BTreeMap<String, Vec<u8>> = sums.load::<(String, Vec<u8>)>(c)?.into_iter().collect();
    let charged = charge::table.filter(charge::family.eq(family)).select(charge::tdc).distinct();
    let charged: Vec<String> = charged.load(c)?;
    let released: i64 = own_release::table.filter(own_release::family.eq(family)).count().get_result(c)?;
    let counts = !charged.is_empty() || released > 0;
    let mut asked = charged.iter().map(String::as_str).filter(|tdc| *tdc != ANYONE);
    let missing = counts && !sums.contains_key(GLOBAL) || asked.any(|tdc| !sums.contains_key(tdc));
    for (scope, sum) in &sums {
        if missing || decode(sum)? != of_charges(c, family, scope)? {
            return Err(tampered("a sum of the ledger").into());
        }
    }
    if missing { Err(tampered("a sum of the ledger").into()) } else { Ok(()) }
}
