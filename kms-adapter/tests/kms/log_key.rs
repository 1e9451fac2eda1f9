//! The log's key changes, or the log goes on under another origin: a key service that pinned the first key follows what is
//! shown by the rules, keeps it, and refuses the rest.

use schemas::bundle::{JobBundle, Logged};
use schemas::event::Body;
use schemas::event::RunEventKind;
use schemas::lineage::LogLineage;
use schemas::log::{Checkpoint, CheckpointRef, Receipt};
use schemas::release::{Admission, KmsReceipt, RefundRequest, RenewRequest, ReserveRequest, RunAct};
use schemas::rules::{LogKey, LogSucceeded};
use schemas::{Code, Digest, Envelope, Signer};
use signing::{FileKey, note};

use crate::keeping;
use crate::support::http::{self, Answer};
use crate::support::people::{ORIGIN, People};
use crate::support::room::Room;
use crate::support::world::World;

const NEXT_ORIGIN: &str = "sro.example/log2";
/// Seconds after which a reservation has ended, so that the next one has budget.
const GONE: i64 = 3_600;

/// These people of the SRO.
fn sro<'w>(world: &'w World, by: &[usize]) -> Vec<&'w FileKey> {
    by.iter().map(|n| &world.people.sro[*n]).collect()
}

/// The log's next key, and what shows it, signed by these people.
fn rotated(world: &World, by: &[usize]) -> (FileKey, LogLineage) {
    let old = &world.people.registry;
    let next = FileKey::generate_for(&world.people.registry_did()).unwrap();
    let rotation = LogKey {
        schema: "log-key.v1".into(),
        registry: world.people.registry_did(),
        replaces: old.jwk().thumbprint(),
        jwk: next.jwk().clone(),
        overlap_until: world.now().plus_seconds(3600),
        at: world.now(),
    };
    let envelope = People::sign(&rotation, &sro(world, by));
    let mut log = world.log.lock().unwrap();
    let index = log.append(&Body::LogKeyRotated { rotation: envelope.clone() }, "log", world.now());
    let mut receipt = log.receipt(index, ORIGIN, old);
    receipt.checkpoint = note::sign_checkpoint_with(ORIGIN, &log.head(), &[&next, old]).unwrap().text();
    let links = vec![Logged { envelope, receipt }];
    (next, LogLineage { origin: ORIGIN.into(), first: old.jwk().clone(), links, succeeds: None, people: vec![] })
}

/// A reservation whose Admission this key signed, with this lineage beside the bundle.
fn reserve(
    room: &Room,
    key: &FileKey,
    bundle: &JobBundle,
    lineage: Option<&LogLineage>,
    change: impl FnOnce(&mut Admission),
) -> Answer<Envelope<KmsReceipt>> {
    let challenge = room.challenge();
    let admission = room.admission_with(change).read_unverified().unwrap();
    let admission = People::sign(&admission, &[key]);
    let attested = room.attest(room.transcript(&challenge, &admission));
    let bundle = JobBundle { log_keys: lineage.cloned(), ..bundle.clone() };
    room.send_reserve(&ReserveRequest { attested, admission, bundle })
}

#[test]
fn the_next_key_counts_once_it_is_shown_by_the_rules_and_the_old_one_no_more() {
    let mut world = World::new();
    let bundle = world.bundle.clone();
    let (forged, alone) = rotated(&world, &[0]);
    let (next, lineage) = rotated(&world, &[0, 1]);
    let mut unsigned = lineage.clone();
    let head = Checkpoint::parse(&unsigned.links[0].receipt.checkpoint).unwrap().head;
    unsigned.links[0].receipt.checkpoint = note::sign_checkpoint(ORIGIN, &head, &next).unwrap().text();
    world.refuses(Code::SignerUnknown, || reserve(&Room::new(&world), &next, &bundle, None, |_| ()));
    world.refuses(Code::TwoPeopleNeeded, || reserve(&Room::new(&world), &forged, &bundle, Some(&alone), |_| ()));
    world.refuses(Code::CheckpointInvalid, || reserve(&Room::new(&world), &next, &bundle, Some(&unsigned), |_| ()));
    let old = &world.people.registry;
    reserve(&Room::new(&world), old, &bundle, None, |_| ()).expect("the pinned key counts until another one is shown");
    world.pass(GONE);
    {
        let room = Room::new(&world);
        reserve(&room, &next, &bundle, Some(&lineage), |_| ()).unwrap();
    }
    world.refuses(Code::SignerUnknown, || reserve(&Room::new(&world), old, &bundle, None, |_| ()));
    // It is kept: nobody has to show it again, and a start forgets nothing.
    world.pass(GONE);
    reserve(&Room::new(&world), &next, &bundle, None, |_| ()).unwrap();
    world.pass(GONE);
    world.stop();
    world.restart().unwrap();
    reserve(&Room::new(&world), &next, &bundle, None, |_| ()).unwrap();
    let old = &world.people.registry;
    world.refuses(Code::SignerUnknown, || reserve(&Room::new(&world), old, &bundle, None, |_| ()));
}

#[test]
fn a_run_is_renewed_across_a_change_of_key() {
    let world = World::new();
    let room = Room::new(&world);
    let ours = room.reserve().unwrap();
    room.release(&ours).unwrap();
    let (next, lineage) = rotated(&world, &[0, 1]);
    let list = room.status_list(vec![]).read_unverified().unwrap();
    let renew = |log_keys: Option<LogLineage>| {
        let status_list = People::sign(&list, &[&next]);
        room.send_renew(&RenewRequest { request: room.request(RunAct::Renew {}), status_list, log_keys })
    };
    assert_eq!(renew(None).unwrap_err().code, Code::SignerUnknown);
    renew(Some(lineage)).unwrap();
    renew(None).unwrap();
}

#[test]
fn a_reservation_becomes_a_release_across_a_change_of_key() {
    let world = World::new();
    let room = Room::new(&world);
    let ours = room.reserve().unwrap();
    let (forged, alone) = rotated(&world, &[0]);
    let (next, lineage) = rotated(&world, &[0, 1]);
    let release = |key: &FileKey, log_keys: Option<&LogLineage>| {
        let mut words = room.release_request(&ours);
        let challenge = room.challenge();
        words.admission = People::sign(&words.admission.read_unverified().unwrap(), &[key]);
        let RunAct::Release { reservation_id, .. } = words.request.read_unverified().unwrap().request else {
            panic!("another act")
        };
        let act = RunAct::Release { challenge_id: challenge.challenge_id.clone(), reservation_id };
        words.request = room.request(act);
        words.attested = room.attest(room.transcript(&challenge, &words.admission));
        words.log_keys = log_keys.cloned();
        room.send_release(&ours, &words)
    };
    world.refuses(Code::SignerUnknown, || release(&next, None));
    world.refuses(Code::TwoPeopleNeeded, || release(&forged, Some(&alone)));
    release(&next, Some(&lineage)).unwrap();
}

#[test]
fn a_charge_comes_back_across_a_change_of_key() {
    let world = World::new();
    let room = Room::new(&world);
    let ours = room.reserve().unwrap();
    room.release(&ours).unwrap();
    let mut refund = room.aborted(RunEventKind::Aborted { steps_run: 0, code: "OUT_OF_SPACE".into() });
    let (next, lineage) = rotated(&world, &[0, 1]);
    // The receipt is under a head after the change, which the new key alone signed.
    let log = world.log.lock().unwrap();
    refund.receipt = log.receipt(refund.receipt.index as usize, ORIGIN, &next);
    drop(log);
    let send = |refund: &RefundRequest| -> Answer<Envelope<KmsReceipt>> {
        http::post(&world.at(&format!("/v1/runs/{}/refund", room.run_id)), refund)
    };
    assert_eq!(send(&refund).unwrap_err().code, Code::CheckpointInvalid);
    refund.log_keys = Some(lineage);
    send(&refund).unwrap();
}

/// The same papers under the origin of another log.
fn under(bundle: &JobBundle, origin: &str, key: &FileKey) -> JobBundle {
    let resign = |receipt: &mut Receipt| {
        let head = Checkpoint::parse(&receipt.checkpoint).unwrap().head;
        receipt.checkpoint = note::sign_checkpoint(origin, &head, key).unwrap().text();
    };
    let mut bundle = bundle.clone();
    bundle.contracts.iter_mut().for_each(|logged| resign(&mut logged.receipt));
    bundle.offers.iter_mut().for_each(|logged| resign(&mut logged.receipt));
    bundle.participants.iter_mut().for_each(|participant| resign(&mut participant.decision.receipt));
    resign(&mut bundle.image_set.receipt);
    bundle
}

fn succession(world: &World, by: &[usize]) -> LogLineage {
    succession_of(world, by, ORIGIN, NEXT_ORIGIN)
}

fn succession_of(world: &World, by: &[usize], old: &str, new: &str) -> LogLineage {
    let key = &world.people.registry;
    let seen = CheckpointRef { size: 3, root: Digest([3; 32]) };
    let said = LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: world.people.registry_did(),
        old_origin: old.into(),
        old_checkpoint: note::sign_checkpoint(old, &seen, key).unwrap().text(),
        kept: 3,
        new_origin: new.into(),
        new_key: Some(key.jwk().thumbprint()),
        reason: "The disk was lost".into(),
        at: world.now(),
    };
    let succeeds = Some(People::sign(&said, &sro(world, by)));
    LogLineage { origin: new.into(), first: key.jwk().clone(), links: vec![], succeeds, people: vec![] }
}

#[test]
fn a_log_under_another_origin_is_followed_by_the_word_of_two_people_alone() {
    for repinned in [false, true] {
        let mut world = World::new();
        let at = |root: u8| {
            move |a: &mut Admission| {
                a.checkpoint = CheckpointRef { size: a.checkpoint.size + 50, root: Digest([root; 32]) }
            }
        };
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(at(6))).unwrap();
        world.pass(GONE);
        let bundle = under(&world.bundle, NEXT_ORIGIN, &world.people.registry);
        // The log that goes on has other roots at the sizes of the old one.
        let other = at(7);
        if repinned {
            let trust = signing::Trust { origin: NEXT_ORIGIN.into(), ..world.people.trust() };
            world.stop();
            std::fs::write(&world.config.trust, serde_json::to_vec(&trust).unwrap()).unwrap();
            world.restart().unwrap();
        }
        let key = &world.people.registry;
        let unshown = if repinned { Code::LogLineageInvalid } else { Code::CheckpointInvalid };
        world.refuses(unshown, || reserve(&Room::new(&world), key, &bundle, None, other));
        let alone = succession(&world, &[0]);
        world.refuses(Code::TwoPeopleNeeded, || reserve(&Room::new(&world), key, &bundle, Some(&alone), other));
        let mut bare = alone.clone();
        bare.succeeds = None;
        world.refuses(Code::LogLineageInvalid, || reserve(&Room::new(&world), key, &bundle, Some(&bare), other));
        let shown = succession(&world, &[0, 1]);
        reserve(&Room::new(&world), key, &bundle, Some(&shown), other).unwrap();
        world.pass(GONE);
        reserve(&Room::new(&world), key, &bundle, None, other).expect("it is kept");
        world.refuses(Code::ConsistencyInvalid, || reserve(&Room::new(&world), key, &bundle, None, at(8)));
        let back = reserve(&Room::new(&world), key, &world.bundle, None, |_| ()).unwrap_err();
        assert_eq!(back.code, Code::CheckpointInvalid, "the closed log opens nothing any more");
    }
}

/// An Admission over a log that is longer by 50, with this root there.
fn at(root: u8) -> impl Fn(&mut Admission) {
    move |a| a.checkpoint = CheckpointRef { size: a.checkpoint.size + 50, root: Digest([root; 32]) }
}

#[test]
fn a_restored_service_knows_the_key_in_use_and_the_heads_that_it_saw() {
    let mut world = World::new();
    let bundle = world.bundle.clone();
    let (next, lineage) = rotated(&world, &[0, 1]);
    reserve(&Room::new(&world), &next, &bundle, Some(&lineage), at(6)).unwrap();
    world.pass(GONE);
    let (recovery_key, parts) = kms_adapter::recovery::make(2, 2).unwrap();
    let backup = keeping::kms(&world).backup(&recovery_key).unwrap();
    keeping::put_back(&mut world, &backup, &parts, "kms2");
    assert!(keeping::catch_up(&mut world, &[], false).unwrap().opened);
    let old = &world.people.registry;
    world.refuses(Code::SignerUnknown, || reserve(&Room::new(&world), old, &bundle, None, at(6)));
    world.refuses(Code::ConsistencyInvalid, || reserve(&Room::new(&world), &next, &bundle, None, at(7)));
    reserve(&Room::new(&world), &next, &bundle, None, at(6)).unwrap();
}

/// Pins another trust and starts.
fn pin(world: &mut World, trust: &signing::Trust) -> schemas::R<()> {
    world.stop();
    std::fs::write(&world.config.trust, serde_json::to_vec(trust).unwrap()).unwrap();
    world.restart()
}

#[test]
fn a_pin_that_goes_back_behind_the_key_in_use_is_refused() {
    let mut world = World::new();
    let bundle = world.bundle.clone();
    let (next, lineage) = rotated(&world, &[0, 1]);
    reserve(&Room::new(&world), &next, &bundle, Some(&lineage), |_| ()).unwrap();
    world.pass(GONE);
    // Other people of the SRO, and the key that was replaced: the lineage is signed by nobody known.
    let before = world.people.trust();
    let others = signing::Trust { sro: People::new().trust().sro, ..before.clone() };
    let refused = pin(&mut world, &others).unwrap_err();
    assert_eq!(refused.code, Code::SignerUnknown, "{refused}");
    assert!(refused.sentence.contains(&next.jwk().thumbprint()), "{refused}");
    // With the key in use it starts.
    pin(&mut world, &signing::Trust { registry_jwk: next.jwk().clone(), ..others }).unwrap();
    // Another log's key is another pin: what was followed does not bear on it.
    let other_key = signing::Trust { registry_jwk: People::new().registry.jwk().clone(), ..before.clone() };
    pin(&mut world, &other_key).unwrap();
    pin(&mut world, &signing::Trust { registry_jwk: next.jwk().clone(), ..before }).unwrap();
    let old = &world.people.registry;
    world.refuses(Code::SignerUnknown, || reserve(&Room::new(&world), old, &bundle, Some(&lineage), |_| ()));
    reserve(&Room::new(&world), &next, &bundle, Some(&lineage), |_| ()).unwrap();
}

#[test]
fn a_pin_behind_two_successions_is_refused() {
    const THIRD_ORIGIN: &str = "sro.example/log3";
    let mut world = World::new();
    let shown = [
        succession_of(&world, &[0, 1], ORIGIN, NEXT_ORIGIN),
        succession_of(&world, &[0, 1], NEXT_ORIGIN, THIRD_ORIGIN),
    ];
    reserve(&Room::new(&world), &world.people.registry, &world.bundle, None, at(6)).unwrap();
    world.pass(GONE);
    for lineage in &shown {
        let bundle = under(&world.bundle, &lineage.origin, &world.people.registry);
        reserve(&Room::new(&world), &world.people.registry, &bundle, Some(lineage), at(7)).unwrap();
        world.pass(GONE);
    }
    world.stop();
    let refused = world.restart().unwrap_err();
    assert_eq!(refused.code, Code::LogLineageInvalid, "{refused}");
    assert!(refused.sentence.contains(THIRD_ORIGIN), "{refused}");
    let third = signing::Trust { origin: THIRD_ORIGIN.into(), ..world.people.trust() };
    pin(&mut world, &third).unwrap();
    let back = reserve(&Room::new(&world), &world.people.registry, &world.bundle, None, at(6)).unwrap_err();
    assert_eq!(back.code, Code::CheckpointInvalid, "the closed log opens nothing any more");
}
