//! A table beside the public count of its own contract, before it meets any other.
//!
//! What a run may count on is that count: rates, δ, prices, and how much rounding the clipping of rows leaves room for. A
//! table with more people breaks its provider's own word, and is refused.
//!
//! **The promise** of a public count is of every column that its contract lets jobs join or tell people by: no more people,
//! and no more different values of any of them. Who has two numbers of a telephone counts twice where a job tells people by
//! numbers.
//!
//! Whoever seals is asked the same before ([`within_promise`]), so that no honest provider hears of it from a room.
//!
//! **What the refusal tells.** That this table breaks that promise, which its provider gave everybody in a signed offer: one
//! bit, the same in every run that asks for the same columns, since the sealed bytes never change. It says nothing of who they
//! are, nothing of any other table, for it is made before the join and with this table's own count, and nothing of a table
//! that keeps its promise: take anybody out of such a table and it still keeps it. The guarantee is for those tables. Joined rows are
//! compared with nothing: who vouches for one table could choose its count so that the refusal tells how many rows
//! another's has.

use std::collections::HashSet;

#[cfg(feature = "join")]
use schemas::pipeline::{Join, Training};
#[cfg(feature = "join")]
use schemas::worker::TableHead;
use schemas::{Code, R, Refusal};

use crate::fault::form;
#[cfg(feature = "join")]
use crate::roles::keys;
#[cfg(feature = "join")]
use crate::source::unknown;
use crate::table::Table;

/// The rows that are the first of their cell in each of these columns, one column after the other; none where the table has
/// not all of them.
pub(crate) fn first_of<'a>(columns: impl IntoIterator<Item = &'a str>, table: &Table) -> Option<Vec<usize>> {
    let mut rows: Vec<usize> = (0..table.rows()).collect();
    for column in columns {
        let cells: Vec<_> = table.text(column)?.collect();
        let mut seen = HashSet::new();
        rows.retain(|row| cells.get(*row).is_some_and(|cell| cell.is_empty() || seen.insert(cell.as_ref())));
    }
    Some(rows)
}

/// How many people these columns tell apart: the rows that are the first of their cell in each, but for those in which all
/// of them are empty, which belong to nobody.
fn people(columns: &[&str], table: &Table) -> Option<usize> {
    let mut named = vec![false; table.rows()];
    for column in columns {
        named.iter_mut().zip(table.text(column)?).for_each(|(named, cell)| *named |= !cell.is_empty());
    }
    let first = first_of(columns.iter().copied(), table)?;
    Some(first.into_iter().filter(|row| named.get(*row) == Some(&true)).count())
}

/// Refuses (`PUBLIC_COUNT_EXCEEDED`) a table with more people, or different keys of this job, than its contract's public count.
///
/// People are counted as they may come to stand in the result: the rows that are the first of their key, for each key by
/// which the table is joined and for the principal where the table has it. Rows without any of these belong to nobody, and a
/// person's further rows, which aggregates may read, count once.
#[cfg(feature = "join")]
pub fn within_count(join: &Join, training: &Training, head: &TableHead, table: &Table) -> R<()> {
    let mut names = keys(join, &head.handle);
    if training.principal.handle == head.handle && !names.contains(&&training.principal) {
        names.push(&training.principal);
    }
    let columns: Vec<&str> = names.iter().map(|name| name.column.as_str()).collect();
    if people(&columns, table).ok_or_else(unknown)? as u64 > head.public_rows {
        let sentence = format!("table {} has more people than the public count of its own offer", head.handle);
        return Err(Refusal::new(Code::PublicCountExceeded, sentence));
    }
    Ok(())
}

/// Refuses (`PUBLIC_COUNT_EXCEEDED`) a table that breaks the promise of a public count: by one of the columns that jobs may
/// join or tell people by, or by all of them together. Asked on the provider's own machine before the table is sealed, so that
/// no room has to refuse it. The sentence names columns and the public count, and no number of the table.
pub fn within_promise(columns: &[&str], public_rows: u64, table: &Table) -> R<()> {
    let alone = columns.iter().map(std::slice::from_ref);
    for told_apart in alone.chain([columns]) {
        let found = people(told_apart, table).ok_or_else(|| form("a column that tells people apart is not there"))?;
        if found as u64 > public_rows {
            let by = told_apart.join(", ");
            let sentence = format!(
                "told apart by {by}, the table has more people than the public count of {public_rows}: rooms refuse it. Take a \
                 count that was known before the table and is no smaller, or leave people out"
            );
            return Err(Refusal::new(Code::PublicCountExceeded, sentence).at("public_rows"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, csv};

    #[test]
    fn a_promise_is_of_every_column_that_tells_people_apart() {
        let columns = ["id".to_owned(), "phone".to_owned()];
        let text = b"id,phone\n1,a\n1,b\n2,c\n,c\n2,\n,\n";
        let table = csv::read(text, &columns, &columns, &Limits::ROOM).unwrap();
        let within = |columns: &[&str], count| within_promise(columns, count, &table);
        assert_eq!(within(&["id"], 2), Ok(()), "a person's further rows count once, and those of nobody not at all");
        assert_eq!(within(&["phone"], 3), Ok(()));
        assert_eq!(within(&[], 0), Ok(()));
        for (columns, count, by) in
            [(&["id"][..], 1, "id,"), (&["id", "phone"][..], 2, "phone,"), (&["phone", "id"][..], 1, "phone,")]
        {
            let refused = within(columns, count).unwrap_err();
            assert_eq!((refused.code, refused.field.as_deref()), (Code::PublicCountExceeded, Some("public_rows")));
            assert!(refused.sentence.contains(&format!("told apart by {by}")), "{refused}");
            let told = refused.sentence.chars().filter(char::is_ascii_digit).collect::<String>();
            assert_eq!(told, count.to_string(), "no number but the public one: {refused}");
        }
        // Neither column alone, but both together: who has only the other.
        let text = b"id,phone\n1,\n2,\n,a\n,b\n";
        let table = csv::read(text, &columns, &columns, &Limits::ROOM).unwrap();
        assert_eq!(within_promise(&["id", "phone"], 4, &table), Ok(()));
        let refused = within_promise(&["id", "phone"], 3, &table).unwrap_err();
        assert!(refused.sentence.contains("told apart by id, phone,"), "{refused}");
        assert_eq!(within_promise(&["other"], 9, &table).unwrap_err().code, Code::TableForm);
    }
}
