//! A database that is put back to an older state while the service runs: nothing it spent comes back.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use schemas::Code;
use schemas::event::Body;
use serde_json::Value;

use crate::keeping::{catch_up, page, stated};
use crate::support::{Room, World, http};

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

fn connection(world: &World) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(world.database().to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    connection
}

fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let names: Vec<Name> = diesel::sql_query(query).load(connection).unwrap();
    names.into_iter().map(|row| row.name).collect()
}

/// Keeps the tables as they are now.
fn keep(world: &World, file: &str) {
    connection(world).batch_execute(&format!("VACUUM INTO '{}'", world.dir.join(file).display())).unwrap();
}

/// Puts the tables back as they were kept, but for those named.
fn put_back(world: &World, file: &str, but: &[&str]) {
    let mut connection = connection(world);
    let names = tables(&mut connection);
    let attach = format!("ATTACH '{}' AS kept; PRAGMA foreign_keys = OFF", world.dir.join(file).display());
    connection.batch_execute(&attach).unwrap();
    let each = names.iter().filter(|name| !but.contains(&name.as_str()));
    let moved: Vec<String> = each
        .map(|name| format!("DELETE FROM main.{name}; INSERT INTO main.{name} SELECT * FROM kept.{name};"))
        .collect();
    connection.batch_execute(&format!("BEGIN IMMEDIATE; {} COMMIT", moved.join(" "))).unwrap();
}

fn code<T>(answer: http::Answer<T>) -> Result<(), Code> {
    answer.map(drop).map_err(|refused| refused.code)
}

#[test]
fn a_database_put_back_beneath_the_running_service_ends_it_until_it_has_caught_up() {
    let mut world = World::new();
    keep(&world, "yesterday");
    let (first, second) = (Room::new(&world), Room::new(&world));
    let reserved = first.reserve().unwrap();
    let released = first.release(&reserved).unwrap().read_unverified().unwrap().receipt;
    // Asked for before: only what follows is refused for the database's sake.
    let prepared = second.reserve_request(|_| ());
    put_back(&world, "yesterday", &[]);
    let gone = Err(Code::StoreRolledBack);
    assert_eq!(code(second.send_reserve(&prepared)), gone, "the budget would be free again");
    assert_eq!(code(second.ask_challenge()), gone);
    assert_eq!(code(first.renew(first.status_list(vec![]))), gone);
    assert_eq!(code(first.commit(b"model")), gone);
    assert_eq!(code(http::get::<Value>(&world.at("/readyz"), None)), gone);
    // Time heals nothing, nor does the service's own writing.
    world.pass(3600);
    assert_eq!(code(second.ask_challenge()), gone);
    let bodies = [Body::RunOrdered { job: world.bundle.job.clone() }, stated(&reserved), stated(&released)];
    let pages = [page(&world, &bodies)];

    world.stop();
    world.restart().unwrap();
    assert!(world.charges().is_empty(), "the database of yesterday knows nothing");
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    let done = catch_up(&mut world, &pages, false).unwrap();
    assert_eq!((done.imported, done.opened), (2, true));
    assert_eq!(world.charges(), ["charged"]);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

/// A database that went back, and on again by others, is another one.
#[test]
fn a_database_that_went_back_and_on_again_is_noticed_too() {
    let mut world = World::new();
    let other = crate::support::world::clock_of(&world);
    keep(&world, "yesterday");
    // Something the service was told of; by far fewer acts than follow.
    Room::new(&world).reserve().unwrap();
    world.stop();
    let living = kms_adapter::Kms::open(world.config.clone(), other.clone()).unwrap();
    living.keep_up().unwrap();
    put_back(&world, "yesterday", &[]);
    world.restart().unwrap();
    for _ in 0..20 {
        Room::new(&world).challenge();
    }
    assert_eq!(living.keep_up().unwrap_err().code, Code::StoreRolledBack);
    // It has told the database: nobody on it goes on.
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
}

/// Somebody who leaves the words where they are, and puts everything else back.
#[test]
fn rows_put_back_under_the_newest_word_are_noticed() {
    for kept in [&["generation"][..], &["generation", "journal"], &["generation", "journal", "checkpoint", "run"]] {
        let world = World::new();
        keep(&world, "yesterday");
        Room::new(&world).reserve().unwrap();
        let next = Room::new(&world);
        let prepared = next.reserve_request(|_| ());
        put_back(&world, "yesterday", kept);
        assert_eq!(code(next.send_reserve(&prepared)), Err(Code::RowTampered), "{kept:?}");
    }
}
