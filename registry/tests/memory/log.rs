//! Receipts, gap-free order under parallel writers, restart, replay of an export.

use std::collections::BTreeSet;
use std::sync::Arc;

use policies::lifecycle::Replay;
use registry::{Entry, Registry};
use schemas::event::Body;
use schemas::log::{Checkpoint, check_consistency, inclusion_root, leaf_hash};
use schemas::party::Kind;
use schemas::{Code, Digest, Signer};
use signing::FileKey;

use crate::house::{House, start};
use crate::papers;

fn verifies(house: &House, entry: &Entry) {
    signing::verify_receipt(&entry.receipt, &entry.body, &house.options.origin, house.options.signer.jwk()).unwrap();
}

#[test]
fn every_receipt_verifies_offline_when_given_and_under_every_later_checkpoint() {
    let house = House::furnished();
    let (_, last) = house.executed();
    verifies(&house, &last);
    let executed = last.follow_up.as_deref().unwrap();
    verifies(&house, executed);
    assert!(matches!(executed.body, Body::ContractExecuted { .. }));
    assert_eq!(executed.receipt.index, last.receipt.index + 1);
    let old = Checkpoint::parse(&last.receipt.checkpoint).unwrap().head;
    house.apply(&FileKey::generate().unwrap(), Kind::Tdp).unwrap();
    let new = house.registry.head().unwrap();
    check_consistency(&old, &new, &house.registry.consistency(old.size, new.size).unwrap()).unwrap();
    for exported in house.registry.entries(0, 1000).unwrap() {
        let receipt = house.registry.receipt(exported.index).unwrap();
        signing::verify_receipt(&receipt, &exported.body, &house.options.origin, house.options.signer.jwk()).unwrap();
        let other = Body::ModelHandedOver { run_id: crate::runs::Run::name() };
        assert!(signing::verify_receipt(&receipt, &other, &house.options.origin, house.options.signer.jwk()).is_err());
    }
    assert_eq!(house.registry.receipt(new.size).unwrap_err().code, Code::NotFound);
    assert_eq!(house.registry.consistency(0, new.size).unwrap_err().code, Code::ConsistencyInvalid);
    assert_eq!(house.registry.consistency(1, new.size + 1).unwrap_err().code, Code::ConsistencyInvalid);
}

#[test]
fn parallel_writers_get_a_log_without_gaps() {
    let house = House::empty();
    let house = &house;
    let entries: Vec<Entry> = std::thread::scope(|scope| {
        let one = |_| scope.spawn(|| house.apply(&FileKey::generate().unwrap(), Kind::Tdp).unwrap());
        let threads: Vec<_> = (0..64).map(one).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    entries.iter().for_each(|entry| verifies(house, entry));
    let indices: BTreeSet<u64> = entries.iter().map(|e| e.receipt.index).collect();
    assert_eq!(indices.len(), 64);
    // Each batch ends with the root of the second tree; genesis was a batch of its own.
    let all = house.registry.entries(0, 1000).unwrap();
    let twins = all.iter().filter(|e| e.record.kind == "twin_root").map(|e| e.index);
    let known: BTreeSet<u64> = indices.into_iter().chain(twins).chain([0]).collect();
    assert_eq!(known, (0..house.registry.state().size()).collect());
}

#[test]
fn two_last_signatures_at_once_execute_the_contract_once() {
    let house = House::furnished();
    let contract = house.propose(&house.draft()).unwrap();
    house.enter(house.signature(&contract, &house.tdps[0])).unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let (house, contract) = (&house, &contract);
        let sign = |who| scope.spawn(move || house.enter(house.signature(contract, who)).unwrap());
        let (one, two) = (sign(&house.tdps[1]), sign(&house.ccrp));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(u8::from(one.follow_up.is_some()) + u8::from(two.follow_up.is_some()), 1);
    let again = house.propose(&house.draft()).unwrap();
    let codes: Vec<Option<Code>> = std::thread::scope(|scope| {
        let sign = |_| scope.spawn(|| house.enter(house.signature(&again, &house.ccrp)).err().map(|e| e.code));
        let threads: Vec<_> = (0..8).map(sign).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|c| c.is_none()).count(), 1);
    assert_eq!(codes.iter().filter(|c| **c == Some(Code::SignerTwice)).count(), 7);
}

#[test]
fn bodies_entered_together_enter_all_or_none() {
    let house = House::empty();
    let body = |who: &FileKey| {
        let application = house.sign(&papers::participant(who, Kind::Tdp), who);
        house.registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap()
    };
    let before = house.registry.head().unwrap();
    let twice = vec![body(&house.tdc), body(&house.ccrp), body(&house.tdc)];
    assert_eq!(house.registry.append_many(twice, house.now()).unwrap_err().code, Code::ParticipantExists);
    assert_eq!(house.registry.head().unwrap(), before);
    let entries = house.registry.append_many(vec![body(&house.tdc), body(&house.ccrp)], house.now()).unwrap();
    entries.iter().for_each(|entry| verifies(&house, entry));
    assert_eq!(house.registry.append_many(vec![], house.now()).unwrap_err().code, Code::LimitExceeded);
}

#[test]
fn entries_about_subjects_are_those_that_a_look_at_every_entry_finds() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    let subjects = vec![run.run_id.to_string(), "log".to_owned(), "nobody".to_owned()];
    let all = house.registry.entries(0, 1000).unwrap();
    let expected: Vec<u64> = all.iter().filter(|e| subjects.contains(&e.subject)).map(|e| e.index).collect();
    assert!(expected.len() > 5, "{expected:?}");
    assert_eq!(house.registry.entries_about(&subjects, 0, 1000).unwrap(), expected);
    assert_eq!(house.registry.entries_about(&subjects, expected[2], 2).unwrap(), expected[2..4]);
    // More subjects than are asked for at once, and the entries in order all the same.
    let many: Vec<String> = (0..1200).map(|n| format!("nobody {n}")).collect();
    let many: Vec<String> = [&subjects[..1], &many[..], &subjects[1..]].concat();
    assert_eq!(house.registry.entries_about(&many, 0, 1000).unwrap(), expected);
    assert_eq!(house.registry.entries_about(&many, 0, 3).unwrap(), expected[..3]);
    assert!(house.registry.entries_about(&[], 0, 1000).unwrap().is_empty());
}

#[test]
fn a_restart_and_a_replay_of_the_export_give_the_same_root_and_state() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    let (head, state) = (house.registry.head().unwrap(), house.registry.state());
    house.reopen().unwrap();
    assert_eq!(house.registry.head().unwrap(), head);
    assert_eq!(house.registry.state(), state);
    assert_eq!(house.registry.replayed(), 0, "the state was kept");

    let mut replay = Replay::new();
    let registry = papers::registry();
    for entry in house.registry.entries(0, 1000).unwrap() {
        let known = &replay.state;
        let body = signing::verify_body(entry.body.clone(), &registry, known, &|sha256| known.proposed_payload(sha256))
            .unwrap();
        replay.enter(&entry, &body).unwrap();
    }
    assert_eq!(replay.frontier.root(), head.root);
    assert_eq!(&replay.state, state.as_ref());
    replay.state.check_books().unwrap();
}

#[test]
fn a_replay_names_the_entry_that_was_changed() {
    let house = House::furnished();
    let entries = house.registry.entries(0, 1000).unwrap();
    let spoil: [fn(&mut schemas::log::ExportedEntry); 7] = [
        |e| e.index += 1,
        |e| e.record.seq += 1,
        |e| e.record.prev = Digest([1; 32]),
        |e| e.record.kind = "genesis".into(),
        |e| e.subject.push('x'),
        |e| e.body_salt.0[0] ^= 1,
        |e| e.subject_salt.0.truncate(31),
    ];
    for (n, spoil) in spoil.iter().enumerate() {
        let mut replay = Replay::new();
        let mut spoilt = entries.clone();
        spoil(&mut spoilt[5]);
        let refusal = spoilt.iter().find_map(|entry| replay.reenter(entry).err()).unwrap();
        assert_eq!(refusal.code, Code::LogTampered, "{n}");
        assert!(refusal.sentence.contains("entry 5") || n == 0, "{n}: {refusal}");
    }
    let mut replay = Replay::new();
    let mut backwards = entries.clone();
    backwards[5].record.at = start().plus_seconds(-60);
    assert_eq!(backwards.iter().find_map(|e| replay.reenter(e).err()).unwrap().code, Code::LogTampered);
}

#[test]
fn tiles_hold_the_tree() {
    let house = House::empty();
    let keys: Vec<FileKey> = (0..300).map(|_| FileKey::generate().unwrap()).collect();
    for chunk in keys.chunks(60) {
        let body = |who: &FileKey| {
            let application = house.sign(&papers::participant(who, Kind::Tdp), who);
            house.registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap()
        };
        house.registry.append_many(chunk.iter().map(body).collect(), house.now()).unwrap();
    }
    let registry: &Registry = &house.registry;
    let full = registry.tile(0, 0, 256).unwrap();
    // 301 entries, and the root of the second tree after each of six batches.
    let partial = registry.tile(0, 1, 51).unwrap();
    assert_eq!((full.len(), partial.len()), (8192, 51 * 32));
    let mut frontier = policies::lifecycle::Frontier::default();
    for hash in full.chunks(32).chain(partial.chunks(32)) {
        frontier.push(Digest(hash.try_into().unwrap()), |_, _, _| {});
    }
    assert_eq!(frontier.root(), registry.head().unwrap().root);
    let top = registry.tile(1, 0, 1).unwrap();
    let peak = frontier.peaks().next().unwrap();
    assert_eq!((top.as_slice(), peak.0), (peak.2.0.as_slice(), 8));
    for (level, index, width) in
        [(0, 1, 52), (0, 2, 1), (1, 0, 2), (1, 1, 1), (0, 0, 0), (0, 0, 257), (9, 0, 1), (0, u64::MAX, 1)]
    {
        assert_eq!(registry.tile(level, index, width).unwrap_err().code, Code::NotFound, "{level} {index} {width}");
    }
    let records = registry.entry_tile(0, 2).unwrap();
    let length = usize::from(u16::from_be_bytes([records[0], records[1]]));
    let receipt = registry.receipt(0).unwrap();
    assert_eq!(&records[2..2 + length], receipt.record.bytes().unwrap());
    let root = inclusion_root(leaf_hash(&records[2..2 + length]), 0, 307, &receipt.path).unwrap();
    assert_eq!(root, frontier.root());
}

#[test]
fn cosignatures_come_with_the_checkpoint_they_are_over() {
    let house = House::empty();
    let witness = FileKey::from_seed("did:web:witness.example", &[42; 32]);
    let note = house.registry.checkpoint().unwrap();
    let line = signing::note::cosign(&note, "witness.example", &witness, start()).unwrap();
    for _ in 0..2 {
        house.registry.put_cosignature(note.head.size, &line).unwrap();
    }
    let note = house.registry.checkpoint().unwrap();
    assert_eq!(note.signatures.len(), 2);
    assert_eq!(signing::note::verify_cosignature(&note, "witness.example", witness.jwk()).unwrap(), start());
    assert_eq!(house.registry.cosigned_size("witness.example").unwrap(), 2);
    let later = house.apply(&house.tdc, Kind::Tdc).unwrap();
    assert_eq!(house.registry.checkpoint().unwrap().signatures.len(), 1);
    // A receipt under the checkpoint that was cosigned carries the cosignature, and covers no later entry.
    let genesis = house.registry.entries(0, 1).unwrap().remove(0);
    let receipt = house.registry.receipt_under(0, &note).unwrap();
    assert_eq!(Checkpoint::parse(&receipt.checkpoint).unwrap().signatures.len(), 2);
    signing::verify_receipt(&receipt, &genesis.body, &house.options.origin, house.options.signer.jwk()).unwrap();
    let beyond = house.registry.receipt_under(later.receipt.index, &note);
    assert_eq!(beyond.unwrap_err().code, Code::NotFound);
}

#[test]
fn time_never_goes_backwards_in_the_log() {
    let house = House::empty();
    house.skip(100);
    let first = house.apply(&house.tdc, Kind::Tdc).unwrap();
    let application = house.sign(&papers::participant(&house.ccrp, Kind::Ccrp), &house.ccrp);
    let body = house.registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap();
    let second = house.registry.append(body, start()).unwrap();
    assert_eq!(second.receipt.record.at, first.receipt.record.at);
}

#[test]
fn a_log_belongs_to_its_registry_key_origin_and_people() {
    let mut house = House::empty();
    let mine = house.options.clone();
    house.close();
    let changes: [fn(&mut registry::Options); 4] = [
        |o| o.origin = "other.example/log".into(),
        |o| o.signer = Arc::new(FileKey::from_seed("did:web:sro.example", &[101; 32])),
        |o| o.registry = schemas::id::Did::parse("did:web:other.example").unwrap(),
        |o| drop(o.sro.pop()),
    ];
    for change in changes {
        house.options = mine.clone();
        change(&mut house.options);
        assert_eq!(Registry::open(house.options.clone(), start()).err().unwrap().code, Code::ConfigInvalid);
    }
    let mut lonely = mine.clone();
    lonely.url = house.dir.join("new.db").display().to_string();
    lonely.sro.truncate(1);
    assert_eq!(Registry::open(lonely, start()).err().unwrap().code, Code::TwoPeopleNeeded);
    for url in ["mysql://x/y", ":memory:", ""] {
        let mut options = mine.clone();
        options.url = url.into();
        assert_eq!(Registry::open(options, start()).err().unwrap().code, Code::ConfigInvalid, "{url}");
    }
}

/// Not a gate: prints how many entries a second are written and answered, and how long checking them at open takes.
#[test]
fn throughput_is_printed() {
    let mut house = House::empty();
    let bodies: Vec<_> = (0..2000)
        .map(|_| {
            let who = FileKey::generate().unwrap();
            let application = house.sign(&papers::participant(&who, Kind::Tdp), &who);
            house.registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap()
        })
        .collect();
    let mut lots: Vec<Vec<_>> = (0..64).map(|_| Vec::new()).collect();
    bodies.into_iter().enumerate().for_each(|(n, body)| lots[n % 64].push(body));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for lot in lots {
            scope.spawn(|| lot.into_iter().for_each(|body| drop(house.registry.append(body, start()).unwrap())));
        }
    });
    let rate = 2000.0 / began.elapsed().as_secs_f64();
    println!("appends per second, 64 callers: {rate:.0}");
    let began = std::time::Instant::now();
    for _ in 0..50 {
        house.apply(&FileKey::generate().unwrap(), Kind::Tdp).unwrap();
    }
    println!("appends per second, one caller: {:.0}", 50.0 / began.elapsed().as_secs_f64());
    let entries = house.registry.entries(0, 1000).unwrap();
    let twins = entries.iter().filter(|e| e.record.kind == "twin_root").count();
    println!("roots of the second tree among the first 1,000 entries: {twins}");
    assert!(house.registry.state().size() > 2051);
    let began = std::time::Instant::now();
    house.reopen().unwrap();
    println!("closing, opening and checking: {:.2} s", began.elapsed().as_secs_f64());
}
