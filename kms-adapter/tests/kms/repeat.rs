//! What a room may ask twice, and what nobody may.

use schemas::release::{RenewRequest, RunAct};
use schemas::{Code, Digest};

use crate::support::{Room, World};

#[test]
fn the_same_run_again_is_the_same_reservation() {
    let world = World::new();
    let room = Room::new(&world);
    let first = room.reserve().unwrap();
    let again = room.reserve().unwrap();
    assert_eq!(first, again);
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn released_again_under_fresh_evidence_without_a_second_charge() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let request = room.release_request(&reserved);
        let release = room.send_release(&reserved, &request).unwrap();
        assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), world.key.expose());
        seen.push((request.attested.transcript, release));
    }
    assert_eq!(world.charges(), ["charged"]);
    let (first, second) = (seen[0].1.read_unverified().unwrap(), seen[1].1.read_unverified().unwrap());
    assert_ne!(first.jwe, second.jwe);
    assert_ne!(first.receipt, second.receipt);
    // Each key opens under its own transcript only.
    assert_eq!(room.open(&seen[0].1, &seen[1].0).unwrap_err().code, Code::JweRefused);
    // The reservation, too, is still the same.
    assert_eq!(room.reserve().unwrap(), reserved);
}

#[test]
fn nothing_is_released_after_the_commit() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    room.commit(b"model").unwrap();
    world.refuses(Code::RunState, || room.release(&reserved));
    world.refuses(Code::RunState, || room.reserve());
    world.refuses(Code::RunState, || room.renew(room.status_list(vec![])));
}

#[test]
fn byte_wise_resends_are_refused() {
    let world = World::new();
    let room = Room::new(&world);
    let reserve = room.reserve_request(|_| ());
    let reserved = room.send_reserve(&reserve).unwrap();
    world.refuses(Code::ChallengeUsed, || room.send_reserve(&reserve));
    let release = room.release_request(&reserved);
    room.send_release(&reserved, &release).unwrap();
    world.refuses(Code::ChallengeUsed, || room.send_release(&reserved, &release));
    world.pass(121);
    world.refuses(Code::ChallengeUsed, || room.send_release(&reserved, &release));

    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    let renew =
        RenewRequest { request: room.request(RunAct::Renew {}), status_list: room.status_list(vec![]), log_keys: None };
    room.send_renew(&renew).unwrap();
    world.refuses(Code::RequestReplayed, || room.send_renew(&renew));
    let commit = room.request(RunAct::Commit { output_sha256: Digest::of(b"model") });
    room.send_commit(&commit).unwrap();
    world.refuses(Code::RequestReplayed, || room.send_commit(&commit));
}

#[test]
fn a_challenge_serves_once_even_when_what_came_with_it_is_refused() {
    let world = World::new();
    let room = Room::new(&world);
    let good = room.reserve_request(|_| ());
    let mut bad = good.clone();
    bad.attested.transcript.aud = "https://elsewhere.example".into();
    world.refuses(Code::TranscriptMismatch, || room.send_reserve(&bad));
    world.refuses(Code::ChallengeUsed, || room.send_reserve(&good));
}

#[test]
fn a_hundred_resends_at_once_have_one_success() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let release = room.release_request(&reserved);
    let won = std::thread::scope(|scope| {
        let send = || (0..10).filter(|_| room.send_release(&reserved, &release).is_ok()).count();
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum::<usize>()
    });
    assert_eq!(won, 1);
    assert_eq!(world.charges(), ["charged"]);
}

#[test]
fn other_keys_for_the_same_run_are_refused() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let other = room.rekeyed();
    world.refuses(Code::RunKeyMismatch, || other.reserve());
    // Signed by the other key: not the run's.
    world.refuses(Code::SignerUnknown, || other.release(&reserved));
    // Signed by the run's key, wrapped to another one.
    let mut request = other.release_request(&reserved);
    let challenge_id = request.attested.transcript.challenge_id.clone();
    let reservation_id = crate::support::room::reservation_id(&reserved);
    request.request = room.request(RunAct::Release { challenge_id, reservation_id });
    world.refuses(Code::RunKeyMismatch, || room.send_release(&reserved, &request));
}

#[test]
fn one_output_per_run() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    world.refuses(Code::RunState, || room.commit(b"model"));
    room.release(&reserved).unwrap();
    let first = room.commit(b"model").unwrap();
    assert_eq!(room.commit(b"model").unwrap(), first);
    world.refuses(Code::CommitConflict, || room.commit(b"another model"));
    world.pass(3600);
    assert_eq!(room.commit(b"model").unwrap(), first);
}
