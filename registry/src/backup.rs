//! Backup and restore. A backup is one file: of SQLite a database, of PostgreSQL a text with a line for each row. Both are
//! taken of one moment while the registry works on, and both are checked: the whole log is replayed before a backup is
//! called one, and again after it was put back. The file holds secrets and private bodies; it is its owner's alone.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;
use schemas::log::CheckpointRef;
use schemas::{Code, Digest, R, Refusal};

use crate::conn::{self, Db, Place};
use crate::error::{Fault, tampered};
use crate::load;
use crate::lock::Lock;

/// The first line of a PostgreSQL backup.
const TITLE: &str = "depa registry backup 1";
/// How a SQLite file begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// Tables in the order in which they were made: none refers to a later one.
const TABLES: &str = "SELECT relname AS value FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
                      AND relname NOT LIKE '\\_\\_diesel%' ORDER BY oid";

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Whether a database holds no log: no table of ours, or no entry. Nothing is changed.
pub(crate) fn holds_nothing(db: &mut Db) -> Result<bool, Fault> {
    if let Db::Pg(db) = db {
        let tables = diesel::sql_query(TABLES).load::<Word>(db)?;
        if !tables.iter().any(|table| table.value == "log_head") {
            return Ok(true);
        }
    }
    Ok(load::head(db)?.at.size == 0)
}

fn fault(file: &Path) -> impl Fn(std::io::Error) -> Refusal {
    move |e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", file.display()))
}

/// A new file that only its owner reads.
fn create(file: &Path) -> R<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(fault(file))
}

/// Writes a consistent copy of a database into a new file and checks it. Returns the head of the log in the copy.
pub fn backup(url: &str, file: &Path) -> R<CheckpointRef> {
    let place = Place::parse(url)?;
    if let Place::Sqlite(path) = &place {
        std::fs::metadata(path).map_err(fault(path))?;
    }
    let made = create(file)?;
    let taken = match place.connect()? {
        Db::Sqlite(mut db) => {
            drop(made);
            let into = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(file.to_string_lossy());
            let done = into.execute(&mut db).map(drop).map_err(|e| Fault::from(e).refusal());
            done.and_then(|()| synced(file)).and_then(|()| check(&Place::Sqlite(file.to_path_buf())))
        }
        mut db @ Db::Pg(_) => dump(&mut db, made, file).map_err(Fault::refusal),
    };
    if taken.is_err() {
        // Half a backup is none.
        drop(std::fs::remove_file(file));
    }
    taken
}

fn synced(file: &Path) -> R<()> {
    std::fs::File::open(file).and_then(|f| f.sync_all()).map_err(fault(file))
}

fn check(place: &Place) -> R<CheckpointRef> {
    let mut db = place.connect()?;
    conn::steady(&mut db, load::check).map_err(Fault::refusal)
}

fn dump(db: &mut Db, made: std::fs::File, file: &Path) -> Result<CheckpointRef, Fault> {
    let io = fault(file);
    conn::steady(db, |db| {
        let head = load::check(db)?;
        let mut out = BufWriter::new(made);
        let (mut digest, mut rows) = (Digest([0; 32]), 0u64);
        let mut line = |text: &str| -> R<()> {
            digest = Digest::of_parts(&[&digest.0, text.as_bytes()]);
            writeln!(out, "{text}").map_err(&io)
        };
        line(TITLE)?;
        let Db::Pg(db) = db else { return Err(tampered("another kind of database").into()) };
        for Word { value: table } in diesel::sql_query(TABLES).load::<Word>(db)? {
            line(&format!("table {table}"))?;
            // A page at a time; the snapshot of the transaction keeps pages together.
            for page in 0u64.. {
                let sql = format!(
                    "SELECT row_to_json(t)::text AS value FROM \
                     (SELECT * FROM {table} ORDER BY ctid LIMIT 1000 OFFSET {}) t",
                    page * 1000
                );
                let found = diesel::sql_query(sql).load::<Word>(db)?;
                for Word { value } in &found {
                    line(value)?;
                }
                rows += found.len() as u64;
                if found.len() < 1000 {
                    break;
                }
            }
        }
        writeln!(out, "end {rows} {digest}").map_err(&io)?;
        let out = out.into_inner().map_err(|e| io(e.into_error()))?;
        out.sync_all().map_err(&io)?;
        Ok(head)
    })
}

/// Puts a backup back into a place that is empty, and checks it. Returns the head of the log that came back. Before the
/// registry writes again it must be told what its witnesses have seen, see [`crate::Registry::set_witnessed`].
pub fn restore(file: &Path, url: &str) -> R<CheckpointRef> {
    let place = Place::parse(url)?;
    let mut first = [0u8; 16];
    let known = std::fs::File::open(file).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut first));
    known.map_err(fault(file))?;
    let _lock = Lock::take(&place)?;
    match (&place, first == SQLITE) {
        (Place::Sqlite(path), true) => {
            nothing_there(path)?;
            let mut target = create(path)?;
            let copied = std::fs::File::open(file).and_then(|mut from| std::io::copy(&mut from, &mut target));
            copied.and_then(|_| target.sync_all()).map_err(fault(path))?;
            place.writer()?;
            check(&place)
        }
        (Place::Pg(_), false) => {
            let mut db = place.writer()?;
            conn::write(&mut db, |db| undump(db, file)).map_err(Fault::refusal)
        }
        _ => Err(Refusal::new(Code::ConfigInvalid, "this file is no backup of this kind of database")),
    }
}

/// Refuses to restore beside files of another database: SQLite would take an old `-wal` for the new one's and spoil it.
fn nothing_there(path: &Path) -> R<()> {
    for suffix in ["", "-wal", "-shm"] {
        let there = std::path::PathBuf::from(format!("{}{suffix}", path.display()));
        if there.exists() {
            let sentence = format!(
                "{} is there already: stop the service and move the database away together with its -wal and -shm files",
                there.display()
            );
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        }
    }
    Ok(())
}

fn undump(db: &mut Db, file: &Path) -> Result<CheckpointRef, Fault> {
    let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("{}: {why}", file.display()));
    if load::head(db)?.epoch > 0 {
        return Err(bad("the database that it should go to holds a log already").into());
    }
    let known: Vec<String> = match db {
        Db::Pg(db) => diesel::sql_query(TABLES).load::<Word>(db)?.into_iter().map(|w| w.value).collect(),
        Db::Sqlite(_) => return Err(bad("another kind of database").into()),
    };
    let (mut digest, mut rows, mut table, mut ended) = (Digest([0; 32]), 0u64, None, false);
    for line in BufReader::new(std::fs::File::open(file).map_err(fault(file))?).lines() {
        let line = line.map_err(fault(file))?;
        if ended {
            return Err(bad("something stands after its end").into());
        }
        if let Some(end) = line.strip_prefix("end ") {
            if end != format!("{rows} {digest}") {
                return Err(bad("it was changed or is not whole").into());
            }
            ended = true;
            continue;
        }
        digest = Digest::of_parts(&[&digest.0, line.as_bytes()]);
        if let Some(name) = line.strip_prefix("table ") {
            table = Some(known.iter().find(|k| *k == name).ok_or_else(|| bad("a table that is not known"))?);
            continue;
        }
        match table {
            Some(table) if line.starts_with('{') => {
                let sql = format!("INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, $1::json)");
                diesel::sql_query(sql).bind::<Text, _>(&line).execute(db)?;
                rows += 1;
            }
            None if line == TITLE => {}
            _ => return Err(bad("not a backup of the registry").into()),
        }
    }
    if !ended {
        return Err(bad("it was changed or is not whole").into());
    }
    load::check(db)
}
