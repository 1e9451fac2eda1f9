//! The way of an honest run, and what a room may ask twice.

use schemas::Digest;
use schemas::release::{KmsReceipt, KmsStatement};

use crate::support::{Room, World};

fn receipt(world: &World, envelope: &schemas::Envelope<KmsReceipt>) -> KmsReceipt {
    let mut book = signing::book::PinnedBook::new(world.people.trust());
    book.add_service(&world.people.tdp.did().unwrap(), world.info.sign_jwk.clone());
    (*signing::verify(envelope.clone(), &world.people.registry_did(), &book).unwrap()).clone()
}

#[test]
fn reserve_release_renew_commit() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let first = receipt(&world, &reserved);
    assert_eq!((first.seq, first.prev), (1, Digest([0; 32])));
    assert_eq!(first.datasets.len(), 1);
    assert_eq!(first.charges[0].dataset_id, world.tables[0].dataset_id);
    assert!(first.charges[0].epsilon_micro <= 900_000);
    assert_eq!(world.charges(), ["reserved"]);

    let request = room.release_request(&reserved);
    let release = room.send_release(&reserved, &request).unwrap();
    assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), world.key.expose());
    let answer = release.read_unverified().unwrap();
    assert_eq!(answer.lease_seconds, 30);
    let second = receipt(&world, &answer.receipt);
    assert_eq!((second.seq, second.prev), (2, reserved.digest()));
    let KmsStatement::Released { jwe_sha256, .. } = &second.statement else { panic!("{:?}", second.statement) };
    assert_eq!(jwe_sha256, &[Digest::of(answer.jwe[0].as_bytes())]);
    assert_eq!(second.charges, first.charges);
    assert_eq!(world.charges(), ["charged"]);

    for _ in 0..3 {
        world.pass(20);
        room.renew(room.status_list(vec![])).unwrap();
    }
    let committed = room.commit(b"model").unwrap();
    let third = receipt(&world, &committed);
    assert_eq!(third.statement, KmsStatement::Committed { output_sha256: Digest::of(b"model") });
    assert_eq!((third.seq, third.prev), (3, answer.receipt.digest()));
    assert_eq!(world.charges(), ["committed"]);
}
