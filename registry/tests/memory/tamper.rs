//! A database that was changed by hand is refused at open, naming the entry.

use std::sync::{Arc, Mutex};

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use registry::Registry;
use schemas::party::Kind;
use schemas::{Code, Refusal};

use crate::house::{House, folder, options, start};

/// Runs SQL on a copy of the closed database and opens it.
fn opened_after(house: &House, sql: &str) -> Result<(), Refusal> {
    let dir = folder();
    let copy = dir.join("registry.db");
    std::fs::copy(house.database(), &copy).unwrap();
    let mut db = SqliteConnection::establish(&copy.display().to_string()).unwrap();
    for statement in sql.split(';').filter(|s| !s.trim().is_empty()) {
        let changed = diesel::sql_query(statement).execute(&mut db).unwrap();
        assert!(changed > 0, "{statement} changed nothing");
    }
    drop(db);
    let result = Registry::open(options(&dir), start()).map(drop);
    std::fs::remove_dir_all(dir).unwrap();
    result
}

/// Closes the registry so that its file can be copied.
fn closed() -> House {
    let mut house = House::furnished();
    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    std::fs::remove_dir_all(aside).unwrap();
    house
}

#[test]
fn each_column_of_an_entry_is_held() {
    let house = closed();
    opened_after(&house, "UPDATE log_head SET epoch = epoch").unwrap();
    let text = |column: &str, from: &str, to: &str| {
        format!(
            "UPDATE log_entries SET {column} = CAST(replace(CAST({column} AS TEXT), '{from}', '{to}') AS BLOB) WHERE idx = 4"
        )
    };
    let cases = [
        "UPDATE log_entries SET idx = 999 WHERE idx = 4".to_owned(),
        "DELETE FROM log_entries WHERE idx = 4".to_owned(),
        "UPDATE log_entries SET idx = -1 WHERE idx = 4".to_owned(),
        text("record", "\"seq\":2", "\"seq\":3"),
        text("record", "2026", "2027"),
        text("record", "{", "{ "),
        "UPDATE log_entries SET subject = 'log' WHERE idx = 4".to_owned(),
        "UPDATE log_entries SET subject_salt = zeroblob(32) WHERE idx = 4".to_owned(),
        "UPDATE log_entries SET subject_salt = zeroblob(31) WHERE idx = 4".to_owned(),
        "UPDATE log_entries SET body_salt = zeroblob(32) WHERE idx = 4".to_owned(),
        text("body", "\"sig\":\"", "\"sig\":\"A"),
        text("body", "jws", "jwt"),
        "UPDATE log_entries SET body = (SELECT body FROM log_entries WHERE idx = 2) WHERE idx = 4".to_owned(),
    ];
    for sql in cases {
        let refusal = opened_after(&house, &sql).expect_err(&sql);
        assert_eq!(refusal.code, Code::LogTampered, "{sql}");
        assert!(refusal.sentence.contains("entry 4"), "{sql}: {refusal}");
    }
}

#[test]
fn the_tree_and_the_signed_head_are_held() {
    let house = closed();
    let cases = [
        ("UPDATE log_tiles SET hashes = zeroblob(length(hashes)) WHERE tree = 0", "entry 0"),
        ("UPDATE log_tiles SET hashes = zeroblob(length(hashes)) WHERE tree = 1", "entry 0"),
        ("DELETE FROM log_tiles WHERE tree = 1", "entry 0"),
        ("INSERT INTO log_tiles VALUES (0, 5, 9, zeroblob(32))", "more than the log"),
        ("UPDATE log_head SET size = size - 1", "signed head"),
        ("UPDATE log_head SET size = size + 1", "signed head"),
        ("DELETE FROM log_entries WHERE idx = 27", "entry 27 is missing"),
        (
            "INSERT INTO log_entries SELECT idx + 99, record, subject, subject_salt, body_salt, body FROM log_entries WHERE idx = 27",
            "more than the log",
        ),
        ("UPDATE log_head SET root = zeroblob(32)", "signed head"),
        ("UPDATE log_head SET checkpoint = replace(checkpoint, '28', '27')", "signed head"),
        ("UPDATE log_head SET checkpoint = ''", "signed head"),
        ("DELETE FROM log_head", "head is missing"),
        // The last entry cut off with all its traces: only the signature over the head remembers it.
        ("DELETE FROM log_entries WHERE idx = 27; UPDATE log_head SET size = 27", "signed head"),
    ];
    for (sql, named) in cases {
        let refusal = opened_after(&house, sql).expect_err(sql);
        assert_eq!(refusal.code, Code::LogTampered, "{sql}");
        assert!(refusal.sentence.contains(named), "{sql}: {refusal}");
    }
}

/// What was kept of the state is a cache: with it changed, cut or gone the log is replayed, and the same comes of it.
#[test]
fn a_kept_state_that_was_changed_is_not_used() {
    let mut house = closed();
    for sql in [
        "UPDATE state_rows SET value = CAST(replace(CAST(value AS TEXT), 'INR', 'EUR') AS BLOB) WHERE noun = 'offers'",
        "UPDATE state_rows SET row_key = row_key || X'20' WHERE noun = 'participants'",
        "DELETE FROM state_rows WHERE noun = 'chains'",
        "INSERT INTO state_rows SELECT noun, X'7b7d', size, value FROM state_rows WHERE noun = 'state'",
        "DELETE FROM state_head",
        "UPDATE state_head SET size = 3",
        "UPDATE state_head SET root = zeroblob(32)",
        "UPDATE state_head SET mac = zeroblob(32)",
        "DELETE FROM state_rows",
    ] {
        opened_after(&house, sql).expect(sql);
    }
    let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
    let sql =
        "UPDATE state_rows SET value = CAST(replace(CAST(value AS TEXT), 'INR', 'EUR') AS BLOB) WHERE noun = 'offers'";
    assert!(diesel::sql_query(sql).execute(&mut db).unwrap() > 0);
    house.reopen().unwrap();
    assert_eq!(house.registry.replayed(), house.registry.head().unwrap().size);
    let offers = format!("{:?}", house.registry.state());
    assert!(offers.contains("INR") && !offers.contains("EUR"));
}

/// What was kept is gone, as after a process that was killed young: nothing of the log is wrong, so nothing says so.
#[test]
fn a_log_without_a_kept_state_is_not_called_tampered() {
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // With one listener alone, a place that speaks for the first time asks only the thread it is on whether anybody listens:
    // another test could silence it for this one.
    let _other = tracing::Dispatch::new(tracing_subscriber::registry());
    for (sql, tampered) in [("DELETE FROM state_head", false), ("UPDATE state_head SET mac = zeroblob(32)", true)] {
        let mut house = closed();
        let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
        diesel::sql_query(sql).execute(&mut db).unwrap();
        let heard = Heard::default();
        let writer = heard.clone();
        let told = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(told, || house.reopen().unwrap());
        let text = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("the whole log is replayed"), "{text}");
        assert_eq!((text.contains("LOG_TAMPERED"), text.contains("WARN")), (tampered, tampered), "{sql}: {text}");
    }
}

/// What changes under an open registry is found by the scrub, which names the entry; nothing is entered after that, and
/// reads go on.
#[test]
fn the_scrub_names_what_was_changed_under_an_open_log() {
    let cases = [
        (
            "UPDATE log_entries SET body = CAST(replace(CAST(body AS TEXT), '}', ' }') AS BLOB) WHERE idx = 24",
            "entry 24",
        ),
        ("DELETE FROM log_entries WHERE idx = 8", "entry 8"),
        (
            "UPDATE log_entries SET idx = CASE idx WHEN 6 THEN 1008 ELSE 6 END WHERE idx IN (6, 8); UPDATE log_entries SET idx = 8 WHERE idx = 1008",
            "entry 6",
        ),
        ("UPDATE log_tiles SET hashes = X'00' || substr(hashes, 2) WHERE tree = 0", "entry 0"),
        (
            "UPDATE log_tiles SET hashes = substr(hashes, 1, 320) || zeroblob(length(hashes) - 320) WHERE tree = 1",
            "entry 10",
        ),
    ];
    for (sql, named) in cases {
        let house = House::furnished();
        assert_eq!(house.registry.scrub().unwrap().first_difference, None);
        let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
        let changed: usize =
            sql.split(';').map(|statement| diesel::sql_query(statement).execute(&mut db).unwrap()).sum();
        assert!(changed > 0, "{sql} changed nothing");
        let status = house.registry.scrub().unwrap();
        let difference = status.first_difference.expect(sql);
        assert!(difference.contains(named), "{sql}: {difference}");
        assert_eq!(house.apply(&house.sro[2], Kind::Tdp).unwrap_err().code, Code::ReadOnly);
        assert_eq!(house.registry.read_only().unwrap().code, Code::ReadOnly);
        assert!(house.registry.receipt(2).is_ok(), "reads go on");
    }
}

#[test]
fn an_older_head_with_its_root_put_back_fails_by_its_signature() {
    let mut house = House::furnished();
    let old = house.registry.head().unwrap();
    house.apply(&house.sro[2], Kind::Tdp).unwrap();
    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    let sql = format!("DELETE FROM log_entries WHERE idx >= 28; UPDATE log_head SET size = 28, root = X'{}'", old.root);
    let refusal = opened_after(&house, &sql).unwrap_err();
    assert_eq!(refusal.code, Code::LogTampered);
    assert!(refusal.sentence.contains("signed head"), "{refusal}");
    std::fs::remove_dir_all(aside).unwrap();
}

/// The database itself fails for one command of many: only that one is refused, and memory stays what the disk holds.
#[test]
fn a_command_that_the_database_refuses_spoils_no_other() {
    let house = House::empty();
    let poison = signing::FileKey::generate().unwrap();
    let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
    let sql = format!(
        "CREATE TRIGGER poison BEFORE INSERT ON log_entries WHEN NEW.subject = '{}' BEGIN SELECT RAISE(ABORT, 'poison'); END",
        poison.did().unwrap()
    );
    diesel::sql_query(sql).execute(&mut db).unwrap();
    let house = &house;
    let codes: Vec<Option<Code>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for n in 0..24 {
            let poison = &poison;
            threads.push(scope.spawn(move || {
                let own = signing::FileKey::generate().unwrap();
                let who = if n % 8 == 3 { poison } else { &own };
                house.apply(who, Kind::Tdp).err().map(|e| e.code)
            }));
        }
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for (n, code) in codes.iter().enumerate() {
        assert_eq!(*code, (n % 8 == 3).then_some(Code::Unavailable), "{n}");
    }
    let entries = house.registry.entries(0, 1000).unwrap();
    assert_eq!(entries.iter().filter(|e| e.record.kind == "participant_applied").count(), 21);
    let size = house.registry.state().size();
    assert_eq!(entries.len() as u64, size);
    assert!(house.registry.state().participant(&poison.did().unwrap()).is_none());
    diesel::sql_query("DROP TRIGGER poison").execute(&mut db).unwrap();
    let entry = house.apply(&poison, Kind::Tdp).unwrap();
    assert_eq!(entry.receipt.index, size);
    signing::verify_receipt(&entry.receipt, &entry.body, &house.options.origin, house.options.signer.jwk()).unwrap();
}

/// Whoever went round the lock and took the epoch fences the writer before it: at its next write, or soon when it has
/// nothing to write. It says nothing of the log any more.
#[test]
fn a_writer_that_was_fenced_writes_nothing_and_says_nothing() {
    for busy in [true, false] {
        let house = House::empty();
        house.registry.fresh().unwrap();
        let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
        diesel::sql_query("UPDATE log_head SET epoch = epoch + 1").execute(&mut db).unwrap();
        let began = std::time::Instant::now();
        while house.registry.read_only().is_none() {
            assert!(began.elapsed().as_secs() < 30, "a fenced writer does not notice");
            if busy {
                assert_eq!(house.apply(&house.tdc, Kind::Tdc).unwrap_err().code, Code::Unavailable);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(house.apply(&house.tdc, Kind::Tdc).unwrap_err().code, Code::Unavailable);
        let did = house.tdc.did().unwrap();
        assert_eq!(house.registry.use_jti(&did, "a", start(), start()).unwrap_err().code, Code::Unavailable);
        assert_eq!(house.registry.fresh().unwrap_err().code, Code::ReadOnly);
        assert!(!house.registry.is_writer());
        assert_eq!(house.registry.head().unwrap().size, 2, "nothing was entered");
    }
}
