//! The database: one writing connection behind a lock, one serialised immediate transaction per act.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use schemas::{Code, R, Refusal};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Why a transaction was rolled back.
pub(crate) enum Fault {
    /// A rule said no.
    Refused(Refusal),
    /// The database failed.
    Database(diesel::result::Error),
}

/// The result inside a transaction.
pub(crate) type Tx<T> = Result<T, Fault>;

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

impl From<diesel::result::Error> for Fault {
    fn from(error: diesel::result::Error) -> Fault {
        Fault::Database(error)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Refused(refusal) => refusal,
            // The cause is logged at the edge, once; the peer gets a fixed sentence.
            Fault::Database(error) => Refusal::new(Code::Internal, format!("database: {error}")),
        }
    }
}

/// The TDP's database.
pub(crate) struct Store {
    connection: Mutex<SqliteConnection>,
}

impl Store {
    /// Opens the file, made if missing, and brings its tables up to date.
    pub fn open(path: &Path) -> R<Store> {
        let fault = |e: String| Refusal::new(Code::Unavailable, format!("database {}: {e}", path.display()));
        let text = path.to_str().ok_or_else(|| fault("its path is not UTF-8".into()))?;
        let mut connection = SqliteConnection::establish(text).map_err(|e| fault(e.to_string()))?;
        for pragma in [
            "PRAGMA busy_timeout = 10000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA trusted_schema = OFF",
            "PRAGMA secure_delete = ON",
        ] {
            diesel::sql_query(pragma).execute(&mut connection).map_err(|e| fault(e.to_string()))?;
        }
        connection.run_pending_migrations(MIGRATIONS).map_err(|e| fault(e.to_string()))?;
        Ok(Store { connection: Mutex::new(connection) })
    }

    /// Runs one act in a transaction that excludes every other one, in this process and beside it.
    pub fn transact<T>(&self, act: impl FnOnce(&mut SqliteConnection) -> Tx<T>) -> R<T> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(connection.immediate_transaction(act)?)
    }
}
