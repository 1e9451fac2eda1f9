//! Whether a database is one that this build goes on in: a payment adapter's, and brought on by no later build. What its tables
//! mean is not known here otherwise.

use std::fmt::Display;
use std::path::Path;

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::MigrationHarness as _;
use policies::upgrade::no_later_build;
use schemas::{Code, R, Refusal};

use super::{MIGRATIONS, Tx};
use crate::tables::applied_migrations;

/// What stands in the head of our database files (SQLite's application_id): "DPAY".
pub(super) const OURS: i32 = 0x4450_4159;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Refuses what no payment adapter wrote, and what a later build brought on (`CONFIG_INVALID`). A new file may be empty.
pub(crate) fn readable(db: &mut SqliteConnection, file: &Path) -> R<()> {
    let fault = |why: &dyn Display| Refusal::new(Code::ConfigInvalid, format!("database {}: {why}", file.display()));
    if !ours(db).map_err(|e| fault(&e))? {
        return Err(fault(&"it is no database of a payment-adapter"));
    }
    let applied = db.applied_migrations().map_err(|e| fault(&e))?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    no_later_build(&file.display().to_string(), &known().map_err(|e| fault(&e))?, &applied)
}

/// Refuses where a later build has brought the tables on since this process opened them. `UNAVAILABLE`: whoever calls tries
/// again, and finds that build.
pub(super) fn not_overtaken(db: &mut SqliteConnection) -> Tx<()> {
    let applied: Vec<String> = applied_migrations::table.select(applied_migrations::version).load(db)?;
    let known = known().map_err(|why| Refusal::new(Code::Internal, format!("this build's migrations: {why}")))?;
    no_later_build("in use", &known, &applied).map_err(|why| Refusal::new(Code::Unavailable, why.sentence).into())
}

/// The migrations of this build.
fn known() -> Result<Vec<String>, Failure> {
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    n: i32,
}

/// Whether a database is empty or ours: by its head, or by its tables where it is of before the head said so.
fn ours(db: &mut SqliteConnection) -> QueryResult<bool> {
    let mut number = |sql: &str| diesel::sql_query(sql).get_result::<Number>(db).map(|row| row.n);
    let head = number("SELECT application_id AS n FROM pragma_application_id")?;
    let tables = number("SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table'")?;
    let own = "'__diesel_schema_migrations', 'deliveries', 'instructions', 'batches', 'answers', 'heard', 'unmatched'";
    let before = number(&format!("SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name IN ({own})"))?;
    Ok(head == OURS || (head == 0 && (tables == 0 || before == 7)))
}
