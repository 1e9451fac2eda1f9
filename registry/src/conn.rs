//! Connections. All that is special to one kind of database stands here and in `migrations/`: PostgreSQL becomes a
//! second variant of [`Db`] without touching the rest.

use std::path::PathBuf;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::{Connection as _, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use schemas::{Code, R, Refusal};

use crate::error::Fault;

/// A connection.
pub(crate) type Db = SqliteConnection;
/// A borrowed reader.
pub(crate) type Reader = PooledConnection<ConnectionManager<Db>>;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// In this order: a lock is waited for; readers do not block the writer; a commit is on the disk before it is answered
/// (NORMAL loses acknowledged commits on a power cut).
const PRAGMAS: &str =
    "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;";

/// The place of the database behind a URL: `sqlite:///path` or a plain path.
fn location(url: &str) -> R<PathBuf> {
    let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("database: {why}"));
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => Ok(PathBuf::from(path)),
        Some((scheme, _)) => Err(bad(&format!("{scheme}:// is not offered; use sqlite://<path>"))),
        None if url.is_empty() || url == ":memory:" => Err(bad("a path is expected")),
        None => Ok(PathBuf::from(url)),
    }
}

/// Opens the writer's connection and brings the schema up to date. A new file is readable by its owner alone.
pub(crate) fn writer(url: &str) -> R<Db> {
    let path = location(url)?;
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("database {}: {why}", path.display()));
    if !path.exists() {
        use std::os::unix::fs::OpenOptionsExt as _;
        let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        created.map_err(|e| fault(e.to_string()))?;
    }
    let mut db = Db::establish(&path.to_string_lossy()).map_err(|e| fault(e.to_string()))?;
    db.batch_execute(PRAGMAS).map_err(|e| fault(e.to_string()))?;
    db.run_pending_migrations(MIGRATIONS).map_err(|e| fault(e.to_string()))?;
    Ok(db)
}

/// Opens the readers.
pub(crate) fn readers(url: &str, size: u32) -> R<Pool<ConnectionManager<Db>>> {
    let manager = ConnectionManager::new(location(url)?.to_string_lossy());
    let pool = Pool::builder().max_size(size).min_idle(Some(1)).connection_customizer(Box::new(ReadOnly));
    let fault = |e: diesel::r2d2::PoolError| Refusal::new(Code::ConfigInvalid, format!("database: {e}"));
    pool.connection_timeout(std::time::Duration::from_secs(10)).build(manager).map_err(fault)
}

#[derive(Debug)]
struct ReadOnly;

impl CustomizeConnection<Db, diesel::r2d2::Error> for ReadOnly {
    fn on_acquire(&self, db: &mut Db) -> Result<(), diesel::r2d2::Error> {
        let sql = format!("{PRAGMAS} PRAGMA query_only=ON;");
        db.batch_execute(&sql).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// A write transaction: takes the write lock at once, since a deferred one that upgrades is refused at once.
pub(crate) fn write<T>(db: &mut Db, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> Result<T, Fault> {
    db.immediate_transaction(act)
}

/// A read transaction: one snapshot for several reads.
pub(crate) fn read<T>(db: &mut Db, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> Result<T, Fault> {
    db.transaction(act)
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::{Integer, Text};

    use super::*;

    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = Integer)]
        value: i32,
    }

    #[derive(QueryableByName)]
    struct Word {
        #[diesel(sql_type = Text)]
        value: String,
    }

    /// A kill cannot show a missing fsync, so the setting is pinned: FULL is 2, NORMAL would be 1.
    #[test]
    fn commits_are_synced_before_they_are_answered() {
        let folder = std::env::temp_dir().join(format!("depa-conn-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("log.db");
        let mut db = writer(&path.to_string_lossy()).unwrap();
        let number = |db: &mut Db, sql: &str| diesel::sql_query(sql).get_result::<Number>(db).unwrap().value;
        assert_eq!(number(&mut db, "SELECT synchronous AS value FROM pragma_synchronous"), 2);
        assert_eq!(number(&mut db, "SELECT foreign_keys AS value FROM pragma_foreign_keys"), 1);
        let mode: Word =
            diesel::sql_query("SELECT journal_mode AS value FROM pragma_journal_mode").get_result(&mut db).unwrap();
        assert_eq!(mode.value, "wal");
        let mut reader = readers(&path.to_string_lossy(), 1).unwrap().get().unwrap();
        assert!(diesel::sql_query("DELETE FROM log_head").execute(&mut reader).is_err(), "a reader writes");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
