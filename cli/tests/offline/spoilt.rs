//! Spoilt exports: one thing at a time, each a failed verification that names the entry where it can.

use schemas::event::Body;
use schemas::text::Bytes;
use schemas::{Code, Digest};

use crate::house::House;
use crate::{entry, failed, line, lines, lived_in, trust, verify};

/// One bit flipped, at some places of every line.
#[test]
fn no_flipped_bit_passes() {
    let house = lived_in();
    let (good, trust) = (lines(&house), trust(&house));
    let mut named = 0;
    let mut all = 0;
    for (n, whole) in good.iter().enumerate() {
        // Different places in every line, so that over the export all members are met.
        for k in 0..4 {
            let at = (k * whole.len() / 4 + 7 * n) % (whole.len() - 1);
            let mut spoilt = good.clone();
            spoilt[n][at] ^= 1 << ((n + k) % 7);
            let refusal = failed(verify(&spoilt, &trust));
            all += 1;
            named += usize::from(n > 0 && refusal.sentence.contains(&format!("entry {}", n - 1)));
        }
    }
    // A record that was changed as a whole shows in the root alone; everything else names its entry.
    assert!(named * 100 >= all * 85, "{named} of {all} name their entry");
}

#[test]
fn the_head_is_checked_like_everything_else() {
    let house = lived_in();
    let (good, trust) = (lines(&house), trust(&house));
    for at in 0..good[0].len() - 1 {
        let mut spoilt = good.clone();
        spoilt[0][at] ^= 2;
        failed(verify(&spoilt, &trust));
    }
}

#[test]
fn entries_dropped_doubled_swapped_or_added_are_found() {
    let house = lived_in();
    let (good, trust) = (lines(&house), trust(&house));
    let last = good.len() - 1;
    for n in 1..=last {
        let mut dropped = good.clone();
        dropped.remove(n);
        let refusal = failed(verify(&dropped, &trust));
        // Either the entry that is missing is named, or the one that stands in its place.
        let names = |entry: usize| refusal.sentence.contains(&format!("entry {entry}:"));
        assert!(names(n - 1) || names(n), "{n}: {refusal}");
        let mut doubled = good.clone();
        doubled.insert(n, good[n].clone());
        failed(verify(&doubled, &trust));
        if n < last {
            let mut swapped = good.clone();
            swapped.swap(n, n + 1);
            failed(verify(&swapped, &trust));
        }
    }
    let cut = &good.concat()[..good.concat().len() - 5];
    failed(depa::audit::verify(&mut &cut[..], &trust, &depa::audit::Options::default(), crate::now()));
    failed(depa::audit::verify(&mut &b""[..], &trust, &depa::audit::Options::default(), crate::now()));
}

/// The same document in another spelling is no export.
#[test]
fn other_spellings_are_refused() {
    let house = House::furnished();
    let (good, trust) = (lines(&house), trust(&house));
    let text = String::from_utf8(good[3].clone()).unwrap();
    for other in [
        text.replacen('{', "{ ", 1),
        text.replacen("\"index\":2", "\"index\":2.0", 1),
        text.replacen("\"index\":2", "\"index\":2,\"index\":2", 1),
        text.replacen("\"index\":2", "\"extra\":1,\"index\":2", 1),
        text.replacen('\n', "\r\n", 1),
        format!("\n{text}"),
    ] {
        assert_ne!(other, text);
        let mut spoilt = good.clone();
        spoilt[3] = other.into_bytes();
        let refusal = failed(verify(&spoilt, &trust));
        assert!(refusal.sentence.contains("entry 2"), "{refusal}");
    }
}

/// Whoever rewrites bodies together with their records is caught by signatures, chain or root.
#[test]
fn consistent_rewrites_are_found() {
    let house = lived_in();
    let (good, trust) = (lines(&house), trust(&house));
    for n in 1..good.len() {
        let original = entry(&good[n]);
        let mut salted = original.clone();
        salted.body_salt = Bytes(vec![9; 32]);
        salted.record.body_sha256 = schemas::log::body_digest(&[9; 32], &salted.body).unwrap();
        let mut later = original.clone();
        later.record.at = later.record.at.plus_seconds(1);
        for rewritten in [salted, later] {
            let mut spoilt = good.clone();
            spoilt[n] = line(&rewritten);
            failed(verify(&spoilt, &trust));
        }
    }
    // An amount changed in the obligations, with a record to match.
    let n = good.iter().skip(1).position(|l| matches!(entry(l).body, Body::RunCompleted { .. })).unwrap() + 1;
    let mut changed = entry(&good[n]);
    let Body::RunCompleted { obligations, .. } = &mut changed.body else { panic!("another body") };
    obligations[0].amount_minor = schemas::money::Minor::new(1).unwrap();
    let salt: [u8; 32] = changed.body_salt.0.clone().try_into().unwrap();
    changed.record.body_sha256 = schemas::log::body_digest(&salt, &changed.body).unwrap();
    let mut spoilt = good.clone();
    spoilt[n] = line(&changed);
    let refusal = failed(verify(&spoilt, &trust));
    assert_eq!(refusal.code, Code::LogTampered);
    assert!(
        refusal.sentence.contains(&format!("entry {}", n - 1)) && refusal.sentence.contains("COMPLETION_MISMATCH"),
        "{refusal}"
    );
    // A signature left out of an executed contract.
    let n = good.iter().skip(1).position(|l| matches!(entry(l).body, Body::ContractExecuted { .. })).unwrap() + 1;
    let mut fewer = entry(&good[n]);
    let Body::ContractExecuted { contract } = &mut fewer.body else { panic!("another body") };
    contract.signatures.pop();
    let salt: [u8; 32] = fewer.body_salt.0.clone().try_into().unwrap();
    fewer.record.body_sha256 = schemas::log::body_digest(&salt, &fewer.body).unwrap();
    let mut spoilt = good.clone();
    spoilt[n] = line(&fewer);
    assert!(failed(verify(&spoilt, &trust)).sentence.contains(&format!("entry {}", n - 1)));
    assert_ne!(Digest::of(&good[n]), Digest::of(&spoilt[n]));
}
