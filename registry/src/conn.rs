//! Connections. All that is special to one kind of database stands here, in `migrations/` and in a few `match` arms:
//! SQLite by default, PostgreSQL where several processes serve one log.

use std::path::PathBuf;

use diesel::backend::Backend;
use diesel::connection::SimpleConnection as _;
use diesel::migration::MigrationSource;
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};
use diesel::{Connection as _, MultiConnection, PgConnection, RunQueryDsl as _, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use policies::upgrade::no_later_build;
use schemas::{Code, R, Refusal};

use crate::error::Fault;
use crate::tables::{applied_migrations, log_head};

/// A connection. SQLite stands last, since it would take any text for the name of a file.
#[derive(MultiConnection)]
pub(crate) enum Db {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// A borrowed reader.
pub(crate) type Reader = PooledConnection<Door>;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// In this order: a lock is waited for; readers do not block the writer; a commit is on the disk before it is answered
/// (NORMAL loses acknowledged commits on a power cut); what is erased is overwritten.
const PRAGMAS: &str = "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                       PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;";
/// An acknowledged commit is on the disk, whatever the server's own setting.
const SESSION: &str = "SET client_min_messages TO warning; SET synchronous_commit TO on";
/// Reads see one snapshot and change nothing.
const READING: &str = "SET client_min_messages TO warning; SET SESSION CHARACTERISTICS AS TRANSACTION \
                       ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Advisory lock of whoever brings the schema up to date.
const MIGRATING: i64 = 0x6465_7061_0001;
/// Advisory lock of the one writer.
const WRITING: i64 = 0x6465_7061_0002;

/// Where the database is. Debug shows no password.
#[derive(Clone)]
pub(crate) enum Place {
    /// A PostgreSQL URL.
    Pg(String),
    /// A file.
    Sqlite(PathBuf),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Pg(url) => f.write_str(url.rsplit_once('@').map_or("postgres", |(_, place)| place)),
            Place::Sqlite(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Place {
    /// The place behind a URL: `postgres://…`, `sqlite:///path` or a plain path.
    pub(crate) fn parse(url: &str) -> R<Place> {
        let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("database: {why}"));
        match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Place::Pg(url.to_owned())),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Place::Sqlite(PathBuf::from(path))),
            Some((scheme, _)) => {
                Err(bad(&format!("{scheme}:// is not offered; use sqlite://<path> or postgres://<user>@<host>/<name>")))
            }
            None if url.is_empty() || url == ":memory:" => Err(bad("a path is expected")),
            None => Ok(Place::Sqlite(PathBuf::from(url))),
        }
    }

    fn fault(&self, why: &dyn std::fmt::Display) -> Refusal {
        match self {
            Place::Pg(_) => {
                tracing::error!(database = ?self, cause = %why, "the database cannot be reached");
                Refusal::new(Code::Unavailable, format!("the database {self:?} cannot be reached now"))
            }
            Place::Sqlite(_) => Refusal::new(Code::ConfigInvalid, format!("database {self:?}: {why}")),
        }
    }

    /// A refusal goes on as it is; all else is the database's fault.
    fn refusal(&self, failure: Failure) -> Refusal {
        failure.downcast::<Refusal>().map_or_else(|failure| self.fault(&failure), |refusal| *refusal)
    }

    /// A connection of the writer's kind, without a look at the schema. A new file is readable by its owner alone.
    pub(crate) fn connect(&self) -> R<Db> {
        let fault = |e: &dyn std::fmt::Display| self.fault(e);
        match self {
            Place::Pg(url) => {
                let mut db = PgConnection::establish(url).map_err(|e| fault(&e))?;
                db.batch_execute(SESSION).map_err(|e| fault(&e))?;
                Ok(Db::Pg(db))
            }
            Place::Sqlite(path) => {
                if !path.exists() {
                    use std::os::unix::fs::OpenOptionsExt as _;
                    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                    created.map_err(|e| fault(&e))?;
                }
                let mut db = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| fault(&e))?;
                db.batch_execute(PRAGMAS).map_err(|e| fault(&e))?;
                Ok(Db::Sqlite(db))
            }
        }
    }

    /// Opens a connection for writing and brings the schema up to date. `CONFIG_INVALID` where a later build has done so.
    pub(crate) fn writer(&self) -> R<Db> {
        let mut db = self.connect()?;
        migrate(&mut db, self).map_err(|failure| self.refusal(failure))?;
        Ok(db)
    }

    /// Refuses a connection to tables that a later build has brought on meanwhile (`CONFIG_INVALID`).
    pub(crate) fn knows(&self, db: &mut Db) -> R<()> {
        let known = match db {
            Db::Pg(db) => knows(db, &POSTGRES, self),
            Db::Sqlite(db) => knows(db, &SQLITE, self),
        };
        known.map_err(|failure| self.refusal(failure))
    }

    /// A connection that changes nothing, to a database that is there.
    pub(crate) fn reader(&self) -> R<Db> {
        if let Place::Sqlite(path) = self {
            std::fs::metadata(path).map_err(|e| self.fault(&e))?;
        }
        Door(self.clone()).connect().map_err(|e| self.fault(&e))
    }

    /// Device and number of the file, so that a database that was taken away is not written into nowhere; 0 where the
    /// server looks after that itself.
    pub(crate) fn identity(&self) -> std::io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt as _;
        match self {
            Place::Pg(_) => Ok((0, 0)),
            Place::Sqlite(path) => std::fs::metadata(path).map(|m| (m.dev(), m.ino())),
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The migrations of this build.
fn known<B: Backend>(migrations: &EmbeddedMigrations) -> Result<Vec<String>, Failure> {
    let known = MigrationSource::<B>::migrations(migrations)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Whether this build knows every migration that the database has had.
fn knows<B: Backend>(
    db: &mut impl MigrationHarness<B>,
    migrations: &EmbeddedMigrations,
    place: &Place,
) -> Result<(), Failure> {
    let applied: Vec<String> = db.applied_migrations()?.iter().map(ToString::to_string).collect();
    Ok(no_later_build(&format!("{place:?}"), &known::<B>(migrations)?, &applied)?)
}

/// [`Place::knows`] in the middle of the work, by a read alone: [`Fault::Overtaken`] where a later build has brought on what
/// this process opened.
pub(crate) fn not_overtaken(db: &mut Db) -> Result<(), Fault> {
    use diesel::QueryDsl as _;
    let applied: Vec<String> = applied_migrations::table.select(applied_migrations::version).load(db)?;
    let known = match db {
        Db::Pg(_) => known::<diesel::pg::Pg>(&POSTGRES),
        Db::Sqlite(_) => known::<diesel::sqlite::Sqlite>(&SQLITE),
    };
    let known = known.map_err(|why| Refusal::new(Code::Internal, format!("this build's migrations: {why}")))?;
    no_later_build("in use", &known, &applied).map_err(Fault::Overtaken)
}

fn up<B: Backend>(
    db: &mut impl MigrationHarness<B>,
    migrations: EmbeddedMigrations,
    place: &Place,
) -> Result<(), Failure> {
    knows(db, &migrations, place)?;
    db.run_pending_migrations(migrations).map(drop)
}

fn migrate(db: &mut Db, place: &Place) -> Result<(), Failure> {
    match db {
        Db::Pg(db) => {
            db.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATING})"))?;
            let ran = up(db, POSTGRES, place);
            db.batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATING})"))?;
            ran
        }
        Db::Sqlite(db) => up(db, SQLITE, place),
    }
}

/// Takes all migrations back; a test goes up again afterwards.
#[cfg(test)]
fn revert(db: &mut Db) -> Result<(), Failure> {
    match db {
        Db::Pg(db) => db.revert_all_migrations(POSTGRES).map(drop),
        Db::Sqlite(db) => db.revert_all_migrations(SQLITE).map(drop),
    }
}

/// Whether this connection may write now: the one that holds the advisory lock, until it ends. On SQLite a lock on a file
/// says so (`lock`), and the epoch in the head fences who went round it.
pub(crate) fn leads(db: &mut Db) -> Result<bool, Fault> {
    let Db::Pg(db) = db else { return Ok(true) };
    let lock = diesel::dsl::sql::<diesel::sql_types::Bool>(&format!("pg_try_advisory_lock({WRITING})"));
    Ok(diesel::select(lock).get_result(db)?)
}

/// Gives the writer's place up, so that the next one need not wait until the server has noticed the end.
pub(crate) fn step_down(db: &mut Db) {
    if let Db::Pg(db) = db {
        drop(db.batch_execute(&format!("SELECT pg_advisory_unlock({WRITING})")));
    }
}

/// Whether the connection still answers.
pub(crate) fn alive(db: &mut Db) -> bool {
    db.batch_execute("SELECT 1").is_ok()
}

/// The epoch of whoever writes the log.
pub(crate) fn epoch(db: &mut Db) -> Result<i64, Fault> {
    use diesel::QueryDsl as _;
    Ok(log_head::table.find(1).select(log_head::epoch).first(db)?)
}

/// Opens connections for reading.
pub(crate) struct Door(Place);

impl ManageConnection for Door {
    type Connection = Db;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Db, Self::Error> {
        let query = diesel::r2d2::Error::QueryError;
        match &self.0 {
            Place::Pg(url) => {
                let mut db = PgConnection::establish(url).map_err(diesel::r2d2::Error::ConnectionError)?;
                db.batch_execute(READING).map_err(query)?;
                Ok(Db::Pg(db))
            }
            Place::Sqlite(path) => {
                let mut db = SqliteConnection::establish(&path.to_string_lossy())
                    .map_err(diesel::r2d2::Error::ConnectionError)?;
                db.batch_execute(&format!("{PRAGMAS} PRAGMA query_only=ON;")).map_err(query)?;
                Ok(Db::Sqlite(db))
            }
        }
    }

    fn is_valid(&self, db: &mut Db) -> Result<(), Self::Error> {
        db.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, _: &mut Db) -> bool {
        std::thread::panicking()
    }
}

/// Opens the readers.
pub(crate) fn readers(place: &Place, size: u32) -> R<Pool<Door>> {
    let pool = Pool::builder().max_size(size).min_idle(Some(1)).test_on_check_out(matches!(place, Place::Pg(_)));
    let built = pool.connection_timeout(std::time::Duration::from_secs(5)).build(Door(place.clone()));
    built.map_err(|e| place.fault(&e))
}

/// A write transaction. On SQLite its first statement takes the write lock at once and waits for it, since a
/// transaction that begins with a read is refused when it goes on to write. Nothing is written once a later build has
/// brought the tables on.
pub(crate) fn write<T>(db: &mut Db, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> Result<T, Fault> {
    db.transaction(|db| {
        match db {
            Db::Sqlite(db) => db.batch_execute("UPDATE log_head SET id = id WHERE id < 0")?,
            // Migrations wait until it ends, so that none comes between this look and what is written.
            Db::Pg(db) => db.batch_execute(&format!("SELECT pg_advisory_xact_lock_shared({MIGRATING})"))?,
        }
        not_overtaken(db)?;
        act(db)
    })
}

/// A read transaction: one snapshot for several reads.
pub(crate) fn read<T>(db: &mut Db, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> Result<T, Fault> {
    db.transaction(act)
}

/// A read transaction on a writer's connection.
pub(crate) fn steady<T>(db: &mut Db, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> Result<T, Fault> {
    db.transaction(|db| {
        if let Db::Pg(db) = db {
            db.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        }
        act(db)
    })
}

#[cfg(test)]
#[path = "conn_tests.rs"]
mod tests;
