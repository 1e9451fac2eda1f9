//! The log's next key: in use from its entry on, beside the old one for a while, alone afterwards.

use std::sync::Arc;

use diesel::sql_types::Text;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use registry::{Options, Registry};
use schemas::event::Body;
use schemas::rules::LogKey;
use schemas::{Code, R, Signer as _};
use signing::{FileKey, note};

use crate::house::{House, folder, options, start};

const OVERLAP: i64 = 3600;

fn key(n: u8) -> FileKey {
    FileKey::from_seed("did:web:sro.example", &[n; 32])
}

fn rotated(house: &House) -> Body {
    let rotation = LogKey {
        schema: "log-key.v1".into(),
        registry: house.options.registry.clone(),
        replaces: key(100).jwk().thumbprint(),
        jwk: key(101).jwk().clone(),
        overlap_until: house.now().plus_seconds(OVERLAP),
        at: start(),
    };
    Body::LogKeyRotated { rotation: house.by_sro(&rotation) }
}

/// Which of the two keys signed the newest head.
fn signed_by(registry: &Registry) -> (bool, bool) {
    let text = registry.checkpoint().unwrap().text();
    let by = |n: u8| note::verify_checkpoint(&text, "sro.example/log", key(n).jwk()).is_ok();
    (by(100), by(101))
}

fn anchor(house: &House) -> R<registry::Entry> {
    house.enter(Body::DigestAnchored { by: house.tdps[0].did().unwrap(), sha256: schemas::Digest([1; 32]) })
}

/// The same log, opened with these keys.
fn with(house: &House, first: u8, next: Option<u8>) -> Options {
    let options = Options { signer: Arc::new(key(first)), next: Arc::default(), ..house.options.clone() };
    if let Some(n) = next {
        assert!(options.next.set(Arc::new(key(n))).is_ok());
    }
    options
}

#[test]
fn the_head_is_signed_by_both_keys_for_the_overlap_and_then_by_the_new_one_alone() {
    let mut house = House::empty();
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    assert_eq!(house.enter(rotated(&house)).unwrap_err().code, Code::ConfigInvalid, "the next key is not at hand");
    assert_eq!(signed_by(&house.registry), (true, false), "nothing was entered");
    anchor(&house).unwrap();
    assert!(house.options.next.set(Arc::new(key(101))).is_ok());
    let size = house.registry.head().unwrap().size;
    house.enter(rotated(&house)).unwrap();
    assert!(house.registry.head().unwrap().size > size);
    assert_eq!(signed_by(&house.registry), (true, true), "in the same step");
    anchor(&house).unwrap();
    assert_eq!(signed_by(&house.registry), (true, true));
    house.skip(OVERLAP as u64);
    anchor(&house).unwrap();
    assert_eq!(signed_by(&house.registry), (false, true));

    // Long after, the lineage leads from the old key to the new one, and back.
    let lineage = house.registry.lineage().unwrap();
    assert_eq!(lineage.links.len(), 1);
    for pinned in [100, 101] {
        let trust = pinning(&house, pinned).following(&lineage).unwrap();
        assert_eq!(trust.key_in_use(), key(101).jwk());
        assert!(note::verify_checkpoint(&house.registry.checkpoint().unwrap().text(), &trust.origin, &trust).is_ok());
    }
    assert_eq!(pinning(&house, 102).following(&lineage).unwrap_err().code, Code::LogLineageInvalid);
    assert_eq!(Registry::key_in_use(&house.options).unwrap(), *key(101).jwk());

    // Either order of the files; the old key alone does not do, the new one alone does.
    let head = house.registry.head().unwrap();
    for (first, next) in [(100, Some(101)), (101, Some(100)), (101, None)] {
        house.options = with(&house, first, next);
        house.reopen().unwrap();
        assert_eq!(house.registry.head().unwrap(), head, "{first} {next:?}");
        assert_eq!(house.registry.lineage().unwrap(), lineage, "{first} {next:?}");
        assert!(house.registry.scrub().unwrap().first_difference.is_none(), "{first} {next:?}");
    }
    for (first, next) in [(100, None), (102, None), (100, Some(102))] {
        house.options = with(&house, first, next);
        assert_eq!(house.reopen().unwrap_err().code, Code::ConfigInvalid, "{first} {next:?}");
    }
}

/// What a relying party pins that took this key.
fn pinning(house: &House, n: u8) -> signing::Trust {
    signing::Trust {
        registry: house.options.registry.clone(),
        registry_jwk: key(n).jwk().clone(),
        origin: house.options.origin.clone(),
        sro: house.options.sro.clone(),
        witnesses: Vec::new(),
        quorum: 0,
        lineage: Default::default(),
    }
}

#[test]
fn a_restored_log_shows_its_lineage_where_both_keys_are_at_hand() {
    let house = House::empty();
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    assert!(house.options.next.set(Arc::new(key(101))).is_ok());
    house.enter(rotated(&house)).unwrap();
    house.skip(OVERLAP as u64);
    anchor(&house).unwrap();
    let size = house.registry.head().unwrap().size;
    let entries = house.registry.entries(0, size).unwrap();
    let checkpoint = house.registry.checkpoint().unwrap();
    for (first, next, links) in [(100, Some(101), 1), (101, None, 0)] {
        let dir = folder();
        let options = Options { url: options(&dir).url, ..with(&house, first, next) };
        Registry::restore_from(&options, entries.iter().cloned().map(Ok), &checkpoint, None).unwrap();
        let restored = Registry::open(options, start()).unwrap();
        let lineage = restored.lineage().unwrap();
        assert_eq!(lineage.links.len(), links, "{first} {next:?}");
        assert!(pinning(&house, 101).following(&lineage).is_ok());
        assert_eq!(pinning(&house, 100).following(&lineage).is_ok(), links == 1, "{first} {next:?}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn a_head_that_only_the_old_key_signed_is_not_the_logs() {
    let mut house = House::empty();
    assert!(house.options.next.set(Arc::new(key(101))).is_ok());
    house.enter(rotated(&house)).unwrap();
    let forged = note::sign_checkpoint("sro.example/log", &house.registry.head().unwrap(), &key(100)).unwrap().text();
    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    let mut db = SqliteConnection::establish(&house.database().display().to_string()).unwrap();
    let changed = diesel::sql_query("UPDATE log_head SET checkpoint = ?").bind::<Text, _>(forged).execute(&mut db);
    assert_eq!(changed.unwrap(), 1);
    drop(db);
    assert_eq!(Registry::open(house.options.clone(), start()).map(drop).unwrap_err().code, Code::LogTampered);
    std::fs::remove_dir_all(aside).unwrap();
}

#[test]
fn a_mirror_whose_head_a_replaced_key_signed_restores_nothing() {
    let house = House::empty();
    house.admit(&house.tdps[0], schemas::party::Kind::Tdp);
    let before = (house.registry.head().unwrap().size, house.registry.checkpoint().unwrap());
    assert!(house.options.next.set(Arc::new(key(101))).is_ok());
    house.enter(rotated(&house)).unwrap();
    let overlap = house.registry.checkpoint().unwrap();
    let both = house.registry.entries(0, 1000).unwrap();
    house.skip(OVERLAP as u64);
    anchor(&house).unwrap();
    let entries = house.registry.entries(0, 1000).unwrap();
    let good = house.registry.checkpoint().unwrap();
    let by_old = note::sign_checkpoint("sro.example/log", &good.head, &key(100)).unwrap();
    let restored = |entries: &[schemas::log::ExportedEntry], checkpoint, seen: Option<&schemas::log::CheckpointRef>| {
        let dir = folder();
        // Both keys lie at hand, as they do after a change.
        let options = Options { url: options(&dir).url, ..with(&house, 101, Some(100)) };
        let done = Registry::restore_from(&options, entries.iter().cloned().map(Ok), checkpoint, seen);
        std::fs::remove_dir_all(dir).unwrap();
        done.map_err(|refusal| refusal.code)
    };
    assert_eq!(restored(&entries, &by_old, None), Err(Code::CheckpointInvalid), "the replaced key's head");
    assert_eq!(restored(&entries, &good, None), Ok(good.head.clone()));
    assert_eq!(restored(&both, &overlap, None), Ok(overlap.head.clone()), "within the overlap the new key signed too");
    // A branch of before the change, which the old key's holder goes on with: what a witness saw stands against it.
    let old = entries[..before.0 as usize].to_vec();
    assert_eq!(restored(&old, &before.1, None), Ok(before.1.head.clone()), "an honest, old mirror");
    let mut forged = Vec::new();
    let aside = House::empty();
    aside.admit(&aside.tdps[0], schemas::party::Kind::Tdp);
    for _ in 0..8 {
        anchor(&aside).unwrap();
    }
    forged.extend(aside.registry.entries(0, 1000).unwrap());
    let branch = aside.registry.checkpoint().unwrap();
    assert!(branch.head.size > good.head.size, "the branch is the longer one");
    assert_eq!(restored(&forged, &branch, Some(&good.head)), Err(Code::ConsistencyInvalid), "not what was witnessed");
}
