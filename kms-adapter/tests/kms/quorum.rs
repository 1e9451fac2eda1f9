//! A service that trusts no log alone: it opens keys on a checkpoint only that enough witnesses have cosigned.

use schemas::log::CheckpointRef;
use schemas::{Code, Digest, Timestamp};
use signing::book::{Trust, WitnessKey};
use signing::{FileKey, Signer, note};

use crate::support::people::ORIGIN;
use crate::support::{Changes, Room, World};

fn witness(seed: u8) -> (WitnessKey, FileKey) {
    let name = format!("witness{seed}.example");
    let key = FileKey::from_seed(&name, &[seed; 32]);
    (WitnessKey { name, jwk: key.jwk().clone() }, key)
}

/// A world whose service asks for this many of three witnesses.
fn world(quorum: u32) -> World {
    let config = move |config: &mut kms_adapter::Config| {
        let mut trust: Trust = serde_json::from_slice(&std::fs::read(&config.trust).unwrap()).unwrap();
        (trust.witnesses, trust.quorum) = ((1..=3).map(|seed| witness(seed).0).collect(), quorum);
        std::fs::write(&config.trust, serde_json::to_vec(&trust).unwrap()).unwrap();
    };
    World::with(Changes { config: Box::new(config), ..Changes::default() })
}

/// A checkpoint of this head, cosigned by these witnesses at these moments.
fn cosigned(world: &World, head: &CheckpointRef, by: &[(u8, Timestamp)]) -> String {
    let mut checkpoint = note::sign_checkpoint(ORIGIN, head, &world.people.registry).unwrap();
    for (seed, at) in by {
        let (witness, key) = witness(*seed);
        checkpoint.signatures.push(note::cosign(&checkpoint, &witness.name, &key, *at).unwrap());
    }
    checkpoint.text()
}

#[test]
fn enough_fresh_witnesses_open_the_way() {
    let world = world(2);
    let (room, head, now) = (Room::new(&world), world.log.lock().unwrap().head(), world.now());
    let ask = |text: Option<String>| room.send_reserve(&room.reserve_request(|a| a.cosigned = text));
    let missing = |text: Option<String>| world.refuses(Code::CosignaturesMissing, || ask(text));
    missing(None);
    missing(Some(cosigned(&world, &head, &[])));
    missing(Some(cosigned(&world, &head, &[(1, now)])));
    missing(Some(cosigned(&world, &head, &[(1, now), (1, now)])));
    missing(Some(cosigned(&world, &head, &[(1, now), (9, now)])));
    missing(Some(cosigned(&world, &head, &[(1, now), (2, now.plus_seconds(-601))])));
    missing(Some(cosigned(&world, &head, &[(1, now), (2, now.plus_seconds(61))])));
    ask(Some(cosigned(&world, &head, &[(3, now), (2, now.plus_seconds(-600))]))).unwrap();
}

#[test]
fn what_the_witnesses_saw_is_the_log_of_the_admission_and_reaches_the_contract() {
    let world = world(1);
    let (room, now) = (Room::new(&world), world.now());
    let entered = world.bundle.contracts[0].receipt.index;
    let head = world.log.lock().unwrap().head();
    let refused = |code, head: CheckpointRef| {
        let text = cosigned(&world, &head, &[(1, now)]);
        world.refuses(code, || room.send_reserve(&room.reserve_request(|a| a.cosigned = Some(text))));
    };
    refused(Code::CosignaturesMissing, CheckpointRef { size: entered, root: Digest([1; 32]) });
    refused(Code::CheckpointInvalid, CheckpointRef { size: head.size + 1, root: Digest([1; 32]) });
    refused(Code::CheckpointInvalid, CheckpointRef { root: Digest([1; 32]), ..head.clone() });
    let foreign = cosigned(&world, &head, &[(1, now)]).replacen(ORIGIN, "other.example/log", 1);
    world.refuses(Code::CheckpointInvalid, || room.send_reserve(&room.reserve_request(|a| a.cosigned = Some(foreign))));
    let good = cosigned(&world, &head, &[(1, now)]);
    room.send_reserve(&room.reserve_request(|a| a.cosigned = Some(good))).unwrap();
}

#[test]
fn no_quorum_asks_for_no_witness() {
    let world = world(0);
    Room::new(&world).reserve().unwrap();
}
