//! A failover to a standby that lagged: the address leads to an older database while the service runs.

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use schemas::Code;

use crate::support::{Room, World};

/// A connection to the cluster, not to the database of the service; and that one's name.
fn cluster(world: &World) -> (PgConnection, String) {
    let url = world.config.database.clone().unwrap();
    let (place, name) = url.rsplit_once('/').unwrap();
    (PgConnection::establish(&format!("{place}/postgres")).unwrap(), name.to_owned())
}

#[test]
fn an_older_database_at_the_same_address_ends_the_running_service() {
    let mut world = World::new();
    world.stop();
    let (mut admin, name) = cluster(&world);
    admin.batch_execute(&format!("CREATE DATABASE {name}_standby TEMPLATE {name}")).unwrap();
    world.restart().unwrap();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    let next = Room::new(&world);
    let prepared = next.reserve_request(|_| ());

    // PostgreSQL runs none of these in a transaction with the others.
    for statement in [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        format!("ALTER DATABASE {name} RENAME TO {name}_lost"),
        format!("ALTER DATABASE {name}_standby RENAME TO {name}"),
    ] {
        admin.batch_execute(&statement).unwrap();
    }

    // The first acts find their connection gone; then they meet the other database.
    let mut codes = Vec::new();
    for _ in 0..50 {
        codes.push(next.send_reserve(&prepared).unwrap_err().code);
        if codes.last() == Some(&Code::StoreRolledBack) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(codes.pop(), Some(Code::StoreRolledBack));
    assert!(codes.iter().all(|code| matches!(code, Code::Internal | Code::Unavailable)), "{codes:?}");
    assert_eq!(next.ask_challenge().unwrap_err().code, Code::StoreRolledBack);
    world.stop();
    world.restart().unwrap();
    assert!(world.charges().is_empty(), "the standby knows nothing");
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
}
