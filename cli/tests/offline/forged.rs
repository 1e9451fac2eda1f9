//! A person of the SRO who holds the log's key and rewrites history: every digest, chain, both trees and the checkpoint
//! are made anew over the change. What gives it away are the parties' signatures and the rules, and the entry is named.

use policies::lifecycle::{Twin, twin_claims, twin_leaf};
use std::collections::HashMap;

use depa::audit::{Head, Options};
use depa::exit;
use policies::lifecycle::Frontier;
use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::event::{Body, Completion};
use schemas::log::{CheckpointRef, ExportedEntry, body_digest, subject_digest};
use schemas::money::Minor;
use schemas::release::KmsReceipt;
use schemas::{Code, Digest, Document, Envelope, Refusal};
use signing::{FileKey, note};

use crate::house::House;
use crate::{failed, line, lived_in, now, trust, verify, verify_with};

/// The log of these bodies as if they had been entered so: records, chains, twin roots and the signed head.
fn rewritten(house: &House, mut entries: Vec<ExportedEntry>, twins: bool) -> Vec<Vec<u8>> {
    let (mut frontier, mut twin) = (Frontier::default(), Twin::default());
    let mut chains: HashMap<String, (u64, Digest)> = HashMap::new();
    let mut last = entries[0].record.at;
    for (n, entry) in entries.iter_mut().enumerate() {
        let index = n as u64;
        if let Body::TwinRoot { size, root } = &mut entry.body
            && twins
        {
            (*size, *root) = (index, twin.root());
        }
        entry.index = index;
        entry.record.at = entry.record.at.max(last);
        last = entry.record.at;
        let salt = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap();
        let (seq, prev) = chains.get(&entry.subject).copied().unwrap_or((0, Digest([0; 32])));
        entry.record.kind = entry.body.kind().to_owned();
        entry.record.subject = subject_digest(&salt(&entry.subject_salt.0), &entry.subject);
        entry.record.body_sha256 = body_digest(&salt(&entry.body_salt.0), &entry.body).unwrap();
        (entry.record.seq, entry.record.prev) = (seq + 1, prev);
        let leaf = entry.record.leaf().unwrap();
        twin.push(twin_leaf(index, &leaf, &twin_claims(&entry.body, &entry.record.body_sha256)), |_, _, _| {});
        frontier.push(leaf, |_, _, _| {});
        chains.insert(entry.subject.clone(), (seq + 1, leaf));
    }
    let head = CheckpointRef { size: frontier.size(), root: frontier.root() };
    let note = note::sign_checkpoint(&house.options.origin, &head, house.options.signer.as_ref()).unwrap();
    let mut lines = vec![line(&Head { v: 1, size: head.size, checkpoint: note.text() })];
    lines.extend(entries.iter().map(line));
    lines
}

fn entries(house: &House) -> Vec<ExportedEntry> {
    house.registry.entries(0, 10_000).unwrap()
}

fn position(entries: &[ExportedEntry], is: impl Fn(&Body) -> bool) -> usize {
    entries.iter().position(|e| is(&e.body)).unwrap()
}

/// Rewrites the payload under the signatures that stand there.
fn reworded<T: Document>(envelope: &Envelope<T>, change: impl FnOnce(&mut T)) -> Envelope<T> {
    let mut document = envelope.read_unverified().unwrap();
    change(&mut document);
    let payload = Envelope::draft(&document).unwrap().payload.0;
    Envelope::new(payload, envelope.signatures.clone())
}

/// The audit fails and names this entry, with this code.
fn named(house: &House, entries: Vec<ExportedEntry>, index: usize, code: &str) {
    let refusal: Refusal = failed(verify(&rewritten(house, entries, true), &trust(house)));
    assert_eq!(refusal.code, Code::LogTampered);
    assert!(refusal.sentence.starts_with(&format!("entry {index}:")), "{refusal}");
    assert!(refusal.sentence.contains(code), "{code}: {refusal}");
}

#[test]
fn an_honest_log_stays_good_when_it_is_written_anew() {
    let house = lived_in();
    let report = verify(&rewritten(&house, entries(&house), true), &trust(&house)).unwrap();
    assert_eq!(report.log, house.registry.head().unwrap());
    assert!(report.signatures.unwrap() > 20, "{report:?}");
}

#[test]
fn a_changed_price_is_found() {
    let house = lived_in();
    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::DatasetRegistered { .. }));
    let Body::DatasetRegistered { offer } = &mut all[n].body else { panic!("another body") };
    *offer = reworded::<DatasetOffer>(offer, |o| o.payment[0].amount_minor = Minor::new(1).unwrap());
    named(&house, all, n, "SIGNATURE_INVALID");

    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::ContractProposed { .. }));
    let Body::ContractProposed { contract } = &mut all[n].body else { panic!("another body") };
    *contract = reworded::<Contract>(contract, |c| c.payment[0].amount_minor = Minor::new(1).unwrap());
    named(&house, all, n, "SIGNATURE_INVALID");
}

#[test]
fn a_deleted_signature_is_found() {
    let house = lived_in();
    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::ParticipantDecided { .. }));
    let Body::ParticipantDecided { decision } = &mut all[n].body else { panic!("another body") };
    decision.signatures.pop();
    named(&house, all, n, "TWO_PEOPLE_NEEDED");
    // A whole entry of one signature left out: the contract did not come into force by what is left.
    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::ContractSigned { .. }));
    all.remove(n);
    let executed = position(&all, |b| matches!(b, Body::ContractExecuted { .. }));
    let refusal = failed(verify(&rewritten(&house, all, true), &trust(&house)));
    assert!(refusal.sentence.starts_with(&format!("entry {executed}:")), "{refusal}");
}

#[test]
fn swapped_entries_are_found() {
    let house = lived_in();
    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::ParticipantApplied { .. }));
    let m = position(&all, |b| matches!(b, Body::ParticipantDecided { .. }));
    all.swap(n, m);
    let refusal = failed(verify(&rewritten(&house, all, true), &trust(&house)));
    assert!(refusal.sentence.starts_with(&format!("entry {n}:")), "{refusal}");
}

#[test]
fn a_lowered_charge_and_a_missing_one_are_found() {
    let house = lived_in();
    let spoil: [fn(&mut Completion); 2] = [
        |c| c.release_receipts[0] = reworded::<KmsReceipt>(&c.release_receipts[0], |r| r.charges.clear()),
        |c| drop(c.release_receipts.pop()),
    ];
    for change in spoil {
        let mut all = entries(&house);
        let n = position(&all, |b| matches!(b, Body::RunCompleted { .. }));
        let Body::RunCompleted { completion, .. } = &mut all[n].body else { panic!("another body") };
        *completion = reworded::<Completion>(completion, change);
        named(&house, all, n, "SIGNATURE_INVALID");
    }
}

#[test]
fn a_forged_entry_is_found() {
    let house = lived_in();
    let mut all = entries(&house);
    let n = position(&all, |b| matches!(b, Body::DatasetRegistered { .. }));
    // Registered under the provider's name by a key of the forger.
    let Body::DatasetRegistered { offer } = all[n].body.clone() else { panic!("another body") };
    let mut document: DatasetOffer = offer.read_unverified().unwrap();
    document.offer_version += 1;
    document.payment[0].amount_minor = Minor::new(1).unwrap();
    let forger = FileKey::generate_for(&document.provider).unwrap();
    let mut forged = all[n].clone();
    forged.body = Body::DatasetRegistered { offer: signing::sign(&document, &forger, now()).unwrap() };
    let last = all.len();
    all.push(forged);
    named(&house, all, last, "SIGNER_UNKNOWN");
}

#[test]
fn another_root_of_the_second_tree_is_found() {
    let house = lived_in();
    let mut all = entries(&house);
    let Some(n) = all.iter().rposition(|e| matches!(e.body, Body::TwinRoot { .. })) else {
        panic!("a log without roots of the second tree")
    };
    let Body::TwinRoot { root, .. } = &mut all[n].body else { panic!("another body") };
    root.0[7] ^= 1;
    let refusal = failed(verify(&rewritten(&house, all, false), &trust(&house)));
    assert!(refusal.sentence.starts_with(&format!("entry {n}:")), "{refusal}");
}

/// A log that is good in itself, but another one than was seen before.
#[test]
fn a_fork_is_found_by_whoever_saw_the_other_branch() {
    let house = lived_in();
    let seen = house.registry.checkpoint().unwrap().text();
    let mut all = entries(&house);
    // The last acts never happened, others did.
    all.truncate(all.len() - 3);
    let fork = rewritten(&house, all, true);
    assert!(verify(&fork, &trust(&house)).is_ok());
    let options = Options { earlier: Some(seen), ..Options::default() };
    assert_eq!(failed(verify_with(&fork, &trust(&house), &options)).code, Code::ConsistencyInvalid);

    let mut all = entries(&house);
    let last = all.len() - 1;
    all[last].record.at = all[last].record.at.plus_seconds(1);
    let fork = rewritten(&house, all, true);
    let earlier = Some(house.registry.checkpoint().unwrap().text());
    let seen = Options { earlier, ..Options::default() };
    let refusal = failed(verify_with(&fork, &trust(&house), &seen));
    assert_eq!((refusal.code, exit::of(&refusal)), (Code::ConsistencyInvalid, exit::VERIFICATION));
}

/// What `depa audit verify` says of an export: exit code 10, nothing on stdout but the refusal, and the entry by its index.
fn command_names(house: &House, lines: &[Vec<u8>], entry: usize, what: &str) {
    let (export, pinned) = (house.dir.join("tampered.jsonl"), house.dir.join("trust.json"));
    std::fs::write(&export, lines.concat()).unwrap();
    std::fs::write(&pinned, serde_json::to_vec(&trust(house)).unwrap()).unwrap();
    let told = std::process::Command::new(env!("CARGO_BIN_EXE_depa"))
        .args(["audit", "verify"])
        .arg(&export)
        .arg("--trust")
        .arg(&pinned)
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(exit::VERIFICATION.into()), "{what}: {talk}");
    assert!(talk.contains(&format!("entry {entry}:")), "{what}: {talk}");
}

#[test]
fn the_command_names_the_entry_of_every_tampering() {
    let house = lived_in();
    let good = entries(&house);
    let offered = position(&good, |b| matches!(b, Body::DatasetRegistered { .. }));
    let price = |all: &mut Vec<ExportedEntry>| {
        let Body::DatasetRegistered { offer } = &mut all[offered].body else { panic!("another body") };
        *offer = reworded::<DatasetOffer>(offer, |o| o.payment[0].amount_minor = Minor::new(1).unwrap());
    };
    let decided = position(&good, |b| matches!(b, Body::ParticipantDecided { .. }));
    let signature = |all: &mut Vec<ExportedEntry>| {
        let Body::ParticipantDecided { decision } = &mut all[decided].body else { panic!("another body") };
        decision.signatures.pop();
    };
    let applied = position(&good, |b| matches!(b, Body::ParticipantApplied { .. }));
    let swap = |all: &mut Vec<ExportedEntry>| all.swap(applied, decided);
    let completed = position(&good, |b| matches!(b, Body::RunCompleted { .. }));
    let charge = |all: &mut Vec<ExportedEntry>| {
        let Body::RunCompleted { completion, .. } = &mut all[completed].body else { panic!("another body") };
        let lower = |r: &mut KmsReceipt| r.charges.iter_mut().for_each(|charge| charge.epsilon_micro = 1);
        *completion = reworded::<Completion>(completion, |c| {
            c.release_receipts[0] = reworded::<KmsReceipt>(&c.release_receipts[0], lower);
        });
    };
    let end = good.len();
    let append = |all: &mut Vec<ExportedEntry>| {
        let Body::DatasetRegistered { offer } = all[offered].body.clone() else { panic!("another body") };
        let mut document: DatasetOffer = offer.read_unverified().unwrap();
        document.offer_version += 1;
        let forger = FileKey::generate_for(&document.provider).unwrap();
        let mut forged = all[offered].clone();
        forged.body = Body::DatasetRegistered { offer: signing::sign(&document, &forger, now()).unwrap() };
        all.push(forged);
    };
    type Spoil<'a> = &'a dyn Fn(&mut Vec<ExportedEntry>);
    let spoils: [(Spoil<'_>, usize, &str); 5] = [
        (&price, offered, "a changed price"),
        (&signature, decided, "a deleted signature"),
        (&swap, applied, "swapped entries"),
        (&charge, completed, "a lowered charge"),
        (&append, end, "an appended forged entry"),
    ];
    for (spoil, entry, what) in spoils {
        let mut all = good.clone();
        spoil(&mut all);
        // By somebody without the log's key, and by the SRO's own operator who makes every digest anew.
        let mut plain = crate::lines(&house);
        plain.truncate(1);
        plain.extend(all.iter().map(line));
        if entry == end {
            // The head ends the log: what stands beyond it is not read as an entry of it.
            assert!(verify(&plain, &trust(&house)).is_err(), "{what}");
        } else {
            // Of entries that keep their indices the one is named that stands where another is expected.
            let named = if all[entry].index == good[entry].index { entry } else { decided };
            command_names(&house, &plain, named, what);
        }
        command_names(&house, &rewritten(&house, all, true), entry, what);
    }
}
