//! Backup and restore. A backup is a database of its own: of one moment, taken while the adapter serves, checked before it
//! is called one and again before it is put back. It names payers, payees and amounts: it is its owner's alone.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use contract_client::Clock;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use schemas::{Code, R, Refusal};
use serde::Serialize;

use crate::config::Config;
use crate::serve;
use crate::store::{self, Store};
use crate::tables::{answers, instructions, owner};

/// What is only read is not written, whatever stands in it.
const READING: &str = "PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON;";

/// What a backup holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// The registry whose instructions these are; none where nobody has served the folder yet.
    pub registry: Option<String>,
    /// The payment service provider whose folder it was.
    pub provider: Option<String>,
    /// Instructions, wherever they stand.
    pub instructions: i64,
    /// Answers that are still to be taken.
    pub answers_open: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    value: String,
}

fn fault(file: &Path) -> impl Fn(std::io::Error) -> Refusal {
    move |e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", file.display()))
}

fn refused(file: &Path, why: &dyn Display) -> Refusal {
    Refusal::new(Code::RecoveryRefused, format!("backup {}: {why}", file.display()))
}

/// A new file that only its owner reads.
fn create(file: &Path) -> R<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(fault(file))
}

fn synced(file: &Path) -> R<()> {
    File::open(file).and_then(|f| f.sync_all()).map_err(fault(file))
}

/// The same file with another ending: SQLite keeps what it has not carried over beside a database.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a consistent copy of the adapter's database into a new file and checks it. The adapter may serve meanwhile.
pub fn backup(config: &Config, out: &Path) -> R<Checked> {
    let database = store::file(&config.data_dir);
    std::fs::metadata(&database).map_err(fault(&database))?;
    let unread = |e: &dyn Display| Refusal::new(Code::Unavailable, format!("database {}: {e}", database.display()));
    let mut db = SqliteConnection::establish(&database.to_string_lossy()).map_err(|e| unread(&e))?;
    db.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF;").map_err(|e| unread(&e))?;
    drop(create(out)?);
    let copied = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(out.to_string_lossy()).execute(&mut db);
    let taken = copied.map_err(|e| unread(&e)).and_then(|_| synced(out)).and_then(|()| check(out));
    if taken.is_err() {
        // Half a backup is none.
        drop(std::fs::remove_file(out));
    }
    taken
}

/// Checks a backup and changes nothing: that it is whole, a payment adapter's, and of no newer build
/// (`RECOVERY_REFUSED`).
pub fn check(file: &Path) -> R<Checked> {
    std::fs::metadata(file).map_err(fault(file))?;
    // What lies beside would be taken into it by opening it.
    alone(file)?;
    let mut db = SqliteConnection::establish(&file.to_string_lossy()).map_err(|e| refused(file, &e))?;
    db.batch_execute(READING).map_err(|e| refused(file, &e))?;
    store::readable(&mut db, file).map_err(|why| Refusal { code: Code::RecoveryRefused, ..why })?;
    let found = "SELECT integrity_check AS value FROM pragma_integrity_check LIMIT 1";
    let found: Word = diesel::sql_query(found).get_result(&mut db).map_err(|e| refused(file, &e))?;
    if found.value != "ok" {
        return Err(refused(file, &format!("it is damaged: {}", found.value.lines().last().unwrap_or_default())));
    }
    held(&mut db).map_err(|e| refused(file, &e))
}

fn held(db: &mut SqliteConnection) -> QueryResult<Checked> {
    let named = "SELECT name AS value FROM sqlite_master WHERE type = 'table' AND name = 'owner'";
    // A backup of before folders had an owner has no such table.
    let known: Option<(String, String)> = match diesel::sql_query(named).load::<Word>(db)?.is_empty() {
        true => None,
        false => owner::table.first(db).optional()?,
    };
    let (registry, provider) = known.unzip();
    let open = answers::table.filter(answers::taken_at.is_null().and(answers::refused.is_null()));
    Ok(Checked {
        registry,
        provider,
        instructions: instructions::table.count().get_result(db)?,
        answers_open: open.count().get_result(db)?,
    })
}

/// Puts a backup back into a folder that holds no database; nobody serves it meanwhile (`STORE_IN_USE`). A backup of
/// another provider or registry is refused: its answers would be told in the wrong name.
pub fn restore(config: &Config, backup: &Path, clock: &Clock) -> R<Checked> {
    let desk = config.desk(clock)?;
    let (registry, provider) = (desk.registry, desk.key.did()?);
    let _lock = serve::lock(&config.data_dir)?;
    let database = store::file(&config.data_dir);
    nothing_there(&database)?;
    alone(backup)?;
    let part = beside(&database, ".part");
    if part.exists() {
        // What an earlier restore left that was cut short.
        std::fs::remove_file(&part).map_err(fault(&part))?;
    }
    let put = copy(backup, &part).and_then(|()| {
        let checked = check(&part)?;
        let own = (Some(registry.to_string()), Some(provider.to_string()));
        if checked.registry.is_some() && (&checked.registry, &checked.provider) != (&own.0, &own.1) {
            let whose = checked.provider.as_deref().unwrap_or_default();
            let sentence = format!("{} is a backup of {whose}, or of another registry", backup.display());
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        }
        // Unlike a rename, a link takes no other file's place.
        std::fs::hard_link(&part, &database).map_err(fault(&database))?;
        synced(&config.data_dir)?;
        Ok(checked)
    });
    drop(std::fs::remove_file(&part));
    let checked = put?;
    // Brought up to date here, so that whoever restores learns of it, and not whoever serves.
    Store::open(&config.data_dir)?.belongs_to(&registry, &provider)?;
    Ok(checked)
}

/// Refuses to restore beside files of another database: SQLite would take an old `-wal` for the new one's and spoil it.
fn nothing_there(database: &Path) -> R<()> {
    for there in ["", "-wal", "-shm"].map(|ending| beside(database, ending)) {
        if there.exists() {
            let sentence = format!(
                "{} is there already: stop the adapter and move the database away together with its -wal and -shm files",
                there.display()
            );
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("data_dir"));
        }
    }
    Ok(())
}

/// Refuses the bare file of a copied folder: what lies beside it would be lost.
fn alone(backup: &Path) -> R<()> {
    for there in ["-wal", "-journal"].map(|ending| beside(backup, ending)) {
        if there.exists() {
            let why = format!("{} lies beside it: that is a copied folder, not what backup wrote", there.display());
            return Err(refused(backup, &why));
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> R<()> {
    let mut source = File::open(from).map_err(fault(from))?;
    let mut target = create(to)?;
    std::io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(fault(to))
}
