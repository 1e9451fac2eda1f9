//! Release and renewal: all key services of the run, the run's own word, and contracts in force to the end.

use schemas::contract::{ContractState, Running};
use schemas::id::{ChallengeId, ReservationId};
use schemas::release::{ReleaseRequest, RenewRequest, RunAct};
use schemas::{Code, Digest};

use crate::support::papers::clause;
use crate::support::people::uuid;
use crate::support::room::reservation_id;
use crate::support::{Changes, Room, World, start};

#[test]
fn every_key_service_of_the_run_must_have_reserved() {
    let world = World::new();
    let room = Room::new(&world);
    let ours = room.reserve().unwrap();
    let refuses = |code, change: &dyn Fn(&mut ReleaseRequest)| {
        let mut request = room.release_request(&ours);
        change(&mut request);
        world.refuses(code, || room.send_release(&ours, &request));
    };
    refuses(Code::ReservationsIncomplete, &|r| drop(r.reservations.pop()));
    refuses(Code::ReservationsIncomplete, &|r| drop(r.reservations.remove(0)));
    refuses(Code::ReservationsIncomplete, &|r| r.reservations.clear());
    refuses(Code::ReservationsIncomplete, &|r| r.reservations[1] = ours.clone());
    refuses(Code::ReservationsIncomplete, &|r| r.reservations.push(ours.clone()));
    // Of another run, with another run key, of other data, not signed by the other provider's key service.
    let spoilt = |change: fn(&mut schemas::release::KmsReceipt)| room.other_reservation_with(&ours, change);
    let stranger = Room::new(&world);
    refuses(Code::JobMismatch, &|r| {
        r.reservations[1] = room.other_reservation_with(&ours, |k| k.run_id = stranger.run_id.clone());
    });
    refuses(Code::JobMismatch, &|r| r.reservations[1] = spoilt(|k| k.job_sha256 = Digest::of(b"x")));
    refuses(Code::RunKeyMismatch, &|r| r.reservations[1] = spoilt(|k| k.run_jwk_thumbprint = "x".into()));
    refuses(Code::ReservationsIncomplete, &|r| {
        r.reservations[1] = spoilt(|k| k.datasets[0].manifest_root = Digest::of(b"x"))
    });
    refuses(Code::ReservationsIncomplete, &|r| {
        r.reservations[1] = spoilt(|k| k.kms = "https://elsewhere.example".into())
    });
    refuses(Code::ReservationsIncomplete, &|r| r.reservations[1] = spoilt(|k| k.charges[0].mechanisms.clear()));
    refuses(Code::ReservationExpired, &|r| {
        r.reservations[1] = room.other_reservation_with(&ours, |k| {
            k.statement = schemas::release::KmsStatement::Reserved {
                reservation_id: ReservationId::new(uuid()),
                expires_at: world.now(),
            };
        });
    });
    refuses(Code::SignatureInvalid, &|r| r.reservations[1].signatures[0].sig.0[1] ^= 1);
    refuses(Code::SignatureMissing, &|r| r.reservations[1].signatures.clear());
    assert_eq!(world.charges(), ["reserved"]);
    room.release(&ours).unwrap();
}

#[test]
fn the_request_is_the_runs_own_for_this_very_act() {
    let world = World::new();
    let room = Room::new(&world);
    let ours = room.reserve().unwrap();
    let refuses = |code, change: &dyn Fn(&mut ReleaseRequest)| {
        let mut request = room.release_request(&ours);
        change(&mut request);
        world.refuses(code, || room.send_release(&ours, &request));
    };
    let id = reservation_id(&ours);
    refuses(Code::SignatureContext, &|r| r.request = room.request(RunAct::Renew {}));
    refuses(Code::SignatureContext, &|r| {
        let act = RunAct::Release { challenge_id: ChallengeId::new(uuid()), reservation_id: id.clone() };
        r.request = room.request(act);
    });
    refuses(Code::SignatureInvalid, &|r| r.request.signatures[0].sig.0[1] ^= 1);
    refuses(Code::SignatureMissing, &|r| r.request.signatures.clear());
    let act = |r: &ReleaseRequest| RunAct::Release {
        challenge_id: r.attested.transcript.challenge_id.clone(),
        reservation_id: id.clone(),
    };
    refuses(Code::SignatureContext, &|r| {
        r.request = room.request_with(act(r), |q| q.aud = "https://kms.other.example".into())
    });
    refuses(Code::RequestReplayed, &|r| {
        r.request = room.request_with(act(r), |q| q.issued_at = world.now().plus_seconds(-121));
    });
    refuses(Code::SchemaMismatch, &|r| r.request = room.request_with(act(r), |q| q.jti = "short".into()));
    // A request id of before.
    let used = room.request_with(RunAct::Renew {}, |_| ());
    let jti = used.read_unverified().unwrap().jti;
    let _ = room.send_commit(&used);
    refuses(Code::RequestReplayed, &|r| r.request = room.request_with(act(r), |q| q.jti = jti.clone()));
    // No such reservation.
    let request = room.release_request(&ours);
    let path = world.at(&format!("/v1/reservations/{}/release", ReservationId::new(uuid())));
    world.refuses(Code::ReservationUnknown, || crate::support::http::post::<serde_json::Value>(&path, &request));
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn a_revocation_ends_the_lease() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.pass(15);
    room.renew(room.status_list(vec![])).unwrap();
    for (state, code) in [
        (ContractState::Revoked, Code::ContractRevoked),
        (ContractState::Expired, Code::ContractExpired),
        (ContractState::Declined, Code::ContractNotActive),
    ] {
        world.refuses(code, || room.renew(room.status_list(vec![room.status(state)])));
    }
    world.refuses(Code::ContractRevoked, || {
        let revoked = room.release_request_with(&reserved, |a| a.contracts[0].state = ContractState::Revoked);
        room.send_release(&reserved, &revoked)
    });
    world.pass(30);
    world.refuses(Code::LeaseExpired, || room.renew(room.status_list(vec![])));
    world.refuses(Code::LeaseExpired, || room.commit(b"model"));
    assert_eq!(world.charges(), ["charged"]);
}

/// A word of before the revocation carries no lease further than a minute after it.
#[test]
fn a_revocation_stops_a_run_within_a_minute() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    // Revoked right after this list was made; the room goes on showing it.
    let before = room.status_list(vec![]);
    let seconds = |lease: schemas::Envelope<schemas::release::Lease>| lease.read_unverified().unwrap().lease_seconds;
    world.pass(20);
    assert_eq!(seconds(room.renew(before.clone()).unwrap()), 30);
    world.pass(20);
    assert_eq!(seconds(room.renew(before.clone()).unwrap()), 15);
    world.pass(1);
    world.refuses(Code::StatusListStale, || room.renew(before.clone()));
    world.pass(14);
    world.refuses(Code::LeaseExpired, || room.renew(room.status_list(vec![])));
    world.refuses(Code::LeaseExpired, || room.commit(b"model"));
}

/// The Admission is the word that the first lease stands on.
#[test]
fn the_first_lease_ends_with_the_admission() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let admitted = world.now();
    let at = |age: i64| {
        let request = room.release_request_with(&reserved, |a| a.issued_at = admitted);
        assert_eq!(world.now().seconds_since(admitted), age as f64);
        room.send_release(&reserved, &request).map(|release| release.read_unverified().unwrap().lease_seconds)
    };
    assert_eq!(at(0).unwrap(), 30);
    world.pass(40);
    assert_eq!(at(40).unwrap(), 15);
    world.pass(1);
    world.refuses(Code::AdmissionStale, || at(41));
}

#[test]
fn status_lists_are_fresh_and_the_registrys() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let early = room.status_list(vec![]);
    world.refuses(Code::RunState, || room.renew(early.clone()));
    world.pass(61);
    room.release(&reserved).unwrap();
    world.refuses(Code::StatusListStale, || room.renew(early.clone()));
    let mut forged = room.status_list(vec![]);
    forged.signatures[0].sig.0[9] ^= 1;
    world.refuses(Code::SignatureInvalid, || room.renew(forged.clone()));
    let list = room.status_list(vec![]).read_unverified().unwrap();
    let ours = crate::support::People::sign(&list, &[&world.people.tdc]);
    world.refuses(Code::SignerNotParty, || room.renew(ours.clone()));
    // The request must be a renewal.
    let request = room.request(RunAct::Commit { output_sha256: Digest::of(b"x") });
    world.refuses(Code::SignatureContext, || {
        room.send_renew(&RenewRequest {
            request: request.clone(),
            status_list: room.status_list(vec![]),
            log_keys: None,
        })
    });
    world.refuses(Code::SignatureContext, || room.send_commit(&room.request(RunAct::Renew {})));
    world.refuses(Code::RunUnknown, || Room::new(&world).renew(room.status_list(vec![])));
    world.refuses(Code::RunUnknown, || Room::new(&world).commit(b"model"));
    room.renew(room.status_list(vec![])).unwrap();
}

#[test]
fn a_contract_that_ends_while_the_run_goes_on() {
    let world =
        World::with(Changes { contract: Box::new(|c| c.expires_at = start().plus_seconds(40)), ..Changes::default() });
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.pass(20);
    room.renew(room.status_list(vec![])).unwrap();
    world.pass(20);
    world.refuses(Code::ContractExpired, || room.renew(room.status_list(vec![])));
}

/// Where the contract says so, a run that holds its keys goes on to its output; nothing new is opened on such an end.
#[test]
fn a_run_finishes_where_its_contract_lets_it() {
    let world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap = clause("10.0")),
        contract: Box::new(|c| {
            c.revocation.running = Running::LetFinish;
            c.datasets[0].privacy = clause("10.0");
        }),
        ..Changes::default()
    });
    let (room, waiting) = (Room::new(&world), Room::new(&world));
    let (reserved, held) = (room.reserve().unwrap(), waiting.reserve().unwrap());
    room.release(&reserved).unwrap();
    for state in [ContractState::Revoked, ContractState::Expired, ContractState::Superseded] {
        world.pass(15);
        room.renew(room.status_list(vec![room.status(state)])).unwrap();
        // The service says of such an end in the Admission, too: with it no key leaves, also not once more.
        for (who, reservation) in [(&room, &reserved), (&waiting, &held)] {
            let request = who.release_request_with(reservation, |a| a.contracts[0].state = state);
            let refused = who.send_release(reservation, &request).unwrap_err().code;
            let codes = [Code::ContractRevoked, Code::ContractExpired, Code::ContractNotActive];
            assert!(codes.contains(&refused), "{state:?}: {refused}");
        }
    }
    world
        .refuses(Code::ContractSuspended, || room.renew(room.status_list(vec![room.status(ContractState::Suspended)])));
    room.commit(b"model").unwrap();
    assert_eq!(world.charges(), ["committed", "reserved"]);
}

/// What one room's list tells of its image set counts for every room, whatever list that one shows.
#[test]
fn an_older_list_does_not_hide_that_the_image_set_is_withdrawn() {
    let world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap = clause("10.0")),
        contract: Box::new(|c| c.datasets[0].privacy = clause("10.0")),
        ..Changes::default()
    });
    let rooms = [Room::new(&world), Room::new(&world)];
    for room in &rooms {
        room.release(&room.reserve().unwrap()).unwrap();
    }
    let before = rooms[1].status_list(vec![]);
    rooms[1].renew(before.clone()).unwrap();
    world.pass(10);
    let withdrawn = world.image_set.envelope.read_unverified().unwrap().image_set_id;
    let told = rooms[0].status_list_with(vec![], vec![withdrawn]);
    world.refuses(Code::ImageSetRevoked, || rooms[0].renew(told));
    world.refuses(Code::ImageSetRevoked, || rooms[1].renew(before));
}
