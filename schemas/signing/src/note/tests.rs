//! Two log keys during a rotation, and the quorum of witnesses.

use super::*;
use crate::FileKey;
use schemas::log::leaf_hash;

const ORIGIN: &str = "sro.example/log";

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn head() -> CheckpointRef {
    CheckpointRef { size: 9, root: leaf_hash(b"root") }
}

#[test]
fn a_checkpoint_of_two_keys_verifies_under_either() {
    let (old, new, other) = (FileKey::generate().unwrap(), FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let text = sign_checkpoint_with(ORIGIN, &head(), &[&new, &old]).unwrap().text();
    for key in [&old, &new] {
        assert_eq!(verify_checkpoint(&text, ORIGIN, key.jwk()).unwrap().head, head());
    }
    assert_eq!(verify_checkpoint(&text, ORIGIN, other.jwk()).unwrap_err().code, Code::CheckpointInvalid);
}

#[test]
fn a_quorum_counts_keys_once_and_fresh_ones_only() {
    let log = FileKey::generate().unwrap();
    let keys: Vec<FileKey> = (0..3).map(|_| FileKey::generate().unwrap()).collect();
    let mut note = sign_checkpoint(ORIGIN, &head(), &log).unwrap();
    let witness = |i: usize| WitnessKey { name: format!("witness{i}.example"), jwk: keys[i].jwk().clone() };
    let all: Vec<WitnessKey> = (0..3).map(witness).collect();
    let missing = |note: &Checkpoint, list: &[WitnessKey], quorum, at| {
        cosigned(note, list, quorum, at, 600).unwrap_err().code == Code::CosignaturesMissing
    };
    assert!(cosigned(&note, &all, 0, now(), 600).unwrap().is_empty());
    assert!(missing(&note, &all, 1, now()));
    note.signatures.push(cosign(&note, &all[0].name, &keys[0], now()).unwrap());
    note.signatures.push(cosign(&note, &all[1].name, &keys[1], now().plus_seconds(-500)).unwrap());
    let names: Vec<String> = cosigned(&note, &all, 2, now(), 600).unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["witness0.example", "witness1.example"]);
    assert!(missing(&note, &all, 3, now()), "two are not three");
    assert!(missing(&note, &all, 2, now().plus_seconds(101)), "one is too old by then");
    assert!(missing(&note, &all, 1, now().plus_seconds(-61 - 500)), "both are from the future");
    // The same key under a second name is no second witness, nor is the same witness listed twice.
    let twin = WitnessKey { name: "twin.example".into(), jwk: keys[0].jwk().clone() };
    note.signatures.push(cosign(&note, "twin.example", &keys[0], now()).unwrap());
    assert!(missing(&note, &[all[0].clone(), twin, all[0].clone()], 2, now()));
    // A line that does not verify counts for nothing, and neither does the log's own signature.
    let mut forged = note.clone();
    forged.signatures[1].signature[20] ^= 1;
    assert!(missing(&forged, &all, 2, now()));
    assert!(missing(&note, &[WitnessKey { name: ORIGIN.into(), jwk: log.jwk().clone() }], 1, now()));
    // A cosignature of another checkpoint is none of this one.
    let mut other = sign_checkpoint(ORIGIN, &CheckpointRef { size: 10, ..head() }, &log).unwrap();
    other.signatures.push(note.signatures[1].clone());
    assert!(missing(&other, &all, 1, now()));
}
