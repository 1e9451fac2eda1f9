//! An Admission of before the service's start may speak of a journal that is no longer there.

use schemas::Code;

use crate::support::{Room, World};

#[test]
fn an_admission_of_before_the_start_counts_no_more() {
    let mut world = World::new();
    world.pass(10);
    world.stop();
    world.restart().unwrap();
    let room = Room::new(&world);
    let started = world.now();
    let before = schemas::Timestamp::from_micros(started.micros() - 1);
    world.refuses(Code::AdmissionStale, || room.send_reserve(&room.reserve_request(|a| a.issued_at = before)));
    let refused = room.send_reserve(&room.reserve_request(|a| a.issued_at = before)).unwrap_err();
    assert!(refused.text.contains("refresh"), "{}", refused.text);
    // One of the very moment of the start is of a process that had its journal open.
    let reserved = room.send_reserve(&room.reserve_request(|a| a.issued_at = started)).unwrap();
    world.refuses(Code::AdmissionStale, || {
        room.send_release(&reserved, &room.release_request_with(&reserved, |a| a.issued_at = before))
    });
    room.release(&reserved).unwrap();
}

/// A database of before the run, put back: the Admission at hand does not know better, the one
/// that the room must fetch does.
#[test]
fn a_database_put_back_meets_a_fresh_admission() {
    let mut world = World::new();
    world.pass(10);
    let before = world.now();
    world.pass(5);
    world.stop();
    world.restart().unwrap();
    let room = Room::new(&world);
    world.refuses(Code::AdmissionStale, || room.send_reserve(&room.reserve_request(|a| a.issued_at = before)));
    let told = |a: &mut schemas::release::Admission| a.kms_heads[1].seq = 2;
    world.refuses(Code::KmsBehindLog, || room.send_reserve(&room.reserve_request(told)));
    room.reserve().unwrap();
}
