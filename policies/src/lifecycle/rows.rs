//! A state as rows for a store: written once, brought up to date by what changed, read back equal.
//!
//! Keys and values are JSON: documents inside rows are made for JSON (tagged members, left-out members), which compact
//! binary forms cannot read back. Rows are a cache of the log, never a truth of their own: whoever reads them back
//! checks them against the entries (`decisions.md` 5).

use std::collections::BTreeSet;

use schemas::{Code, R, Refusal, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::contract_kept::{self, Halves};
use super::table::Table;
use super::{Books, Genesis, State};

/// Table, key and value of a stored row.
pub type StoredRow = (&'static str, Vec<u8>, Vec<u8>);
/// Table, key and new value of a changed row; no value where the row is gone.
pub type ChangedRow = (&'static str, Vec<u8>, Option<Vec<u8>>);

/// What a state holds besides its tables: the one row of the table `state`.
#[derive(Serialize, Deserialize)]
struct Scalars {
    size: u64,
    last_at: Timestamp,
    genesis: Option<Genesis>,
}

const SCALARS: &str = "state";
/// Tables of the books beside their accounts, which stand under `books`.
const TRANSFERS: &str = "transfers";
const RESOLVED: &str = "transfers_resolved";
const POSITIONS: &str = "transfers_positions";

/// Calls a macro with the name of every table but `contracts`, which has rows of two kinds; the pattern that takes a state
/// apart makes sure that none is forgotten.
macro_rules! every_table {
    ($then:ident) => {
        $then! {
            participants, looks, key_holders, people, person_acts, image_sets, offers, offers_by_digest, datasets, families, renewals, objects, services,
            templates, data_schemas, contract_ids, agenda, at_work, orders, runs, run_keys,
            receipts, payments, instructions, tallies, pay_agenda, books, disputes, disputed, unmatched, pool_parts, payouts, erased
        }
    };
}

impl State {
    /// Every row of the state, the scalars first. A row that cannot be written is a fault of ours (`INTERNAL`).
    pub fn rows(&self) -> impl Iterator<Item = R<StoredRow>> + '_ {
        let scalars = std::iter::once_with(|| Ok((SCALARS, Vec::new(), encode(&self.scalars())?)));
        macro_rules! chain {
            ($($table:ident),*) => {{
                // Taken apart so that a new member without its row does not compile.
                let State { size: _, last_at: _, genesis: _, by_key: _, living: _, contracts, $($table,)* } = self;
                scalars.chain(contract_kept::stored(contracts)) $(.chain($table.stored(stringify!($table))))*
            }};
        }
        every_table!(chain)
    }

    /// What changed since an older state of the same log. Work is in proportion to what changed, not to what is there.
    pub fn changed_since(&self, older: &State) -> R<Vec<ChangedRow>> {
        let mut changed = Vec::new();
        if self.scalars_differ(older) {
            changed.push((SCALARS, Vec::new(), Some(encode(&self.scalars())?)));
        }
        contract_kept::changes(&self.contracts, &older.contracts, &mut changed)?;
        macro_rules! each {
            ($($table:ident),*) => {
                $(self.$table.changes(stringify!($table), &older.$table, &mut changed)?;)*
            };
        }
        every_table!(each);
        Ok(changed)
    }

    /// The state of these rows, in any order. Rows of an unknown table, rows that cannot be read and rows without
    /// scalars are refused with `LOG_TAMPERED`.
    pub fn from_rows<T, K, V>(rows: impl IntoIterator<Item = (T, K, V)>) -> R<State>
    where
        T: AsRef<str>,
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut state = State::new();
        let mut seen = BTreeSet::new();
        let mut halves = Halves::default();
        for (table, key, value) in rows {
            let (table, key, value) = (table.as_ref(), key.as_ref(), value.as_ref());
            if table == SCALARS {
                let scalars: Scalars = decode(value)?;
                state.size = scalars.size;
                state.last_at = scalars.last_at;
                state.genesis = scalars.genesis.map(std::sync::Arc::new);
                seen.insert(SCALARS);
                continue;
            }
            macro_rules! put {
                ($($name:ident),*) => {
                    match table {
                        contract_kept::CONTRACTS => halves.rest(key, value)?,
                        contract_kept::TEXTS => halves.text(key, value)?,
                        TRANSFERS => state.books.transfers.load(key, value)?,
                        RESOLVED => state.books.resolved.load(key, value)?,
                        POSITIONS => state.books.positions.load(key, value)?,
                        $(stringify!($name) => state.$name.load(key, value)?,)*
                        _ => return Err(Refusal::new(Code::LogTampered, format!("a row of an unknown table {table}"))),
                    }
                };
            }
            every_table!(put);
        }
        if seen.is_empty() {
            return Err(Refusal::new(Code::LogTampered, "the rows of the state lack their scalars"));
        }
        for (sha256, row) in halves.join()? {
            state.contracts.put(sha256, row);
        }
        state.by_key = super::by_key::index(&state.contracts);
        state.living = super::run_end::living(&state.runs);
        Ok(state)
    }

    fn scalars(&self) -> Scalars {
        Scalars { size: self.size, last_at: self.last_at, genesis: self.genesis.as_deref().cloned() }
    }

    fn scalars_differ(&self, older: &State) -> bool {
        let same = match (&self.genesis, &older.genesis) {
            (Some(a), Some(b)) => std::sync::Arc::ptr_eq(a, b) || a == b,
            (a, b) => a.is_none() == b.is_none(),
        };
        !same || (self.size, self.last_at) != (older.size, older.last_at)
    }
}

/// A member of the state that is kept as rows.
impl<K, V> Table<K, V>
where
    K: Ord + Clone + Serialize + DeserializeOwned,
    V: Clone + PartialEq + Serialize + DeserializeOwned,
{
    fn stored(&self, name: &'static str) -> impl Iterator<Item = R<StoredRow>> + '_ {
        self.iter().map(move |(key, value)| Ok((name, encode(key)?, encode(value)?)))
    }

    fn changes(&self, name: &'static str, older: &Self, into: &mut Vec<ChangedRow>) -> R<()> {
        for (key, value) in self.changed_since(older) {
            into.push((name, encode(key)?, value.map(encode).transpose()?));
        }
        Ok(())
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> R<()> {
        self.put(decode(key)?, decode(value)?);
        Ok(())
    }
}

impl Books {
    fn stored(&self, name: &'static str) -> impl Iterator<Item = R<StoredRow>> + '_ {
        let more = self.transfers.stored(TRANSFERS).chain(self.resolved.stored(RESOLVED));
        self.accounts.stored(name).chain(more).chain(self.positions.stored(POSITIONS))
    }

    fn changes(&self, name: &'static str, older: &Self, into: &mut Vec<ChangedRow>) -> R<()> {
        self.accounts.changes(name, &older.accounts, into)?;
        self.transfers.changes(TRANSFERS, &older.transfers, into)?;
        self.resolved.changes(RESOLVED, &older.resolved, into)?;
        self.positions.changes(POSITIONS, &older.positions, into)
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> R<()> {
        self.accounts.load(key, value)
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> R<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(Code::Internal, format!("a row cannot be written: {e}")))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> R<T> {
    serde_json::from_slice(bytes).map_err(|e| Refusal::new(Code::LogTampered, format!("a row cannot be read: {e}")))
}
