//! A table beside the public count of its own contract, before it meets any other.
//!
//! What a run may count on is that count: rates, δ, prices, and how much rounding the clipping of rows leaves room for. A
//! table with more people breaks its provider's own word, and is refused.
//!
//! **The promise** of a public count is of every column that its contract lets jobs join or tell people by: no more people,
//! and no more different values of any of them. Who has two numbers of a telephone counts twice where a job tells people by
//! numbers.
//!
//! **What the refusal tells.** That this table breaks that promise, which its provider gave everybody in a signed offer: one
//! bit, the same in every run that asks for the same columns, since the sealed bytes never change. It says nothing of who they
//! are, nothing of any other table, for it is made before the join and with this table's own count, and nothing of a table
//! that keeps its promise: take anybody out of such a table and it still keeps it. The guarantee is for those tables. Joined rows are
//! compared with nothing: who vouches for one table could choose its count so that the refusal tells how many rows
//! another's has.

use std::collections::HashSet;

use schemas::pipeline::{Join, Training};
use schemas::worker::TableHead;
use schemas::{Code, R, Refusal};

use crate::roles::keys;
use crate::source::{first_of, unknown};
use crate::table::Table;

/// Refuses (`PUBLIC_COUNT_EXCEEDED`) a table with more people, or different keys of this job, than its contract's public count.
///
/// People are counted as they may come to stand in the result: the rows that are the first of their key, for each key by
/// which the table is joined and for the principal where the table has it. Rows without any of these belong to nobody, and a
/// person's further rows, which aggregates may read, count once.
pub fn within_count(join: &Join, training: &Training, head: &TableHead, table: &Table) -> R<()> {
    let mut names = keys(join, &head.handle);
    if training.principal.handle == head.handle && !names.contains(&&training.principal) {
        names.push(&training.principal);
    }
    let mut named = HashSet::new();
    for key in &names {
        let cells = table.text(&key.column).ok_or_else(unknown)?;
        named.extend(cells.enumerate().filter(|(_, cell)| !cell.is_empty()).map(|(row, _)| row));
    }
    let people = first_of(&names, table)?.iter().filter(|row| named.contains(*row)).count();
    if people as u64 > head.public_rows {
        let sentence = format!("table {} has more people than the public count of its own offer", head.handle);
        return Err(Refusal::new(Code::PublicCountExceeded, sentence));
    }
    Ok(())
}
