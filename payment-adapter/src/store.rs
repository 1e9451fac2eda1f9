//! The adapter's memory: SQLite in its folder. One transaction per act; what is acknowledged is on the disk.

mod answers;
mod batches;
mod news;
mod own;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use schemas::id::Did;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use crate::instruction::Instruction;
use crate::tables::{deliveries, instructions, owner};

pub(crate) use answers::{Open, Unanswered, kind};
pub(crate) use news::Applied;
pub(crate) use own::readable;
pub(crate) use rows::{Counts, InstructionRow, UnmatchedRow};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// A lock is waited for, and what stands in the file runs nothing: said before it is known whose it is.
const LOOKING: &str = "PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF;";
/// A commit is on the disk before it is answered.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

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
            Fault::Database(error) => {
                tracing::error!(cause = %error, "the adapter's database failed");
                Refusal::new(Code::Unavailable, "the adapter cannot write or read now; try again later")
            }
        }
    }
}

/// Where a folder's database lies.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("payments.sqlite")
}

/// The database. Commands of the same operator may have it open beside the service.
pub(crate) struct Store {
    db: Mutex<SqliteConnection>,
}

impl Store {
    /// Opens the database of a folder, made if missing, and brings its tables up to date.
    pub(crate) fn open(dir: &Path) -> R<Store> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = file(dir);
        let fault = |why: &dyn std::fmt::Display| {
            Refusal::new(Code::ConfigInvalid, format!("database {}: {why}", path.display()))
        };
        if !path.exists() {
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            drop(made.map_err(|e| fault(&e))?);
        }
        let mut db = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| fault(&e))?;
        db.batch_execute(LOOKING).map_err(|e| fault(&e))?;
        readable(&mut db, &path)?;
        db.batch_execute(PRAGMAS).map_err(|e| fault(&e))?;
        db.run_pending_migrations(MIGRATIONS).map_err(|e| fault(&e))?;
        db.batch_execute(&format!("PRAGMA application_id = {};", own::OURS)).map_err(|e| fault(&e))?;
        Ok(Store { db: Mutex::new(db) })
    }

    /// Refuses another provider's or registry's folder (`CONFIG_INVALID`): its answers would be told in the wrong name, and
    /// what it knows to be paid would be paid again.
    pub(crate) fn belongs_to(&self, registry: &Did, provider: &Did) -> R<()> {
        self.act(|db| {
            let known: Option<(String, String)> = owner::table.first(db).optional()?;
            let (registry, provider) = (registry.to_string(), provider.to_string());
            match known {
                None => {
                    let row = (owner::registry.eq(registry), owner::provider.eq(provider));
                    diesel::insert_into(owner::table).values(row).execute(db)?;
                    Ok(())
                }
                Some(known) if known == (registry, provider) => Ok(()),
                Some((registry, provider)) => {
                    let sentence = format!("data_dir belongs to {provider} at the registry {registry}");
                    Err(Refusal::new(Code::ConfigInvalid, sentence).at("data_dir").into())
                }
            }
        })
    }

    /// One transaction, which holds the write lock from its beginning; none in tables that a later build has brought on.
    fn act<T>(&self, act: impl FnOnce(&mut SqliteConnection) -> Tx<T>) -> R<T> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(db.immediate_transaction(|db| {
            own::not_overtaken(db)?;
            act(db)
        })?)
    }

    /// Keeps a message of the contract service by its id; false where it is known. The same id with other bytes is
    /// refused (`REQUEST_REPLAYED`), and so is an instruction that is known with another payment (`PAYMENT_STATE`).
    pub(crate) fn keep_message(
        &self,
        id: &str,
        sha256: Digest,
        told: Option<(&Instruction, &str)>,
        wait_until_due: bool,
        now: Timestamp,
    ) -> R<bool> {
        self.act(|db| {
            let known: Option<Vec<u8>> = deliveries::table.find(id).select(deliveries::sha256).first(db).optional()?;
            if let Some(known) = known {
                if known != sha256.0 {
                    return Err(Refusal::new(Code::RequestReplayed, "this message id came with other bytes").into());
                }
                return Ok(false);
            }
            if let Some((instruction, body)) = told {
                match rows::find(db, &instruction.id)? {
                    Some(kept) if !kept.instruction.is_the_same_payment(instruction) => {
                        let why = "an instruction with this id and another payment is known";
                        return Err(Refusal::new(Code::PaymentState, why).into());
                    }
                    Some(_) => {}
                    None => keep(db, instruction, body, wait_until_due, now)?,
                }
            }
            diesel::insert_into(deliveries::table)
                .values((
                    deliveries::id.eq(id),
                    deliveries::sha256.eq(sha256.0.to_vec()),
                    deliveries::received_at.eq(now.micros()),
                ))
                .execute(db)?;
            Ok(true)
        })
    }

    /// Whether the database answers.
    pub(crate) fn answers(&self) -> R<()> {
        self.act(|db| Ok(db.batch_execute("SELECT 1")?))
    }
}

fn keep(db: &mut SqliteConnection, instruction: &Instruction, body: &str, wait: bool, now: Timestamp) -> Tx<()> {
    let not_before = instruction.due_at.filter(|_| wait).map_or(0, Timestamp::micros);
    let row = (
        instructions::id.eq(&instruction.id),
        instructions::payer.eq(instruction.payer.as_str()),
        instructions::payee.eq(instruction.payee.as_str()),
        instructions::currency.eq(instruction.currency.as_str()),
        instructions::amount_minor.eq(instruction.amount_minor.get()),
        instructions::act.eq(instruction.act.as_str()),
        instructions::from_block.eq(&instruction.from_block),
        instructions::body.eq(body),
        instructions::state.eq(instruction.standing.as_str()),
        instructions::not_before.eq(not_before),
        instructions::created_at.eq(now.micros()),
        instructions::changed_at.eq(now.micros()),
    );
    diesel::insert_into(instructions::table).values(row).execute(db)?;
    Ok(())
}

/// A stored value that this build cannot read.
fn corrupt(what: &str) -> Refusal {
    tracing::error!(what, "a stored value cannot be read");
    Refusal::new(Code::Internal, "a stored value cannot be read")
}
