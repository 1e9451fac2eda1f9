//! Long backlogs, written straight into a database of SQLite: walks through them, and what is sent once more in steps.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use registry::{Asked, Endpoint, Wish};
use schemas::{Code, Timestamp};

use crate::house::House;
use crate::queues::endpoint;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A house with an endpoint for which so many deliveries wait; `about` is SQL for the contract of the `i`th.
fn full(count: usize, about: &str) -> (House, Endpoint, SqliteConnection) {
    let house = House::empty();
    let to = Endpoint { ordered: true, ..endpoint(&house.tdc.did().unwrap(), &["contract.*"]) };
    house.registry.add_endpoint(&to).unwrap();
    let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
    db.batch_execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
           INSERT INTO outbox (id, topic, subject, audience, payload, dedupe_key, created_at, dispatched_at, seq, about)
           SELECT printf('m%06d', i), 'contract.signed', 's', '[]', '{{}}', printf('m%06d', i), i, i, i, {about} FROM n;
         INSERT INTO deliveries (id, outbox_id, endpoint_id, not_before, attempts, seq)
           SELECT 'd' || id, id, '{}', 0, 0, seq FROM outbox;",
        to.endpoint_id
    ))
    .unwrap();
    (house, to, db)
}

#[test]
fn a_change_of_one_endpoint_lets_the_walks_of_others_go_on() {
    // One contract waits for its first; behind 6,000 of it stand two others, which a second look reaches.
    let (house, to, mut db) = full(6002, "CASE WHEN i < 6000 THEN 'a' ELSE 'b' || i END");
    db.batch_execute("UPDATE deliveries SET not_before = 100000000 WHERE seq = 0").unwrap();
    let other = endpoint(&house.tdps[0].did().unwrap(), &["contract.*"]);
    house.registry.add_endpoint(&other).unwrap();
    let wish = Wish { endpoint_id: to.endpoint_id.clone(), most: 8, ordered: true };
    let look = || {
        let leased = house.registry.lease_deliveries(std::slice::from_ref(&wish), 30, at(1)).unwrap();
        leased.deliveries.into_iter().map(|one| one.delivery_id).collect::<Vec<_>>()
    };
    assert!(look().is_empty(), "it goes on at the next look");
    // What its own owner changes makes it begin anew.
    house.registry.pause_endpoint(&to.endpoint_id, at(1)).unwrap();
    assert!(look().is_empty());
    house.registry.pause_endpoint(&other.endpoint_id, at(1)).unwrap();
    house.registry.rotate_endpoint(&other, &[9; 32], &[9; 32], at(60), at(1)).unwrap();
    house.registry.change_endpoint(&other.endpoint_id, "https://other.example/", &["run.*".into()], true).unwrap();
    house.registry.delete_endpoint(&other.endpoint_id, at(1)).unwrap();
    assert_eq!(look(), ["dm006000", "dm006001"]);
}

#[test]
fn what_was_given_up_is_recovered_in_steps_none_of_which_is_long() {
    let (house, to, mut db) = full(450, "'c' || i");
    let registry = &house.registry;
    let sql = "UPDATE deliveries SET dead_at = 1;
               CREATE TRIGGER poison BEFORE UPDATE ON deliveries WHEN NEW.id = 'dm000300'
                 BEGIN SELECT RAISE(ABORT, 'poison'); END";
    db.batch_execute(sql).unwrap();
    let of = |state: &str| {
        let asked = Asked { state: Some(state.into()), ..Asked::default() };
        registry.deliveries(&to.owner, &asked, 1_000).unwrap().len()
    };
    // The database fails in the second step of 200: the first one stands by itself.
    let refused = registry.recover_dead(&to.endpoint_id, None, at(10)).unwrap_err();
    assert_eq!((refused.code, of("pending"), of("dead")), (Code::Unavailable, 200, 250));
    db.batch_execute("DROP TRIGGER poison").unwrap();
    let rest = registry.recover_dead(&to.endpoint_id, None, at(10)).unwrap();
    assert_eq!((rest.deliveries, rest.more, of("pending"), of("dead")), (250, false, 450, 0));
}
