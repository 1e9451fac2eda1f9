//! The join of a form: SQL, or tables of one schema whose rows stand one below the other. For signed jobs and for
//! rehearsals alike.

use schemas::pipeline::{ColumnRef, Join, JoinKind, JoinStep};
use schemas::{Code, R, Refusal};

use super::JOINED;
use crate::sql::{self, Parsed, Table};

/// The typed join of a form, with handle and table name of every table. `sql` or `union` says it, one of them; `needed` are
/// the principal's key and the target.
pub(crate) fn join(sql: Option<&str>, union: &[String], tables: &[Table], needed: &[ColumnRef]) -> R<Parsed> {
    match (sql, union) {
        (Some(sql), []) => sql::parse(sql, JOINED, tables, needed),
        (None, [first, rest @ ..]) => united(first, rest, tables, needed),
        _ => {
            let sentence = "the form says sql = \"SELECT …\" or union = [tables], one of them";
            Err(Refusal::new(Code::ConfigInvalid, sentence).at("sql"))
        }
    }
}

/// Everything that the first table allows, under its names; each table by its one key.
fn united(first: &str, rest: &[String], tables: &[Table], needed: &[ColumnRef]) -> R<Parsed> {
    let of = |name: &str| tables.iter().find(|t| t.name == name).ok_or_else(|| unknown(name, tables));
    let key = |name: &str| {
        let column = |column: &String| ColumnRef { handle: name.to_owned(), column: column.clone() };
        match of(name)?.keys.as_slice() {
            [only] => Ok(column(only)),
            _ => {
                let sentence = format!("a union needs one join key in {name}");
                Err(Refusal::new(Code::ConfigInvalid, sentence).at("union"))
            }
        }
    };
    let left = key(first)?;
    let step = |name: &String| {
        Ok(JoinStep { handle: name.clone(), kind: JoinKind::Union, left: left.clone(), right: key(name)? })
    };
    let allowed = |column: &String| ColumnRef { handle: first.to_owned(), column: column.clone() };
    let mut projection: Vec<ColumnRef> = of(first)?.allowed.iter().map(allowed).collect();
    for column in needed {
        if !projection.contains(column) {
            projection.push(column.clone());
        }
    }
    let steps = rest.iter().map(step).collect::<R<_>>()?;
    let join =
        Join { name: JOINED.into(), first: first.to_owned(), steps, projection, filters: vec![], aggregates: vec![] };
    let names = std::iter::once(first).chain(rest.iter().map(String::as_str));
    Ok(Parsed { join, tables: names.map(|name| (name.to_owned(), name.to_owned())).collect() })
}

fn unknown(name: &str, tables: &[Table]) -> Refusal {
    let known: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let sentence = format!("there is no table {name}; the job names {}", known.join(", "));
    Refusal::new(Code::ConfigInvalid, sentence).at("union")
}
