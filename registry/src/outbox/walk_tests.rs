use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use schemas::id::EndpointId;

use super::*;
use crate::conn::Place;

const ID: &str = "whe_01900000-0000-7000-8000-000000000001";

/// A database with this many deliveries to one endpoint; `about` is SQL for the contract of the `i`th.
struct Full {
    db: Db,
    folder: std::path::PathBuf,
}

impl Full {
    fn of(count: usize, about: &str) -> Full {
        let folder = std::env::temp_dir().join(format!("depa-walk-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let place = Place::Sqlite(folder.join("log.db"));
        drop(place.writer().unwrap());
        let mut db = Db::Sqlite(SqliteConnection::establish(folder.join("log.db").to_str().unwrap()).unwrap());
        db.batch_execute(&format!(
            "INSERT INTO webhook_endpoints (id, owner, url, events, secret, seed, created_at)
               VALUES ('{ID}', 'did:web:a.example', '', '[]', x'00', x'00', 0);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
               INSERT INTO outbox (id, topic, subject, audience, payload, dedupe_key, created_at, dispatched_at, seq, about)
               SELECT printf('m%06d', i), 'contract.signed', 's', '[]', '{{}}', printf('m%06d', i), i, i, i, {about} FROM n;
             INSERT INTO deliveries (id, outbox_id, endpoint_id, not_before, attempts, seq)
               SELECT 'd' || id, id, '{ID}', 0, 0, seq FROM outbox;"
        ))
        .unwrap();
        Full { db, folder }
    }

    fn sql(&mut self, sql: &str) {
        self.db.batch_execute(sql).unwrap();
    }

    /// A look: the places of what was found, and when to look again.
    fn look(&mut self, walk: &mut Walk, most: u32, now: i64) -> (Vec<i64>, Option<Timestamp>) {
        let wish = Wish { endpoint_id: EndpointId::parse(ID).unwrap(), most, ordered: true };
        let (found, next) = first(&mut self.db, &wish, walk, Timestamp::from_seconds(now)).unwrap();
        (found.into_iter().map(|row| row.0.0[2..].parse().unwrap()).collect(), next)
    }

    fn done(&mut self, place: i64) {
        self.sql(&format!("UPDATE deliveries SET done_at = 1 WHERE seq = {place}"));
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn a_long_backlog_is_walked_through_some_pages_a_look_and_then_rested() {
    // One contract waits for its first; behind 6,000 of it stand two others.
    let mut full = Full::of(6002, "CASE WHEN i < 6000 THEN 'a' ELSE 'b' || i END");
    full.sql("UPDATE deliveries SET not_before = 100000000 WHERE seq = 0");
    let mut walk = Walk::default();
    assert_eq!(full.look(&mut walk, 8, 1), (vec![], Some(at(1))), "it goes on at once");
    assert_eq!(full.look(&mut walk, 8, 1), (vec![6000, 6001], Some(at(100))));
    full.done(6000);
    full.done(6001);
    // Nothing new is far away for a second.
    assert_eq!(full.look(&mut walk, 8, 1), (vec![], Some(at(2))));
    assert_eq!(full.look(&mut walk, 8, 2), (vec![], Some(at(2))));
    assert_eq!(full.look(&mut walk, 8, 2), (vec![], Some(at(100))));
    // What is near is found at once.
    assert_eq!(full.look(&mut walk, 8, 100).0, [0]);
}

#[test]
fn the_order_of_each_contract_holds_through_a_walk_and_nothing_is_left() {
    // 40 contracts mixed, some messages about two; the first 1,200 are about one that waits now and then.
    let about = "CASE WHEN i < 1200 THEN 'slow' WHEN i % 7 = 0 THEN 'c' || (i % 40) || ' c' || (i % 11) ELSE 'c' || (i % 40) END";
    let mut full = Full::of(2400, about);
    let contracts = |i: i64| -> Vec<String> {
        match i {
            _ if i < 1200 => vec!["slow".into()],
            _ if i % 7 == 0 && i % 40 != i % 11 => vec![format!("c{}", i % 40), format!("c{}", i % 11)],
            _ => vec![format!("c{}", i % 40)],
        }
    };
    let (mut walk, mut now, mut last, mut all) = (Walk::default(), 1, BTreeMap::<String, i64>::new(), 0);
    while all < 2400 {
        let (found, next) = full.look(&mut walk, 32, now);
        for place in &found {
            for contract in contracts(*place) {
                let before = last.insert(contract.clone(), *place).unwrap_or(-1);
                assert!(before < *place, "{contract}: {before} then {place}");
            }
            full.done(*place);
            all += 1;
        }
        if found.is_empty() {
            now = now.max(next.unwrap().seconds() + i64::from(next.unwrap() > at(now)));
        }
        assert!(now < 10_000, "{all} of 2400");
    }
    assert_eq!(full.look(&mut walk, 32, now + 10), (vec![], None));
}
