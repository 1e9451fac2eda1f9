//! A database that somebody edits: every column of every row that the budget stands on is covered, while the service runs
//! and at its start.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use kms_adapter::recovery;
use schemas::Code;
use schemas::release::{RenewRequest, RunAct};

use crate::keeping::{catch_up, kms, put_back, put_file_back, small};
use crate::own_releases::{act, charge};
use crate::store::sql;
use crate::support::{Room, World};

const TABLES: [&str; 5] = ["run", "charge", "own_release", "ledger", "service_state"];

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

fn columns(world: &World, table: &str) -> Vec<Column> {
    let mut connection = SqliteConnection::establish(world.database().to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 30000").unwrap();
    let query = format!("SELECT name, type AS kind FROM pragma_table_info('{table}')");
    diesel::sql_query(query).load(&mut connection).unwrap()
}

/// Another value for a column.
fn edit(column: &Column) -> String {
    let name = &column.name;
    let value = match (name.as_str(), column.kind.as_str()) {
        ("state", _) => "CASE state WHEN 'refunded' THEN 'expired' ELSE 'refunded' END".to_owned(),
        ("lost", _) => "1 - lost".to_owned(),
        (_, "INTEGER") => format!("coalesce({name}, 0) + 1000"),
        (_, "TEXT") => format!("{name} || 'x'"),
        // Zero bytes, as many as there were; one where there were none.
        (_, "BLOB") => format!("zeroblob(max(length({name}), 1))"),
        other => panic!("{other:?}"),
    };
    format!("{name} = {value}")
}

/// A world with a run of each origin: one lost (known by a backup alone), one that goes on; a file outside runs; and its
/// database.
fn world() -> (World, Vec<u8>) {
    let mut world = World::with(small());
    let (recovery_key, parts) = recovery::make(2, 2).unwrap();
    Room::new(&world).reserve().unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    put_back(&mut world, &backup, &parts, "kms2");
    assert!(catch_up(&mut world, &[], true).unwrap().opened);
    let room = Room::new(&world);
    room.release(&room.reserve().unwrap()).unwrap();
    assert_eq!(world.charges(), ["charged", "charged"]);
    charge(&world, &act(&world, "profile", "20", |_| ())).unwrap();
    world.stop();
    let bytes = std::fs::read(world.database()).unwrap();
    (world, bytes)
}

/// What becomes of an edit: beneath the running service, and under one that does not run.
fn noticed(world: &mut World, before: &[u8], text: &str) {
    let edited = |world: &World| {
        let mut connection = SqliteConnection::establish(world.database().to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = OFF").unwrap();
        connection.batch_execute(text).unwrap();
    };
    world.restart().unwrap();
    let room = Room::new(world);
    let prepared = room.reserve_request(|_| ());
    edited(world);
    let refused = room.send_reserve(&prepared).map_err(|refused| refused.code);
    assert_eq!(refused.err(), Some(Code::RowTampered), "beneath the running service: {text}");
    world.stop();
    put_file_back(world, before);
    edited(world);
    assert_eq!(world.restart().unwrap_err().code, Code::RowTampered, "at the start: {text}");
    put_file_back(world, before);
}

#[test]
fn each_column_of_each_row_that_the_budget_stands_on_is_covered() {
    let (mut world, before) = world();
    let mut seen = 0;
    for table in TABLES {
        for column in columns(&world, table).iter().filter(|column| (table, column.name.as_str()) != ("run", "bundle"))
        {
            // One row alone: the others are as they were.
            let edit = format!("UPDATE {table} SET {} WHERE rowid = (SELECT min(rowid) FROM {table})", edit(column));
            noticed(&mut world, &before, &edit);
            // Also where the old MAC stays.
            noticed(&mut world, &before, &format!("DROP TRIGGER {table}_changed; {edit}"));
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} columns");
}

#[test]
fn rows_that_go_come_or_change_places_are_noticed() {
    let (mut world, before) = world();
    for table in TABLES {
        noticed(&mut world, &before, &format!("DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"));
    }
    for text in [
        // A whole family forgotten.
        "DELETE FROM charge; DELETE FROM ledger; DELETE FROM run",
        "INSERT INTO service_state SELECT 'more', value, mac FROM service_state LIMIT 1",
        "INSERT INTO ledger SELECT family, 'nobody', grid, rdp, rev, mac FROM ledger LIMIT 1",
        // The MACs of two rows change places.
        "DROP TRIGGER charge_changed; CREATE TEMP TABLE m AS SELECT charge_id AS id, mac FROM charge; \
         UPDATE charge SET mac = (SELECT mac FROM temp.m WHERE id <> charge_id)",
        // What was written of a row before.
        "DROP TRIGGER run_changed; UPDATE run SET state = 'expired' WHERE lost = 1",
    ] {
        noticed(&mut world, &before, text);
    }
    // The words themselves.
    let other = "UPDATE generation SET mac = (CASE substr(mac, 1, 1) WHEN '0' THEN '1' ELSE '0' END) || substr(mac, 2)";
    for text in ["DELETE FROM generation", other] {
        world.restart().unwrap();
        sql(&world, text);
        world.stop();
        assert_eq!(world.restart().unwrap_err().code, Code::RowTampered, "{text}");
        put_file_back(&world, &before);
    }
    world.restart().unwrap();
    Room::new(&world).reserve().expect("the database of before is as it was");
}

/// A room renews every ten seconds, each time under an id of its own: they are kept for a day, not for good.
#[test]
fn ids_of_requests_are_remembered_for_a_day() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    let request =
        RenewRequest { request: room.request(RunAct::Renew {}), status_list: room.status_list(vec![]), log_keys: None };
    room.send_renew(&request).unwrap();
    world.refuses(Code::RequestReplayed, || room.send_renew(&request));
    let remembered = || sql(&world, "UPDATE used_once SET at = at WHERE scope LIKE 'run_%'");
    world.pass(86_400);
    Room::new(&world).ask_challenge().unwrap();
    assert_eq!(remembered(), 2, "the release and the renewal");
    world.pass(1);
    Room::new(&world).ask_challenge().unwrap();
    assert_eq!(remembered(), 0);
    // It does not count any more for another reason.
    world.refuses(Code::RequestReplayed, || room.send_renew(&request));
}
