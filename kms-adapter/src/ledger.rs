//! Sums of the ledger: what counts of a family, for one consumer and for all, as an RDP vector of whole numbers. What the
//! provider let out itself, outside any run, counts in each.
//!
//! The charges are the truth; a sum is theirs, kept so that a charge costs one addition. Its `rev` rises with each change,
//! and a change is made only on the `rev` that was read: a second writer that got past the lock would change no row.

use std::collections::BTreeSet;

use diesel::prelude::*;
use policies::accountant::{GRID_NAME, ORDERS, RdpVector};
use schemas::{Code, R, Refusal};

use crate::run::COUNTING;
use crate::store::{Db, Tx};
use crate::tables::{charge, ledger, own_release, run as runs};

/// The scope of the ledger that all consumers share.
pub(crate) const GLOBAL: &str = "global";
/// The consumer of a charge that came back from the log without its job: it counts for everyone.
pub(crate) const ANYONE: &str = "*";

fn broken(why: &str) -> Refusal {
    Refusal::new(Code::Internal, format!("the ledger: {why}"))
}

/// The bytes of a vector as rows keep them: each entry in eight, the highest first.
pub(crate) fn encode(vector: &RdpVector) -> Vec<u8> {
    vector.entries().iter().flat_map(|entry| entry.to_be_bytes()).collect()
}

/// The vector of these bytes.
pub(crate) fn decode(bytes: &[u8]) -> R<RdpVector> {
    let (entries, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || entries.len() != ORDERS.len() {
        return Err(broken("a vector has another length"));
    }
    RdpVector::new(entries.iter().map(|entry| u64::from_be_bytes(*entry)).collect())
}

/// A sum and the `rev` it was read at; 0 where the ledger has no row yet.
pub(crate) struct Sum {
    pub vector: RdpVector,
    pub rev: i64,
}

/// What counts in a ledger.
pub(crate) fn sum(c: &mut Db, family: &str, scope: &str) -> Tx<Sum> {
    let row = ledger::table.find((family, scope)).select((ledger::grid, ledger::rdp, ledger::rev));
    match row.first::<(String, Vec<u8>, i64)>(c).optional()? {
        // Vectors of two grids are never added.
        Some((grid, ..)) if grid != GRID_NAME => Err(broken("a sum stands on another grid of orders").into()),
        Some((_, bytes, rev)) => Ok(Sum { vector: decode(&bytes)?, rev }),
        None => Ok(Sum { vector: of_charges(c, family, scope)?, rev: 0 }),
    }
}

/// The sum of the charges that count, from their rows; of [`ANYONE`], what counts for every consumer.
pub(crate) fn of_charges(c: &mut Db, family: &str, scope: &str) -> Tx<RdpVector> {
    let counting = charge::family.eq(family).and(runs::state.eq_any(COUNTING));
    let all = charge::table.inner_join(runs::table).filter(counting).select(charge::rdp);
    let mut rows: Vec<Vec<u8>> = match scope {
        GLOBAL => all.load(c)?,
        tdc => all.filter(charge::tdc.eq_any([tdc, ANYONE])).load(c)?,
    };
    let outside = own_release::table.filter(own_release::family.eq(family)).select(own_release::rdp);
    rows.extend(outside.load::<Vec<u8>>(c)?);
    Ok(add(&rows)?)
}

/// The consumers who have a ledger of this family.
pub(crate) fn consumers(c: &mut Db, family: &str) -> Tx<Vec<String>> {
    let own = ledger::family.eq(family).and(ledger::scope.ne(GLOBAL));
    Ok(ledger::table.filter(own).order(ledger::scope.asc()).select(ledger::scope).load(c)?)
}

/// The sum of vectors as rows keep them.
pub(crate) fn add(rows: &[Vec<u8>]) -> R<RdpVector> {
    rows.iter().try_fold(RdpVector::zero(), |sum, bytes| Ok(sum.compose(&decode(bytes)?)))
}

/// Puts a sum in the place of the one that was read.
pub(crate) fn put(c: &mut Db, family: &str, scope: &str, vector: &RdpVector, read: i64) -> Tx<()> {
    let bytes = encode(vector);
    let changed = if read == 0 {
        let row = (
            ledger::family.eq(family),
            ledger::scope.eq(scope),
            ledger::grid.eq(GRID_NAME),
            ledger::rdp.eq(bytes),
            ledger::rev.eq(1),
        );
        diesel::insert_into(ledger::table).values(row).execute(c)?
    } else {
        let unchanged = ledger::table.find((family, scope)).filter(ledger::rev.eq(read));
        diesel::update(unchanged).set((ledger::rdp.eq(bytes), ledger::rev.eq(read + 1))).execute(c)?
    };
    if changed == 1 { Ok(()) } else { Err(broken("a sum was changed meanwhile").into()) }
}

/// The ledgers in which a charge of this family and consumer counts.
pub(crate) fn scopes(tdc: &str) -> [&str; 2] {
    [GLOBAL, tdc]
}

/// Makes the sums anew from the charges: of these families and consumers, and where a charge counts for anyone, of
/// every ledger of its family.
pub(crate) fn recount(c: &mut Db, changed: &BTreeSet<(String, String)>) -> Tx<()> {
    for (family, tdc) in changed {
        let mut all: BTreeSet<String> = scopes(tdc).into_iter().map(str::to_owned).collect();
        if tdc == ANYONE {
            all.extend(ledger::table.filter(ledger::family.eq(family)).select(ledger::scope).load::<String>(c)?);
            all.remove(ANYONE);
        }
        for scope in &all {
            let vector = of_charges(c, family, scope)?;
            let rev: Option<i64> = ledger::table.find((family, scope)).select(ledger::rev).first(c).optional()?;
            put(c, family, scope, &vector, rev.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Requires that every sum is that of its charges.
pub(crate) fn check(c: &mut Db) -> Tx<()> {
    let rows = ledger::table.select((ledger::family, ledger::scope, ledger::rdp));
    for (family, scope, bytes) in rows.load::<(String, String, Vec<u8>)>(c)? {
        if decode(&bytes)? != of_charges(c, &family, &scope)? {
            let sentence = format!("the sum of {family} for {scope} is not that of its charges");
            return Err(Refusal::new(Code::LogTampered, sentence).into());
        }
    }
    Ok(())
}
