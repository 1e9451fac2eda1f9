//! New keys over old data, cut off at each of its steps: the service starts again under one of the two keys, every data
//! key opens, and the same command comes to its end.

use kms_adapter::{Config, Kms};
use schemas::Envelope;
use schemas::contract::Assurance;
use schemas::release::KmsReceipt;
use sealing::DatasetKey;
use serde_json::Value;

use crate::support::papers::Table;
use crate::support::world::{clock_of, sign_import};
use crate::support::{Room, World, cut, http};

/// More than any rotation has.
const MOST: u32 = 60;

/// A world with three data keys and a run that reserved one of them.
fn started() -> World {
    let world = World::new();
    for name in ["x", "y"] {
        let key = DatasetKey::random().unwrap();
        let import = sign_import(&world.people, &Table::new(name), &world.info, &key, Assurance::Software);
        let _: Value = http::post(&world.at("/v1/keys"), &import).unwrap();
    }
    world
}

/// The run's key is released and is the one that was brought in.
fn opens(room: &Room, reserved: &Envelope<KmsReceipt>) {
    let request = room.release_request(reserved);
    let release = room.send_release(reserved, &request).unwrap();
    assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), room.world.key.expose());
}

#[test]
fn a_new_kek_cut_off_at_each_step() {
    let mut world = started();
    let mut room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let (mut cuts, mut step) = (0, 0);
    loop {
        step += 1;
        assert!(step < MOST, "no end");
        let Room { run_id, run_key, enc, attester, .. } = room;
        world.stop();
        let file = cut::config_file(&world.dir, &world.config);
        let args = ["rotate-kek", "--config", file.to_str().unwrap()];
        let was_cut = cut::cut(&args, step);
        world.restart().unwrap();
        let between = Room { world: &world, run_id, run_key, enc, attester };
        opens(&between, &reserved);
        let Room { run_id, run_key, enc, attester, .. } = between;
        if was_cut {
            cuts += 1;
            // The service may run meanwhile.
            cut::whole(&args);
        }
        room = Room { world: &world, run_id, run_key, enc, attester };
        opens(&room, &reserved);
        if !was_cut {
            break;
        }
    }
    assert!(cuts >= 12, "{cuts} steps were cut");
    // Every key is opened once more, held against its commitment and wrapped anew.
    drop(room);
    let done = Kms::open(world.config.clone(), clock_of(&world)).unwrap().rotate_kek().unwrap();
    assert_eq!((done.rewrapped, done.resumed, done.destroyed.len()), (3, false, 1));
}

#[test]
fn a_new_root_key_cut_off_at_each_step() {
    let mut world = started();
    let mut room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let (mut cuts, mut old, mut new, mut step) = (0, 0, 0, 0);
    loop {
        step += 1;
        assert!(step < MOST, "no end");
        let Room { run_id, run_key, enc, attester, .. } = room;
        world.stop();
        let file = cut::config_file(&world.dir, &world.config);
        let to = format!("file:{}", world.dir.join(format!("root-{step}.key")).display());
        let args = ["rotate-root", "--config", file.to_str().unwrap(), "--to", &to];
        let was_cut = cut::cut(&args, step);
        let before = world.config.clone();
        let after = Config { root_key: Some(to.clone()), ..before.clone() };
        // The operator may try either first; the wrong one changes nothing.
        let order = if step % 2 == 0 { [&before, &after] } else { [&after, &before] };
        let mut under = 0;
        for config in order.into_iter().chain(order) {
            world.config = config.clone();
            if world.restart().is_ok() {
                under += 1;
                (old, new) = if *config == before { (old + 1, new) } else { (old, new + 1) };
            }
            world.stop();
        }
        assert_eq!(under, 2, "step {step}: one of the two, each time it is tried");
        if was_cut {
            cuts += 1;
            cut::whole(&args);
        }
        world.config = Config::load(&file).unwrap();
        assert_eq!(world.config.root_key.as_ref(), Some(&to));
        world.restart().unwrap();
        room = Room { world: &world, run_id, run_key, enc, attester };
        opens(&room, &reserved);
        if !was_cut {
            break;
        }
    }
    assert!(cuts >= 8 && old > 2 && new > 4, "{cuts} steps were cut; {old} starts under the old key, {new} the new");
    drop(room);
    let done = Kms::open(world.config.clone(), clock_of(&world)).unwrap().rotate_kek().unwrap();
    assert_eq!(done.rewrapped, 3);
}
