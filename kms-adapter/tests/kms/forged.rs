//! Backups are signed by the key service that made them. Anybody could seal one to a recovery key, whose public half is no
//! secret; the operator says whose backup it should be.

use kms_adapter::recovery::{self, Part};
use kms_adapter::restore;
use schemas::Code;
use schemas::jwk::Jwk;
use serde_json::Value;

use crate::keeping::kms;
use crate::support::World;

struct Scene {
    world: World,
    parts: Vec<Part>,
    backup: Value,
    /// Of another key service, sealed to the same recovery key.
    theirs: Value,
    their_jwk: Jwk,
}

impl Scene {
    fn new() -> Scene {
        let (recovery_key, parts) = recovery::make(2, 2).unwrap();
        let (world, other) = (World::new(), World::new());
        let backup = |world: &World| serde_json::from_slice(&kms(world).backup(&recovery_key).unwrap()).unwrap();
        Scene { backup: backup(&world), theirs: backup(&other), their_jwk: other.info.sign_jwk.clone(), world, parts }
    }

    fn restored(&self, backup: &Value, kms_jwk: &Jwk) -> Result<(), Code> {
        let dir = self.world.dir.join("restored");
        let bytes = schemas::canonical::to_bytes(backup).unwrap();
        let done = restore(&bytes, &self.parts, kms_jwk, &dir, None).map(drop).map_err(|refusal| refusal.code);
        assert!(done.is_ok() || !dir.exists(), "a refused restore leaves nothing");
        done
    }
}

#[test]
fn a_backup_of_another_key_service_is_refused() {
    let scene = Scene::new();
    let jwk = &scene.world.info.sign_jwk;
    assert_eq!(scene.restored(&scene.theirs, jwk), Err(Code::BackupForged), "whole and well signed, by another one");
    assert_eq!(scene.restored(&scene.backup, &scene.their_jwk), Err(Code::BackupForged), "another key was named");
    // Somebody who has the recovery key's public half, and our name.
    let mut posing = scene.theirs.clone();
    for member in ["kms", "provider"] {
        posing[member] = scene.backup[member].clone();
    }
    assert_eq!(scene.restored(&posing, jwk), Err(Code::BackupForged));
    posing["seal"] = scene.backup["seal"].clone();
    assert_eq!(scene.restored(&posing, jwk), Err(Code::BackupForged), "our signature under their contents");
    let mut bare = scene.backup.clone();
    bare["seal"]["signatures"] = Value::Array(vec![]);
    assert_eq!(scene.restored(&bare, jwk), Err(Code::BackupForged), "not signed");
    assert_eq!(scene.restored(&scene.backup, jwk), Ok(()));
}

#[test]
fn every_member_of_a_backup_is_signed() {
    let scene = Scene::new();
    let jwk = &scene.world.info.sign_jwk;
    for member in ["kms", "provider", "at", "receipts", "jwe", "sealed"] {
        let mut mixed = scene.backup.clone();
        mixed[member] = match &scene.theirs[member] {
            theirs if *theirs != scene.backup[member] => theirs.clone(),
            Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
            _ => Value::from("2026-12-01T00:00:01Z"),
        };
        assert_eq!(scene.restored(&mixed, jwk), Err(Code::BackupForged), "{member}");
    }
    assert_eq!(scene.restored(&scene.backup, jwk), Ok(()));
}
