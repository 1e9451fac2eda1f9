//! From one pinned key to the next: what shows it, and each way in which it does not.

use schemas::bundle::Logged;
use schemas::event::Body;
use schemas::lineage::LogLineage;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::rules::{LogKey, LogSucceeded};
use schemas::{Code, Digest, Envelope, KeyBook, R, Signer};
use signing::{FileKey, Trust, note};

use crate::keys::{now, registry};
use crate::world::{World, example, signed};

const ORIGIN: &str = "sro.example/log";

/// A log whose key changed twice; each link under the checkpoint of its day.
struct Rotated {
    world: World,
    keys: [FileKey; 3],
    lineage: LogLineage,
}

fn document(from: &FileKey, to: &FileKey) -> LogKey {
    LogKey {
        schema: "log-key.v1".into(),
        registry: registry(),
        replaces: from.jwk().thumbprint(),
        jwk: to.jwk().clone(),
        overlap_until: now().plus_seconds(3600),
        at: now(),
    }
}

fn link(world: &mut World, rotation: Envelope<LogKey>, by: &[&dyn Signer]) -> Logged<LogKey> {
    let index = world.append(&Body::LogKeyRotated { rotation: rotation.clone() });
    let mut receipt = world.receipt(index);
    let head = Checkpoint::parse(&receipt.checkpoint).unwrap().head;
    receipt.checkpoint = note::sign_checkpoint_with(ORIGIN, &head, by).unwrap().text();
    Logged { envelope: rotation, receipt }
}

fn rotated() -> Rotated {
    let mut world = World::new();
    let first = FileKey::from_seed(registry().as_str(), &[40; 32]);
    world.registry_key = FileKey::from_seed(registry().as_str(), &[40; 32]);
    let (second, third) =
        (FileKey::from_seed(registry().as_str(), &[41; 32]), FileKey::from_seed(registry().as_str(), &[42; 32]));
    let offer = world.key();
    world.offer(&offer);
    let people = [&world.people[0], &world.people[1]];
    let (a, b) = (signed(&document(&first, &second), &people), signed(&document(&second, &third), &people));
    let links = vec![link(&mut world, a, &[&second, &first]), link(&mut world, b, &[&third, &second])];
    world.offer(&offer);
    let lineage =
        LogLineage { origin: ORIGIN.into(), first: first.jwk().clone(), links, succeeds: None, people: vec![] };
    Rotated { world, keys: [first, second, third], lineage }
}

impl Rotated {
    fn pinned(&self, n: usize) -> Trust {
        Trust { registry_jwk: self.keys[n].jwk().clone(), ..self.world.trust() }
    }

    /// Whether this key's signature alone makes a checkpoint of this size count.
    fn counts(&self, trust: &Trust, n: usize, size: u64) -> bool {
        let head = CheckpointRef { size, root: Digest([3; 32]) };
        let text = note::sign_checkpoint(ORIGIN, &head, &self.keys[n]).unwrap().text();
        note::verify_checkpoint(&text, ORIGIN, trust).is_ok()
    }

    fn refused(&self, spoil: impl FnOnce(&mut LogLineage)) -> Code {
        let mut lineage = self.lineage.clone();
        spoil(&mut lineage);
        self.pinned(0).following(&lineage).unwrap_err().code
    }
}

#[test]
fn from_any_pinned_key_every_checkpoint_counts_by_the_key_of_its_time_and_documents_by_the_one_in_use() {
    let rotated = rotated();
    for pinned in 0..3 {
        let bare = rotated.pinned(pinned);
        for n in 0..3 {
            assert_eq!(rotated.counts(&bare, n, 9), n == pinned, "without a lineage the pinned key alone");
        }
        let trust = bare.following(&rotated.lineage).unwrap();
        // Entries 1 and 2 changed the key: heads of size 1, 2 and 3 and more are each one key's.
        for (size, by) in [(1, 0), (2, 1), (3, 2), (9, 2)] {
            for n in 0..3 {
                assert_eq!(rotated.counts(&trust, n, size), n == by, "pinned {pinned}, size {size}, key {n}");
            }
        }
        let service = |n: usize| {
            let kid = rotated.keys[n].kid();
            trust.key(kid, schemas::envelope::Usage::Service).is_some_and(|jwk| jwk.thumbprint() == kid.thumbprint)
        };
        assert_eq!([0, 1, 2].map(service), [false, false, true]);
        assert_eq!(trust.lineage.shown(), Some(&rotated.lineage));
    }
}

#[test]
fn a_forged_successor_is_refused_by_what_is_missing() {
    let mut rotated = rotated();
    let rotation = document(&rotated.keys[0], &rotated.keys[1]);
    let alone = signed(&rotation, &[&rotated.world.people[0]]);
    let stranger = FileKey::generate().unwrap();
    let by_stranger = signed(&rotation, &[&rotated.world.people[0], &stranger]);
    let (first, second) = (&rotated.keys[0], &rotated.keys[1]);
    let alone = link(&mut rotated.world, alone, &[second, first]);
    let by_stranger = link(&mut rotated.world, by_stranger, &[second, first]);
    let resigned = |by: &[&dyn Signer]| {
        let mut link = rotated.lineage.links[0].clone();
        let head = Checkpoint::parse(&link.receipt.checkpoint).unwrap().head;
        link.receipt.checkpoint = note::sign_checkpoint_with(ORIGIN, &head, by).unwrap().text();
        link
    };
    let one = |link: Logged<LogKey>| move |l: &mut LogLineage| l.links = vec![link];
    assert_eq!(rotated.refused(one(alone)), Code::TwoPeopleNeeded);
    assert_eq!(rotated.refused(one(by_stranger)), Code::SignerUnknown);
    assert_eq!(rotated.refused(one(resigned(&[second]))), Code::CheckpointInvalid, "not by the old key");
    assert_eq!(rotated.refused(one(resigned(&[first]))), Code::CheckpointInvalid, "not by the new key");
    assert_eq!(rotated.refused(|l| l.links[0].receipt.index = 0), Code::LogLineageInvalid);
    assert_eq!(rotated.refused(|l| l.links[0].receipt.path[0].0[0] ^= 1), Code::InclusionInvalid);
    let other = rotated.world.receipt(0);
    assert_eq!(rotated.refused(|l| l.links[0].receipt.record = other.record), Code::ReceiptMismatch);
    assert_eq!(rotated.refused(|l| drop(l.links.remove(0))), Code::LogLineageInvalid, "a link is left out");
    assert_eq!(rotated.refused(|l| l.first = rotated.keys[2].jwk().clone()), Code::LogLineageInvalid);
    let many = rotated.lineage.links[0].clone();
    assert_eq!(rotated.refused(|l| l.links = vec![many; 65]), Code::LimitExceeded);
    let other = FileKey::generate_for(&registry()).unwrap();
    let elsewhere = Trust { registry_jwk: other.jwk().clone(), ..rotated.world.trust() };
    assert_eq!(
        elsewhere.following(&rotated.lineage).unwrap_err().code,
        Code::LogLineageInvalid,
        "another key is pinned"
    );
}

#[test]
fn a_lineage_goes_on_and_never_back_or_elsewhere() {
    let mut rotated = rotated();
    let shorter = LogLineage { links: rotated.lineage.links[..1].to_vec(), ..rotated.lineage.clone() };
    let early = rotated.pinned(0).following(&shorter).unwrap();
    assert!(rotated.counts(&early, 1, 9));
    let later = early.following(&rotated.lineage).unwrap();
    assert!(rotated.counts(&later, 2, 9) && !rotated.counts(&later, 1, 9));
    assert_eq!(later.following(&shorter).unwrap(), later, "a shorter one changes nothing");
    // Two people and the old key put two keys in the place of one.
    let fork = FileKey::generate_for(&registry()).unwrap();
    let people = [&rotated.world.people[0], &rotated.world.people[1]];
    let rotation = signed(&document(&rotated.keys[0], &fork), &people);
    let first = &rotated.keys[0];
    let forked = link(&mut rotated.world, rotation, &[&fork, first]);
    let forked = LogLineage { links: vec![forked], ..rotated.lineage.clone() };
    assert!(rotated.pinned(0).following(&forked).is_ok());
    assert_eq!(later.following(&forked).unwrap_err().code, Code::ConsistencyInvalid);
}

#[test]
fn another_origin_is_followed_by_the_word_of_two_people_alone() {
    let rotated = rotated();
    let other = LogLineage { origin: "sro.example/log2".into(), links: vec![], ..rotated.lineage.clone() };
    let said: LogSucceeded = LogSucceeded {
        old_origin: ORIGIN.into(),
        new_origin: other.origin.clone(),
        new_key: Some(other.first.thumbprint()),
        registry: registry(),
        ..example("log-succeeded")
    };
    let people = [&rotated.world.people[0], &rotated.world.people[1]];
    let with = |said: &LogSucceeded, by: &[&FileKey]| LogLineage { succeeds: Some(signed(said, by)), ..other.clone() };
    let follow = |lineage: &LogLineage| -> R<Trust> { rotated.pinned(0).following(lineage) };
    let trust = follow(&with(&said, &people)).unwrap();
    assert_eq!((trust.origin.as_str(), trust.lineage.succeeds()), ("sro.example/log2", Some(ORIGIN.to_owned())));
    assert_eq!(trust.following(&rotated.lineage).unwrap_err().code, Code::LogLineageInvalid, "not back");
    assert_eq!(follow(&other).unwrap_err().code, Code::LogLineageInvalid, "without a word");
    assert_eq!(follow(&with(&said, &people[..1])).unwrap_err().code, Code::TwoPeopleNeeded);
    let elsewhere = LogSucceeded { old_origin: "other.example/log".into(), ..said.clone() };
    assert_eq!(follow(&with(&elsewhere, &people)).unwrap_err().code, Code::LogLineageInvalid);
    let stranger = FileKey::generate().unwrap();
    assert_eq!(follow(&with(&said, &[people[0], &stranger])).unwrap_err().code, Code::SignerUnknown);
    // Whoever followed to a later key does not go back to an earlier one with the other log.
    let later = rotated.pinned(0).following(&rotated.lineage).unwrap();
    assert_eq!(later.following(&with(&said, &people)).unwrap_err().code, Code::LogLineageInvalid, "a replaced key");
    // The word that was shown is not taken away again.
    assert_eq!(trust.following(&other).unwrap_err().code, Code::LogLineageInvalid, "the word is left out");
}

/// A lineage of these keys, each link signed by all who must.
fn chain(world: &mut World, keys: &[&FileKey]) -> LogLineage {
    let mut links = Vec::new();
    for pair in keys.windows(2) {
        let people = [&world.people[0], &world.people[1]];
        let rotation = signed(&document(pair[0], pair[1]), &people);
        links.push(link(world, rotation, &[pair[1], pair[0]]));
    }
    LogLineage { origin: ORIGIN.into(), first: keys[0].jwk().clone(), links, succeeds: None, people: vec![] }
}

#[test]
fn a_reader_who_pins_the_middle_key_ends_at_the_last_and_is_led_past_or_back_by_nothing() {
    let mut rotated = rotated();
    let last = rotated.keys[2].jwk().clone();
    for pinned in 0..3 {
        let trust = rotated.pinned(pinned).following(&rotated.lineage).unwrap();
        assert_eq!(trust.key_in_use(), &last, "pinned {pinned}");
        // Pinned anew at the middle key while it was in use, and on from there.
        let shorter = LogLineage { links: rotated.lineage.links[..1].to_vec(), ..rotated.lineage.clone() };
        let middle = rotated.pinned(1).following(&shorter).unwrap();
        assert_eq!(middle.key_in_use(), rotated.keys[1].jwk());
        assert_eq!(middle.following(&rotated.lineage).unwrap().key_in_use(), &last);
    }
    let keys = [40u8, 41, 42].map(|n| FileKey::from_seed(registry().as_str(), &[n; 32]));
    let [first, second, third] = &keys;
    let skips = chain(&mut rotated.world, &[first, third]);
    let back = chain(&mut rotated.world, &[first, second, first]);
    let turned = chain(&mut rotated.world, &[second, first]);
    let again = chain(&mut rotated.world, &[first, second, third]);
    let reader = rotated.pinned(1);
    assert_eq!(reader.following(&skips).unwrap_err().code, Code::LogLineageInvalid, "it skips the pinned key");
    assert_eq!(reader.following(&back).unwrap_err().code, Code::LogLineageInvalid, "a key comes back");
    let followed = reader.following(&rotated.lineage).unwrap();
    for (shown, what) in [(&skips, "skips"), (&turned, "the same keys turned round"), (&again, "other entries")] {
        let refused = followed.following(shown).unwrap_err().code;
        assert!([Code::ConsistencyInvalid, Code::LogLineageInvalid].contains(&refused), "{what}: {refused}");
        assert_eq!(followed.key_in_use(), &last, "{what}");
    }
    let early = LogLineage { links: rotated.lineage.links[..1].to_vec(), ..rotated.lineage.clone() };
    let knows_two = rotated.pinned(1).following(&early).unwrap();
    assert_eq!(
        knows_two.following(&turned).unwrap_err().code,
        Code::ConsistencyInvalid,
        "no way back to the first key"
    );
    // A lineage that begins with the middle key goes on from it; what was known before it stays known.
    let links = rotated.lineage.links[1..].to_vec();
    let later = LogLineage { first: second.jwk().clone(), links, ..rotated.lineage.clone() };
    let trust = knows_two.following(&later).unwrap();
    assert_eq!(trust.key_in_use(), &last);
    for (size, by) in [(1, 0), (2, 1), (3, 2)] {
        assert!(rotated.counts(&trust, by, size), "size {size}");
    }
    assert_eq!(rotated.pinned(0).following(&later).unwrap_err().code, Code::LogLineageInvalid, "behind its beginning");
}

#[test]
fn a_succession_leads_to_the_key_that_it_names() {
    let rotated = rotated();
    let people = [&rotated.world.people[0], &rotated.world.people[1]];
    let names = |key: Option<String>| {
        let said = LogSucceeded {
            old_origin: ORIGIN.into(),
            new_origin: "sro.example/log2".into(),
            new_key: key,
            registry: registry(),
            ..example("log-succeeded")
        };
        let succeeds = Some(signed(&said, &people));
        LogLineage { origin: "sro.example/log2".into(), links: vec![], succeeds, ..rotated.lineage.clone() }
    };
    let key = rotated.keys[0].jwk().thumbprint();
    for good in [None, Some(key)] {
        rotated.pinned(0).following(&names(good)).unwrap();
    }
    let other = names(Some(rotated.keys[1].jwk().thumbprint()));
    assert_eq!(rotated.pinned(0).following(&other).unwrap_err().code, Code::LogLineageInvalid);
}
