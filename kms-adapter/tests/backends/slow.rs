//! A key backend that takes its time: what ran out before it answered counts no more, and no key leaves.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kms_adapter::backend::Kind;
use kms_adapter::backend::transit::Settings;
use schemas::Code;
use schemas::release::Release;

use crate::server::{Server, folder};
use crate::support::http::Answer;
use crate::support::{Changes, Room, World, start};
use crate::vault::{TOKEN, Vault};

/// A world whose key service keeps its key-encryption key in a vault, and the seconds that its next unwrap takes.
fn world(change: impl Fn(&mut Changes)) -> (World, Arc<AtomicI64>, Server) {
    let mut vault = Vault::default();
    let server = Server::start(move |request| vault.answer(request));
    let token_file = folder().join("token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = Settings {
        url: server.url(),
        token_file,
        ca_file: Some(server.ca_file.clone()),
        mount: "keys-of-tdp".into(),
        namespace: Some("depa".into()),
        key_prefix: "depa-kek".into(),
        timeout_ms: 20_000,
        attempts: 1,
        backoff_ms: 1,
    };
    let mut changes = Changes::default();
    change(&mut changes);
    let inner = std::mem::replace(&mut changes.config, Box::new(|_| ()));
    changes.config = Box::new(move |config| {
        (config.backend, config.transit) = (Kind::Transit, Some(settings.clone()));
        inner(config);
    });
    let world = World::with(changes);
    let (hands, takes) = (world.hands(), Arc::new(AtomicI64::new(0)));
    let seconds = takes.clone();
    server.lie(move |request, reply| {
        if request.path.contains("/decrypt/") {
            hands.fetch_add(seconds.swap(0, Ordering::SeqCst) * 1_000_000, Ordering::SeqCst);
        }
        reply
    });
    (world, takes, server)
}

/// A release whose unwrap takes so long.
fn release(world: &World, takes: &AtomicI64, seconds: i64) -> Answer<Release> {
    let room = Room::new(world);
    let reserved = room.reserve().unwrap();
    let request = room.release_request(&reserved);
    takes.store(seconds, Ordering::SeqCst);
    let done = room.send_release(&reserved, &request);
    done.map(|release| release.read_unverified().unwrap())
}

fn refuses(seconds: i64, code: Code, change: impl Fn(&mut Changes)) {
    let (world, takes, _server) = world(change);
    let refused = release(&world, &takes, seconds).expect_err("a refusal is expected");
    assert_eq!(refused.code, code, "{seconds} s: {}", refused.text);
    assert!(!refused.text.contains("jwe"));
    assert_ne!(world.charges(), ["charged"], "{seconds} s");
}

#[test]
fn a_backend_that_answers_soon_enough_gives_the_key_and_a_shorter_lease() {
    for (seconds, lease) in [(0, 30), (25, 30), (30, 25), (40, 15)] {
        let (world, takes, _server) = world(|_| ());
        assert_eq!(release(&world, &takes, seconds).unwrap().lease_seconds, lease, "{seconds} s");
        assert_eq!(world.charges(), ["charged"]);
    }
}

#[test]
fn what_ran_out_while_the_backend_thought_counts_no_more() {
    refuses(41, Code::AdmissionStale, |_| ());
    refuses(56, Code::AdmissionStale, |_| ());
    refuses(120, Code::ChallengeExpired, |_| ());
    refuses(30, Code::ReservationExpired, |changes| changes.config = Box::new(|c| c.reservation_seconds = 30));
    refuses(30, Code::ContractExpired, |changes| {
        changes.contract = Box::new(|c| c.expires_at = start().plus_seconds(30));
    });
}
