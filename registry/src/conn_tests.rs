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

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("depa-conn-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn number(db: &mut Db, sql: &str) -> i32 {
    diesel::sql_query(sql).get_result::<Number>(db).unwrap().value
}

fn words(db: &mut Db, sql: &str) -> Vec<String> {
    diesel::sql_query(sql).load::<Word>(db).unwrap().into_iter().map(|w| w.value).collect()
}

/// A kill cannot show a missing fsync, so the setting is pinned: FULL is 2, NORMAL would be 1.
#[test]
fn commits_are_synced_before_they_are_answered() {
    let folder = folder();
    let place = Place::Sqlite(folder.join("log.db"));
    let mut db = place.writer().unwrap();
    assert_eq!(number(&mut db, "SELECT synchronous AS value FROM pragma_synchronous"), 2);
    assert_eq!(number(&mut db, "SELECT foreign_keys AS value FROM pragma_foreign_keys"), 1);
    assert_eq!(words(&mut db, "SELECT journal_mode AS value FROM pragma_journal_mode"), ["wal"]);
    let mut reader = readers(&place, 1).unwrap().get().unwrap();
    assert!(diesel::sql_query("DELETE FROM log_head").execute(&mut *reader).is_err(), "a reader writes");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Every column as `table.column`, sorted, and whether it must have a value.
fn columns(db: &mut Db) -> Vec<String> {
    let sql = match db {
        Db::Pg(_) => {
            "SELECT table_name || '.' || column_name || ' ' || CASE is_nullable WHEN 'NO' THEN '1' ELSE '0' END AS value \
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
        Db::Sqlite(_) => {
            "SELECT m.name || '.' || c.name || ' ' || c.\"notnull\" AS value FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
    };
    let mut columns = words(db, sql);
    columns.retain(|c| !c.starts_with("__diesel"));
    columns.sort();
    columns
}

#[test]
fn migrations_go_up_and_down_and_up_and_both_kinds_have_the_same_columns() {
    let folder = folder();
    let place = Place::Sqlite(folder.join("log.db"));
    let mut sqlite = place.writer().unwrap();
    let up = columns(&mut sqlite);
    assert!(up.iter().any(|c| c == "log_tiles.hashes 1") && !up.iter().any(|c| c.starts_with("log_hashes")));
    revert(&mut sqlite).unwrap();
    assert_eq!(columns(&mut sqlite), [] as [String; 0]);
    migrate(&mut sqlite, &place).unwrap();
    assert_eq!(columns(&mut sqlite), up);
    std::fs::remove_dir_all(folder).unwrap();
    let cluster = match postgres::Cluster::start() {
        Ok(cluster) => cluster,
        Err(why) => return println!("NOT RUN registry migrations on PostgreSQL: {why}"),
    };
    let place = Place::parse(&cluster.database()).unwrap();
    let mut pg = place.writer().unwrap();
    assert_eq!(columns(&mut pg), up);
    revert(&mut pg).unwrap();
    assert_eq!(columns(&mut pg), [] as [String; 0]);
    migrate(&mut pg, &place).unwrap();
    assert_eq!(columns(&mut pg), up);
}

/// A later build brought the tables on: nothing is written here until that is taken back. Who connects without a look at
/// the schema is refused, too.
fn leaves_a_later_build_alone(place: &Place) {
    let mut db = place.writer().unwrap();
    place.knows(&mut db).unwrap();
    db.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    let refused = place.writer().err().unwrap();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains("9999"), "{refused}");
    assert_eq!(place.knows(&mut db).unwrap_err().code, Code::ConfigInvalid);
    // A write that had not begun ends before it changes anything, and names the migration.
    let mut begun = false;
    let written = write(&mut db, |_| {
        begun = true;
        Ok(())
    });
    assert!(matches!(&written, Err(Fault::Overtaken(why)) if why.sentence.contains("9999")), "{written:?}");
    assert!(!begun);
    db.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '9999'").unwrap();
    drop(place.writer().unwrap());
    write(&mut db, |_| Ok(())).unwrap();
}

#[test]
fn a_database_that_a_later_build_brought_on_is_not_opened() {
    let folder = folder();
    leaves_a_later_build_alone(&Place::Sqlite(folder.join("log.db")));
    std::fs::remove_dir_all(folder).unwrap();
    match postgres::Cluster::start() {
        Ok(cluster) => leaves_a_later_build_alone(&Place::parse(&cluster.database()).unwrap()),
        Err(why) => println!("NOT RUN a later build's database on PostgreSQL: {why}"),
    }
}

const KEPT: &str = "whsec_c2hvd24gb25jZSwga2VwdCBieSBhbiBlYXJsaWVyIHJlbGVhc2U=";

/// An earlier release kept whole answers: afterwards no secret is left, and every key still knows that it was used.
fn forgets_secrets(db: &mut Db, up: &str) {
    let text = format!("{{\"secret\":\"{KEPT}\"}}");
    let (request, answer, read) = match db {
        Db::Pg(_) => {
            ("decode(repeat('07', 32), 'hex')", format!("convert_to('{text}', 'UTF8')"), "convert_from(answer, 'UTF8')")
        }
        Db::Sqlite(_) => ("zeroblob(32)", format!("CAST('{text}' AS BLOB)"), "CAST(answer AS TEXT)"),
    };
    let mut insert = |key: &str, route: &str, status: &str, answer: &str| {
        let values = format!("'did:key:x', '{route}', '{key}', {request}, {status}, {answer}, 1");
        diesel::sql_query(format!("INSERT INTO idempotency_keys VALUES ({values})")).execute(db).unwrap();
    };
    let routes = ["/v1/webhooks/endpoints", "/v1/webhooks/endpoints/{id}/rotate", "/v1/webhooks/endpoints/{id}/ping"];
    for (key, route) in ["a", "b", "c"].iter().zip(routes) {
        insert(key, route, "201", &answer);
    }
    // A request that has no answer yet stays one.
    insert("d", routes[0], "NULL", "NULL");
    db.batch_execute(up).unwrap();
    let sql = format!("SELECT key || ' ' || COALESCE({read}, '-') AS value FROM idempotency_keys ORDER BY key");
    assert_eq!(words(db, &sql), ["a {}", "b {}", &format!("c {text}"), "d -"]);
    diesel::sql_query("DELETE FROM idempotency_keys WHERE key = 'c'").execute(db).unwrap();
}

#[test]
fn secrets_that_an_earlier_release_kept_are_forgotten() {
    let folder = folder();
    let path = folder.join("log.db");
    let mut sqlite = Place::Sqlite(path.clone()).writer().unwrap();
    forgets_secrets(&mut sqlite, include_str!("../migrations/sqlite/0008_secrets/up.sql"));
    // No byte of it is left in the file either.
    sqlite.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(sqlite);
    let file = std::fs::read(path).unwrap();
    let holds = |text: &[u8]| file.windows(text.len()).any(|part| part == text);
    assert!(holds(b"/v1/webhooks/endpoints") && !holds(KEPT.as_bytes()));
    std::fs::remove_dir_all(folder).unwrap();
    match postgres::Cluster::start() {
        Ok(cluster) => {
            let mut pg = Place::parse(&cluster.database()).unwrap().writer().unwrap();
            forgets_secrets(&mut pg, include_str!("../migrations/postgres/0008_secrets/up.sql"));
        }
        Err(why) => println!("NOT RUN secrets kept by an earlier release on PostgreSQL: {why}"),
    }
}

#[test]
fn a_password_is_not_shown() {
    let place = Place::parse("postgres://me:secret@host/db").unwrap();
    assert_eq!(format!("{place:?}"), "host/db");
}

#[path = "../tests/memory/postgres.rs"]
mod postgres;
