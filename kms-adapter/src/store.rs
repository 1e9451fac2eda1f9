//! The database: SQLite in the service's folder, or PostgreSQL. One writing connection behind a lock, and one serialised
//! transaction per act: no other one runs beside it, in this process or in another on the same database.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use diesel::backend::Backend;
use diesel::connection::SimpleConnection as _;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::{MultiConnection, PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use policies::upgrade::no_later_build;
use schemas::{Code, R, Refusal};

use crate::audit;
use crate::generation::{self, Seen};
use crate::secret::Secret;
use crate::tables::{applied_migrations, kek};

/// A connection.
#[derive(MultiConnection)]
pub(crate) enum Db {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// A commit is on the disk before it is answered; what is erased is overwritten.
const PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                       PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON;";
/// An acknowledged commit is on the disk, whatever the server's own setting.
const SESSION: &str = "SET client_min_messages TO warning; SET synchronous_commit TO on";
/// Advisory lock of whoever brings the schema up to date.
const MIGRATING: i64 = 0x6b6d_7300_0001;
/// Advisory lock of the act that runs.
const ACTING: i64 = 0x6b6d_7300_0002;

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

/// Where the database is. Debug shows no password.
#[derive(Clone)]
pub(crate) enum Place {
    /// A PostgreSQL URL.
    Pg(String),
    /// A file, made if missing.
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

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Place {
    fn connect(&self) -> Result<Db, Failure> {
        Ok(match self {
            Place::Pg(url) => {
                let mut db = PgConnection::establish(url)?;
                db.batch_execute(SESSION)?;
                Db::Pg(db)
            }
            Place::Sqlite(path) => {
                if !path.exists() {
                    use std::os::unix::fs::OpenOptionsExt as _;
                    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
                }
                let mut db = SqliteConnection::establish(path.to_str().ok_or("its path is not UTF-8")?)?;
                db.batch_execute(PRAGMAS)?;
                Db::Sqlite(db)
            }
        })
    }
}

/// The migration that brings the MACs of rows.
const ROW_MACS: &str = "20261121310000";

/// The migrations of this build.
fn known<B: Backend>(migrations: &EmbeddedMigrations) -> Result<Vec<String>, Failure> {
    let known = MigrationSource::<B>::migrations(migrations)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Brings tables up to date that no later build has brought on; whether their rows got MACs only now.
fn up<B: Backend>(
    db: &mut impl MigrationHarness<B>,
    migrations: EmbeddedMigrations,
    place: &Place,
) -> Result<bool, Failure> {
    let applied: Vec<String> = db.applied_migrations()?.iter().map(ToString::to_string).collect();
    no_later_build(&format!("{place:?}"), &known::<B>(&migrations)?, &applied)?;
    let ran = db.run_pending_migrations(migrations)?;
    Ok(ran.iter().any(|version| version.to_string() == ROW_MACS))
}

fn migrate(db: &mut Db, place: &Place) -> Result<bool, Failure> {
    match db {
        Db::Pg(db) => {
            // No act of a process that still runs is cut in two by it: the next one sees what the tables are now.
            for lock in [MIGRATING, ACTING] {
                db.batch_execute(&format!("SELECT pg_advisory_lock({lock})"))?;
            }
            let ran = up(db, POSTGRES, place);
            for lock in [ACTING, MIGRATING] {
                db.batch_execute(&format!("SELECT pg_advisory_unlock({lock})"))?;
            }
            ran
        }
        Db::Sqlite(db) => up(db, SQLITE, place),
    }
}

/// Waits for its turn: no other act runs beside this one until its transaction ends, and the tables are those that this build
/// knows.
fn take_turn(db: &mut Db) -> Tx<()> {
    match db {
        // What is read afterwards is what the one before left.
        Db::Pg(db) => db.batch_execute(&format!("SELECT pg_advisory_xact_lock({ACTING})"))?,
        // The first statement takes the write lock: a transaction that begins with a read is refused when it goes on to
        // write.
        Db::Sqlite(db) => diesel::update(kek::table.filter(kek::version.lt(0)))
            .set(kek::version.eq(kek::version))
            .execute(db)
            .map(drop)?,
    }
    not_overtaken(db)
}

/// Refuses where a later build has brought the tables on since this process opened them. `UNAVAILABLE` to callers, who find
/// that build at the same address soon; the log says what to start.
fn not_overtaken(db: &mut Db) -> Tx<()> {
    let applied: Vec<String> = applied_migrations::table.select(applied_migrations::version).load(db)?;
    let known = match db {
        Db::Pg(_) => known::<diesel::pg::Pg>(&POSTGRES),
        Db::Sqlite(_) => known::<diesel::sqlite::Sqlite>(&SQLITE),
    };
    let known = known.map_err(|why| Refusal::new(Code::Internal, format!("this build's migrations: {why}")))?;
    no_later_build("in use", &known, &applied).map_err(|why| Refusal::new(Code::Unavailable, why.sentence).into())
}

/// The TDP's database.
pub(crate) struct Store {
    place: Place,
    held: Mutex<Held>,
    /// Of the MACs of rows.
    pub key: Secret,
    /// Rehearsals let an act end here, as a fall of the machine would; not in the production package.
    #[cfg(feature = "software-attester")]
    fall: Mutex<Option<Fall>>,
}

/// What a process holds of its database.
struct Held {
    /// None after a connection was lost, until the next act.
    db: Option<Db>,
    /// The newest generation that it saw.
    seen: Option<Seen>,
    /// The database was put back: what is refused from then on, and whether the database was told.
    rolled_back: Option<(Refusal, bool)>,
}

/// Where a rehearsal lets the service fall.
#[cfg(feature = "software-attester")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fall {
    /// In the transaction with this number from now, from 1.
    pub transaction: u32,
    /// After its commit; else before it.
    pub committed: bool,
}

impl Store {
    /// Connects and brings the tables up to date; `CONFIG_INVALID` where a later build has done so. `key` is that of the
    /// MACs of rows ([`crate::rows::key`]).
    pub fn open(place: Place, key: Secret) -> R<Store> {
        let mut db = place.connect().map_err(|e| fault(&place, &*e))?;
        let migrated = migrate(&mut db, &place).map_err(|failure| {
            failure.downcast::<Refusal>().map_or_else(|failure| fault(&place, &failure), |refusal| *refusal)
        })?;
        if migrated {
            // A new database, or one of an older build: what its receipts say is checked at each start.
            db.transaction(|db| {
                take_turn(db)?;
                generation::anew(db, &key).map(drop)
            })?;
        }
        Ok(Store {
            place,
            held: Mutex::new(Held { db: Some(db), seen: None, rolled_back: None }),
            key,
            #[cfg(feature = "software-attester")]
            fall: Mutex::new(None),
        })
    }

    /// Runs one act in a transaction that excludes every other one. It is not repeated: a connection that is lost may
    /// have been lost after the commit.
    ///
    /// `STORE_ROLLED_BACK` from the moment on at which the database is older than what this process saw of it;
    /// `ROW_TAMPERED` where somebody else wrote to it; `UNAVAILABLE` once a later build has brought it on.
    pub fn transact<T>(&self, act: impl FnOnce(&mut Db) -> Tx<T>) -> R<T> {
        self.transact_into(&self.key, act)
    }

    /// As [`Store::transact`]; the MACs of rows are made under another key, which this store does not know afterwards.
    pub fn transact_into<T>(&self, next: &Secret, act: impl FnOnce(&mut Db) -> Tx<T>) -> R<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut db = match held.db.take() {
            Some(db) => db,
            None => self.place.connect().map_err(|e| fault(&self.place, &*e))?,
        };
        if held.rolled_back.is_some() {
            return Err(self.refuse(&mut held, db));
        }
        let done = db.transaction(|db| {
            take_turn(db)?;
            let begun = generation::begin(db, &self.key, held.seen.as_ref())?;
            let done = act(db)?;
            let seen = generation::end(db, next, begun)?;
            #[cfg(feature = "software-attester")]
            self.fall(false)?;
            Ok((done, seen))
        });
        if let Err(Fault::Refused(refusal)) = &done
            && refusal.code == Code::StoreRolledBack
        {
            tracing::error!(alarm = "store_rolled_back", database = ?self.place, "{}", refusal.sentence);
            held.rolled_back = Some((refusal.clone(), false));
            return Err(self.refuse(&mut held, db));
        }
        if !matches!(&done, Err(Fault::Database(_))) || db.batch_execute("SELECT 1").is_ok() {
            held.db = Some(db);
        }
        let (done, seen) = done?;
        held.seen = Some(seen);
        #[cfg(feature = "software-attester")]
        self.fall(true)?;
        Ok(done)
    }

    /// After the database was put back: tells the database, so that whoever is started on it opens nothing before it has
    /// caught up, and refuses. Tried at each act until it was told.
    fn refuse(&self, held: &mut Held, mut db: Db) -> Refusal {
        let refused = Refusal::new(Code::StoreRolledBack, "the database was put back");
        let Some((refusal, told)) = &mut held.rolled_back else { return refused };
        if !*told {
            let tell: Tx<()> = db.transaction(|db| {
                take_turn(db)?;
                let begun = generation::begin(db, &self.key, None)?;
                audit::hold(db, "the database was put back beneath the running key service")?;
                generation::end(db, &self.key, begun).map(drop)
            });
            *told = tell.is_ok();
        }
        let refusal = refusal.clone();
        held.db = db.batch_execute("SELECT 1").is_ok().then_some(db);
        refusal
    }

    /// Lets the service fall.
    #[cfg(feature = "software-attester")]
    pub fn fall_at(&self, fall: Option<Fall>) {
        *self.fall.lock().unwrap_or_else(PoisonError::into_inner) = fall;
    }

    #[cfg(feature = "software-attester")]
    fn fall(&self, committed: bool) -> R<()> {
        // What the service does by itself is not what is rehearsed.
        if std::thread::current().name() == Some("kms-checkpoints") {
            return Ok(());
        }
        crate::rehearse::step();
        let mut fall = self.fall.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = fall.as_mut().filter(|at| at.committed == committed) else { return Ok(()) };
        at.transaction = at.transaction.saturating_sub(1);
        if at.transaction == 0 {
            return Err(Refusal::new(Code::Unavailable, "a rehearsed fall"));
        }
        Ok(())
    }
}

fn fault(place: &Place, why: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(database = ?place, cause = %why, "the database cannot be opened");
    Refusal::new(Code::Unavailable, format!("the database {place:?} cannot be opened"))
}
