//! A database that was changed by hand is refused at open, naming the entry.

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use registry::Registry;
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
        "UPDATE log_entries SET leaf = zeroblob(32) WHERE idx = 4".to_owned(),
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
        ("UPDATE log_hashes SET hash = zeroblob(32) WHERE level = 1 AND idx = 2", "entry 5"),
        ("DELETE FROM log_hashes WHERE level = 2 AND idx = 0", "entry 3"),
        ("INSERT INTO log_hashes VALUES (9, 9, zeroblob(32))", "more than the log"),
        ("UPDATE log_head SET size = size - 1", "size 13 is wrong"),
        ("UPDATE log_head SET size = size + 1", "entry 14 is missing"),
        ("DELETE FROM log_entries WHERE idx = 13", "entry 13 is missing"),
        ("UPDATE log_head SET root = zeroblob(32)", "root"),
        ("UPDATE log_head SET checkpoint = replace(checkpoint, '14', '13')", "signed head"),
        ("UPDATE log_head SET checkpoint = ''", "signed head"),
        ("DELETE FROM log_head", "head is missing"),
        // The last entry cut off with all its traces: only the signature over the head remembers it.
        (
            "DELETE FROM log_entries WHERE idx = 13; DELETE FROM log_hashes WHERE level = 1 AND idx = 6; UPDATE log_head SET size = 13",
            "root",
        ),
    ];
    for (sql, named) in cases {
        let refusal = opened_after(&house, sql).expect_err(sql);
        assert_eq!(refusal.code, Code::LogTampered, "{sql}");
        assert!(refusal.sentence.contains(named), "{sql}: {refusal}");
    }
}

#[test]
fn an_older_head_with_its_root_put_back_fails_by_its_signature() {
    let mut house = House::furnished();
    let old = house.registry.head().unwrap();
    house.apply(&house.sro[2], schemas::party::Kind::Tdp).unwrap();
    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    let sql = format!("DELETE FROM log_entries WHERE idx = 14; UPDATE log_head SET size = 14, root = X'{}'", old.root);
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
                house.apply(who, schemas::party::Kind::Tdp).err().map(|e| e.code)
            }));
        }
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for (n, code) in codes.iter().enumerate() {
        assert_eq!(*code, (n % 8 == 3).then_some(Code::Unavailable), "{n}");
    }
    assert_eq!(house.registry.state().size(), 22);
    assert!(house.registry.state().participant(&poison.did().unwrap()).is_none());
    diesel::sql_query("DROP TRIGGER poison").execute(&mut db).unwrap();
    let entry = house.apply(&poison, schemas::party::Kind::Tdp).unwrap();
    assert_eq!(entry.receipt.index, 22);
    signing::verify_receipt(&entry.receipt, &entry.body, &house.options.origin, house.options.signer.jwk()).unwrap();
}
