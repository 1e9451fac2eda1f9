//! Backup, restore, what a witness remembers, the mirror, the succession; and erasure, from which there is no way back.

use registry::{Draft, DraftLine, Options, Registry, backup, restore, succeed};
use schemas::event::Body;
use schemas::log::{Checkpoint, ExportedEntry};
use schemas::party::{Decision, Kind};
use schemas::rules::{Erasure, LogSucceeded};
use schemas::{Code, R};
use signing::FileKey;

use crate::database::url;
use crate::house::{House, folder, start};
use crate::papers;

fn mirrored(house: &House) -> (Vec<ExportedEntry>, Checkpoint) {
    let size = house.registry.head().unwrap().size;
    let mut entries = Vec::new();
    while (entries.len() as u64) < size {
        entries.extend(house.registry.entries(entries.len() as u64, 1000).unwrap());
    }
    (entries, house.registry.checkpoint().unwrap())
}

/// The same log at another place.
fn elsewhere(house: &House) -> (std::path::PathBuf, Options) {
    let dir = folder();
    let options = Options { url: url(&dir), ..house.options.clone() };
    (dir, options)
}

fn anchor(house: &House, registry: &Registry) -> R<registry::Entry> {
    let body = Body::DigestAnchored { by: house.tdps[0].did().unwrap(), sha256: schemas::Digest([1; 32]) };
    registry.append(registry.verify(body)?, house.now())
}

#[test]
fn a_backup_comes_back_whole_and_not_when_it_was_changed() {
    let house = House::furnished();
    house.executed();
    let (dir, options) = elsewhere(&house);
    let file = dir.join("backup");
    let head = backup(&house.options.url, &file).unwrap();
    assert_eq!(head, house.registry.head().unwrap());
    assert_eq!(backup(&house.options.url, &file).unwrap_err().code, Code::ConfigInvalid, "a file is never replaced");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "others may read it");
    if let Some(path) = options.url.strip_prefix("sqlite://") {
        let wal = format!("{path}-wal");
        std::fs::write(&wal, b"of another database").unwrap();
        let beside = restore(&file, &options.url).unwrap_err();
        assert!(beside.code == Code::ConfigInvalid && beside.sentence.contains("-wal"), "{beside}");
        std::fs::remove_file(&wal).unwrap();
    }
    assert_eq!(restore(&file, &options.url).unwrap(), head);
    assert_eq!(restore(&file, &options.url).unwrap_err().code, Code::ConfigInvalid, "what is there is never replaced");
    let back = Registry::open(options.clone(), start()).unwrap();
    assert_eq!((back.head().unwrap(), back.state()), (head, house.registry.state()));
    anchor(&house, &back).unwrap();

    let bytes = std::fs::read(&file).unwrap();
    for n in 1..5 {
        let mut spoilt = bytes.clone();
        let from = bytes.len() * n / 5;
        spoilt[from..from + 64].iter_mut().for_each(|b| *b ^= 1);
        let (file, other) = (dir.join(format!("spoilt{n}")), elsewhere(&house));
        std::fs::write(&file, spoilt).unwrap();
        // A page of a SQLite file may hold nothing; what comes back is then the same log.
        if let Ok(head) = restore(&file, &other.1.url) {
            assert_eq!(head, house.registry.head().unwrap());
        }
        std::fs::remove_dir_all(other.0).unwrap();
    }
    let (file, other) = (dir.join("half"), elsewhere(&house));
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(restore(&file, &other.1.url).is_err());
    std::fs::remove_dir_all(other.0).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_log_from_an_old_backup_is_read_only_until_a_mirror_gives_the_rest() {
    let house = House::furnished();
    let (contract, _) = house.executed();
    let (dir, options) = elsewhere(&house);
    let file = dir.join("backup");
    backup(&house.options.url, &file).unwrap();
    house.revoke(&contract);
    let (entries, checkpoint) = mirrored(&house);
    restore(&file, &options.url).unwrap();

    let behind = Registry::open(options.clone(), start()).unwrap();
    behind.set_witnessed(&checkpoint.head).unwrap();
    assert_eq!(anchor(&house, &behind).unwrap_err().code, Code::ReadOnly);
    assert_eq!(behind.read_only().unwrap().code, Code::ReadOnly);
    assert!(behind.receipt(0).is_ok() && behind.checkpoint().is_ok(), "reads go on");
    let old = behind.head().unwrap();
    drop(behind);

    // Each way of a mirror to be wrong changes nothing.
    let taken = |entries: &[ExportedEntry], checkpoint: &Checkpoint| {
        Registry::restore_from(&options, entries.iter().cloned().map(Ok), checkpoint, None)
    };
    let last = entries.len() - 1;
    assert_eq!(taken(&entries[..last], &checkpoint).unwrap_err().code, Code::ConsistencyInvalid, "too few");
    let mut spoilt = entries.clone();
    spoilt[last].body_salt.0[0] ^= 1;
    assert_eq!(taken(&spoilt, &checkpoint).unwrap_err().code, Code::LogTampered);
    let mut forged = entries.clone();
    forged.swap(last, last - 1);
    assert_eq!(taken(&forged, &checkpoint).unwrap_err().code, Code::LogTampered);
    let stranger = FileKey::from_seed("did:web:sro.example", &[55; 32]);
    let other = signing::note::sign_checkpoint(&options.origin, &checkpoint.head, &stranger).unwrap();
    assert_eq!(taken(&entries, &other).unwrap_err().code, Code::CheckpointInvalid);
    assert_eq!(Registry::open(options.clone(), start()).unwrap().head().unwrap(), old);

    assert_eq!(taken(&entries, &checkpoint).unwrap(), checkpoint.head);
    assert_eq!(taken(&entries, &checkpoint).unwrap(), checkpoint.head, "a second time there is nothing to do");
    let back = Registry::open(options.clone(), start()).unwrap();
    back.set_witnessed(&checkpoint.head).unwrap();
    assert_eq!((back.head().unwrap(), back.state()), (checkpoint.head, house.registry.state()));
    assert_eq!(back.state().not_in_force(house.now()).len(), 1, "the revocation stays");
    anchor(&house, &back).unwrap();
    assert_eq!(back.scrub().unwrap().first_difference, None);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_witness_that_saw_another_root_makes_the_log_read_only() {
    let house = House::furnished();
    let mut seen = house.registry.head().unwrap();
    house.registry.set_witnessed(&seen).unwrap();
    anchor(&house, &house.registry).unwrap();
    house.registry.set_witnessed(&seen).unwrap();
    anchor(&house, &house.registry).unwrap();
    seen.root = schemas::Digest([3; 32]);
    house.registry.set_witnessed(&seen).unwrap();
    assert_eq!(anchor(&house, &house.registry).unwrap_err().code, Code::ReadOnly);
}

#[test]
fn a_succession_of_two_people_opens_a_log_with_what_is_left() {
    let house = House::furnished();
    let (contract, _) = house.executed();
    let (entries, checkpoint) = mirrored(&house);
    let (dir, mut options) = elsewhere(&house);
    options.origin = "sro.example/log2".into();
    let kept = entries.len() as u64 - 2;
    let document = LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: papers::registry(),
        old_origin: house.options.origin.clone(),
        old_checkpoint: checkpoint.text(),
        kept,
        new_origin: options.origin.clone(),
        new_key: Some(options.signer.jwk().thumbprint()),
        reason: "the disk was lost".into(),
        at: house.now(),
    };
    let kept_entries = kept;
    let open = |options: &Options, envelope| {
        let mut told = 0;
        let kept = entries.iter().cloned().map(Ok);
        let opened = succeed(options.clone(), kept, envelope, house.now(), &mut |done| told = done);
        assert_eq!(told, if opened.is_ok() { kept_entries } else { 0 }, "progress");
        opened
    };
    assert!(open(&options, house.sign(&document, &house.sro[0])).is_err(), "one person does not suffice");
    let mut other = options.clone();
    (other.url, other.origin) = (elsewhere(&house).1.url, "sro.example/log3".into());
    assert_eq!(open(&other, house.by_sro(&document)).err().unwrap().code, Code::ConfigInvalid);
    let (again, mut fresh) = elsewhere(&house);
    fresh.origin = options.origin.clone();
    let next = open(&fresh, house.by_sro(&document)).unwrap();
    assert_eq!(Checkpoint::parse(&next.checkpoint().unwrap().text()).unwrap().origin, "sro.example/log2");
    assert!(next.state().genesis().unwrap().succeeds.is_some());
    let participants =
        |registry: &Registry| registry.state().participants().map(|(did, _)| did.clone()).collect::<Vec<_>>();
    assert_eq!(participants(&next), participants(&house.registry));
    assert!(next.state().contract(&contract.sha256).is_some());
    anchor(&house, &next).unwrap();
    drop(next);
    Registry::open(fresh, start()).unwrap();
    for dir in [dir, again] {
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn what_was_erased_is_gone_from_store_and_export_and_the_log_verifies() {
    let mut house = House::furnished();
    let who = FileKey::generate().unwrap();
    let first = house.apply(&who, Kind::Tdp).unwrap().receipt.index;
    let second = house.decide(&who, Decision::Rejected).unwrap().receipt.index;
    let name = who.did().unwrap().to_string();
    let erasure = Erasure {
        schema: "erasure.v1".into(),
        registry: papers::registry(),
        entries: vec![first, second],
        reason: "asked for".into(),
        at: house.now(),
    };
    let one = Body::SubjectErased { erasure: house.sign(&erasure, &house.sro[0]) };
    assert_eq!(house.enter(one).unwrap_err().code, Code::TwoPeopleNeeded);
    house.enter(Body::SubjectErased { erasure: house.by_sro(&erasure) }).unwrap();
    for index in [first, second] {
        let entry = house.registry.entries(index, 1).unwrap().remove(0);
        assert!(matches!(entry.body, Body::Erased { ref was } if *was == entry.record.kind), "{index}");
        assert!(entry.subject.is_empty() && entry.subject_salt.0.is_empty() && entry.body_salt.0.is_empty());
    }
    assert_eq!(house.registry.scrub().unwrap().first_difference, None);
    let (head, state) = (house.registry.head().unwrap(), house.registry.state());
    house.reopen().unwrap();
    assert_eq!((house.registry.head().unwrap(), house.registry.state()), (head, state));
    let file = house.dir.join("registry.db");
    if file.exists() {
        // Nothing of the name is left in the bytes of the database and its journal.
        let text =
            [std::fs::read(&file).unwrap(), std::fs::read(house.dir.join("registry.db-wal")).unwrap_or_default()];
        let found = text.concat().windows(name.len()).any(|w| w == name.as_bytes());
        assert!(!found, "the erased name is still in the file");
    }
    // Who was erased may come again, as somebody new.
    house.apply(&who, Kind::Tdp).unwrap();
    assert_eq!(house.registry.scrub().unwrap().first_difference, None);
}

#[test]
fn drafts_are_their_owners_and_change_one_revision_at_a_time() {
    let house = House::empty();
    let (own, other) = (house.tdc.did().unwrap(), house.ccrp.did().unwrap());
    let draft = |rev: u32, body: &str| Draft {
        id: "drf_1".into(),
        owner: own.clone(),
        updated_at: start(),
        rev,
        body: body.into(),
        original: Some(vec![0, 1]),
    };
    assert_eq!(house.registry.put_draft(&draft(2, "{}")).unwrap_err().code, Code::PreconditionFailed);
    house.registry.put_draft(&draft(1, "{}")).unwrap();
    assert_eq!(house.registry.put_draft(&draft(1, "[]")).unwrap_err().code, Code::PreconditionFailed);
    house.registry.put_draft(&draft(2, "[]")).unwrap();
    assert_eq!(house.registry.get_draft(&own, "drf_1").unwrap(), draft(2, "[]"));
    let line = DraftLine { id: "drf_1".into(), rev: 2, updated_at: start() };
    assert_eq!(house.registry.drafts(&own, 0, 50).unwrap(), [line]);
    assert_eq!(house.registry.drafts(&other, 0, 50).unwrap(), []);
    assert!(house.registry.has_draft_of(&own, &[0, 1]).unwrap());
    assert!(
        !house.registry.has_draft_of(&own, &[0, 2]).unwrap() && !house.registry.has_draft_of(&other, &[0, 1]).unwrap()
    );
    let strange = Draft { owner: other.clone(), ..draft(3, "{}") };
    assert_eq!(house.registry.put_draft(&strange).unwrap_err().code, Code::NotFound);
    assert_eq!(house.registry.get_draft(&other, "drf_1").unwrap_err().code, Code::NotFound);
    assert_eq!(house.registry.delete_draft(&other, "drf_1").unwrap_err().code, Code::NotFound);
    house.registry.delete_draft(&own, "drf_1").unwrap();
    assert_eq!(house.registry.get_draft(&own, "drf_1").unwrap_err().code, Code::NotFound);
}

#[test]
fn drafts_are_listed_page_by_page_without_their_texts() {
    let house = House::empty();
    let own = house.tdc.did().unwrap();
    for n in 0..5 {
        let (id, updated_at) = (format!("drf_{n}"), start().plus_seconds(n));
        let draft = Draft { id, owner: own.clone(), updated_at, rev: 1, body: "{}".into(), original: None };
        house.registry.put_draft(&draft).unwrap();
    }
    let ids = |skip, limit| -> Vec<String> {
        house.registry.drafts(&own, skip, limit).unwrap().into_iter().map(|line| line.id).collect()
    };
    assert_eq!(ids(0, 3), ["drf_4", "drf_3", "drf_2"], "the last changed first");
    assert_eq!(ids(3, 3), ["drf_1", "drf_0"]);
    assert!(ids(5, 3).is_empty() && ids(usize::MAX, usize::MAX).is_empty());
}

#[test]
fn proofs_in_the_second_tree_lead_to_the_root_that_stands_in_the_log() {
    let house = House::furnished();
    let size = house.registry.head().unwrap().size;
    let last = house.registry.entries(size - 1, 1).unwrap().remove(0);
    let Body::TwinRoot { root, size: covered } = last.body else { panic!("another body") };
    assert_eq!(covered, size - 1);
    for index in 0..size - 1 {
        let proof = house.registry.twin_proof(index).unwrap();
        assert_eq!((proof.size, proof.root), (covered, root));
        let leaf = &proof.leaf;
        assert_eq!(leaf.entry, house.registry.receipt(index).unwrap().record.leaf().unwrap());
        let evidence = schemas::Digest::of(leaf.evidence.as_bytes());
        let mut hash = schemas::Digest::of(&[leaf.entry.0, evidence.0, leaf.claims.0].concat());
        for (left, sibling) in &proof.path {
            let pair = if *left { [sibling.0, hash.0] } else { [hash.0, sibling.0] };
            hash = schemas::Digest::of(&pair.concat());
        }
        assert_eq!(hash, root, "{index}");
    }
    assert_eq!(house.registry.twin_proof(size - 1).unwrap_err().code, Code::NotFound);
    assert_eq!(house.registry.twin_proof(size).unwrap_err().code, Code::NotFound);
}
