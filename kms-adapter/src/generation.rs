//! Generations: each transaction that wrote leaves a random word, with a MAC over it and over how many rows there were
//! afterwards. A process finds the word that it saw last, or the database was put back beneath it (a restore, a failover
//! to a standby that lagged): then it refuses everything until it is started again and has caught up with the log. Rows
//! that went away or came without this service are noticed by the MAC.

use std::sync::LazyLock;

use diesel::prelude::*;
use diesel::sql_types::Text;
use schemas::{Code, Refusal};

use crate::fixed::Fixed;
use crate::rows;
use crate::secret::Secret;
use crate::store::{Db, Tx};
use crate::tables::generation;

/// Words that are kept. A process looks at the database twice a second, so it was stopped if it saw none of them.
const KEPT: i64 = 10_000;

/// The newest word that a process saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    n: i64,
    nonce: String,
}

/// The database as it stands, read in one statement.
struct View {
    newest: Seen,
    mac: String,
    /// What the database says of this transaction's writing.
    written: String,
    /// Rows without a MAC.
    open: bool,
    rows: String,
}

/// How many rows there are, by table. `rev` of a sum only rises, so one that was put back is noticed too. Releases outside
/// runs are told of where there are some: databases of before they were kept have the words that they had.
const ROWS: &str = "(SELECT CAST(count(*) AS TEXT) FROM run) || ' ' || (SELECT CAST(count(*) AS TEXT) FROM charge) \
     || ' ' || (SELECT CAST(count(*) AS TEXT) || ' ' || CAST(coalesce(sum(rev), 0) AS TEXT) FROM ledger) \
     || ' ' || (SELECT CAST(count(*) AS TEXT) FROM service_state) \
     || ' ' || (SELECT CAST(count(*) AS TEXT) || ' ' || CAST(coalesce(max(seq), 0) AS TEXT) FROM journal) \
     || ' ' || (SELECT CAST(count(*) AS TEXT) FROM log_head) || ' ' || (SELECT CAST(count(*) AS TEXT) FROM log_lineage) \
     || (SELECT CASE WHEN count(*) > 0 THEN ' ' || CAST(count(*) AS TEXT) ELSE '' END FROM own_release)";

fn statement(written: &str) -> String {
    let open = ["run", "charge", "own_release", "ledger", "service_state"]
        .map(|table| format!("(SELECT count(*) FROM {table} WHERE length(mac) = 0)"))
        .join(" + ");
    let newest = "SELECT CAST(n AS TEXT) || '|' || nonce || '|' || mac FROM generation ORDER BY n DESC LIMIT 1";
    format!("coalesce(({newest}), '0||') || '|' || {written} || '|' || CAST({open} AS TEXT) || '|' || {ROWS}")
}

fn broken() -> Refusal {
    Refusal::new(Code::Internal, "the generation of the database does not read")
}

fn look(c: &mut Db) -> Tx<View> {
    static PG: LazyLock<String> =
        LazyLock::new(|| statement("coalesce(CAST(pg_current_xact_id_if_assigned() AS TEXT), '-')"));
    static SQLITE: LazyLock<String> = LazyLock::new(|| statement("CAST(total_changes() AS TEXT)"));
    let text: String = match c {
        Db::Pg(c) => diesel::select(Fixed::<Text>::new(PG.as_str())).get_result(c)?,
        Db::Sqlite(c) => diesel::select(Fixed::<Text>::new(SQLITE.as_str())).get_result(c)?,
    };
    let parts: Vec<&str> = text.split('|').collect();
    let [n, nonce, mac, written, open, rows] = parts[..] else { return Err(broken().into()) };
    Ok(View {
        newest: Seen { n: n.parse().map_err(|_| broken())?, nonce: nonce.to_owned() },
        mac: mac.to_owned(),
        written: written.to_owned(),
        open: open != "0",
        rows: rows.to_owned(),
    })
}

fn mac(key: &Secret, seen: &Seen, rows: &str) -> Tx<[u8; 32]> {
    Ok(key.mac(&[b"generation/1", &seen.n.to_be_bytes(), seen.nonce.as_bytes(), rows.as_bytes()])?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A transaction that has begun.
pub(crate) struct Begun {
    newest: Seen,
    written: String,
}

/// Begins a transaction: requires that what this process saw last is part of this database's past
/// (`STORE_ROLLED_BACK`), and that nobody else wrote since the newest word (`ROW_TAMPERED`).
pub(crate) fn begin(c: &mut Db, key: &Secret, seen: Option<&Seen>) -> Tx<Begun> {
    let view = look(c)?;
    if let Some(seen) = seen
        && *seen != view.newest
    {
        let there = generation::table.find(seen.n).select(generation::nonce).first::<String>(c).optional()?;
        if there.as_deref() != Some(seen.nonce.as_str()) {
            let sentence = "the database was put back beneath the running key service: its operator starts it again, and \
                            catches up with the log";
            return Err(Refusal::new(Code::StoreRolledBack, sentence).into());
        }
    }
    let good = !view.open && hex(&mac(key, &view.newest, &view.rows)?) == view.mac;
    if !good {
        return Err(rows::tampered("the database").into());
    }
    Ok(Begun { newest: view.newest, written: view.written })
}

/// Ends a transaction: where it wrote, its rows get their MACs and the database another word, under the key for what
/// follows.
pub(crate) fn end(c: &mut Db, key: &Secret, begun: Begun) -> Tx<Seen> {
    let view = look(c)?;
    if view.written == begun.written {
        return Ok(begun.newest);
    }
    if view.open {
        rows::close(c, key)?;
    }
    next(c, key, &begun.newest, &view.rows)
}

/// The first word of a database that had none, or of one that was put back, when this is known.
pub(crate) fn anew(c: &mut Db, key: &Secret) -> Tx<Seen> {
    rows::close(c, key)?;
    let view = look(c)?;
    next(c, key, &view.newest, &view.rows)
}

fn next(c: &mut Db, key: &Secret, last: &Seen, rows: &str) -> Tx<Seen> {
    let seen = Seen { n: last.n + 1, nonce: hex(&signing::signer::random::<16>()?) };
    let row =
        (generation::n.eq(seen.n), generation::nonce.eq(&seen.nonce), generation::mac.eq(hex(&mac(key, &seen, rows)?)));
    diesel::insert_into(generation::table).values(row).execute(c)?;
    if seen.n % 100 == 0 {
        diesel::delete(generation::table.filter(generation::n.lt(seen.n - KEPT))).execute(c)?;
    }
    Ok(seen)
}
