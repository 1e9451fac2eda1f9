//! Two key services on one database: they share challenges, budget and journal.

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use kms_adapter::Service;
use schemas::Code;
use schemas::release::KmsInfo;

use crate::support::world::clock_of;
use crate::support::{Room, World, http};

#[test]
fn two_processes_on_one_database_share_one_budget_and_one_journal() {
    let world = World::new();
    let mut config = world.config.clone();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let second = Service::start(config, clock_of(&world)).unwrap();
    let listens = second.address().to_string();
    let info: KmsInfo = http::get(&format!("http://{listens}/v1/kms"), None).unwrap();
    assert_eq!(info, world.info);
    let room = Room::new(&world);
    let request = room.reserve_request(|_| ());
    let reserved = http::post(&format!("http://{listens}/v1/reservations"), &request).unwrap();
    world.refuses(Code::ChallengeUsed, || room.send_reserve(&request));
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    room.release(&reserved).unwrap();
    assert_eq!(world.charges(), ["charged"]);
    second.stop();
}

/// One of them is of a later build: the earlier one starts no more.
#[test]
fn a_database_that_a_later_build_brought_on_is_not_opened() {
    let mut world = World::new();
    world.stop();
    let mut database = PgConnection::establish(world.config.database.as_ref().unwrap()).unwrap();
    database.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    let refused = world.restart().unwrap_err();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains("9999"), "{refused}");
    database.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '9999'").unwrap();
    world.restart().unwrap();
}

/// And where it runs while the later one starts, it stops acting at once.
#[test]
fn a_running_service_stops_where_a_later_build_brings_its_database_on() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let request = room.release_request(&reserved);
    let mut database = PgConnection::establish(world.config.database.as_ref().unwrap()).unwrap();
    database.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    assert_eq!(room.send_release(&reserved, &request).unwrap_err().code, Code::Unavailable);
    let ready = || http::get::<serde_json::Value>(&world.at("/readyz"), None);
    assert_eq!(ready().unwrap_err().code, Code::Unavailable);
    database.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '9999'").unwrap();
    ready().unwrap();
    room.send_release(&reserved, &request).unwrap();
    assert_eq!(world.charges(), ["charged"]);
}
