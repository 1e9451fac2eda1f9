//! The five bundles of real Azure confidential VMs.

use std::fs;

use schemas::Digest;

use super::*;
use crate::{appraise, bound_to_transcript};

pub const BUNDLES: [&str; 5] = [
    "genoa-v3-trustee",
    "milan-v3-cleanroom-encryption",
    "milan-v3-cleanroom-signing",
    "milan-v3-trustee-v1",
    "milan-v3-trustee-v2",
];

/// What the makers of a bundle bound: nothing, the digest of a key, or the nonce.
fn recorded_user_data(name: &str, nonce: &[u8]) -> [u8; 64] {
    match fs::read(data(name).join("bound_pubkey.pem")) {
        Ok(key) => padded(&Digest::of(&key).0),
        Err(_) if name == "milan-v3-trustee-v2" => padded(nonce),
        Err(_) => [0; 64],
    }
}

pub fn recorded(name: &str) -> (Evidence, Expected) {
    let (evidence, nonce) = bundle(name);
    let user_data = recorded_user_data(name, &nonce);
    (evidence, Expected::recorded(nonce, user_data))
}

#[test]
fn five_real_machines_meet_baseline() {
    for name in BUNDLES {
        let (evidence, expected) = recorded(name);
        let appraisal = appraise(&evidence, &expected, &production(), now());
        accepted(&appraisal);
        assert!(!bound_to_transcript(&appraisal), "recorded evidence opens no key");
        let judged = appraisal.checks.iter().filter(|c| c.verdict == Verdict::Pass).count();
        println!("{name}: accepted, {judged} checks passed, {} not evaluated", CHECKS.len() - judged);
    }
}

#[test]
fn real_machines_without_our_transcript_open_nothing() {
    let expected = Expected::from_transcript(&transcript(), &azure_set()).unwrap();
    for name in BUNDLES {
        let appraisal = appraise(&bundle(name).0, &expected, &production(), now());
        let failed = appraisal.failed();
        for check in ["user_data", "quote_nonce", "job_pcr"] {
            assert!(failed.contains(&check), "{name}: {failed:?}");
        }
        assert!(!appraisal.accepted);
    }
}

#[test]
fn an_image_set_is_compared_with_a_real_machine() {
    let (evidence, expected) = recorded("milan-v3-trustee-v2");
    let expected = expected.with_image_set(&azure_set()).unwrap();
    accepted(&appraise(&evidence, &expected, &production(), now()));
    // Milan of another paravisor release and another boot.
    let (other, nonce) = recorded("milan-v3-trustee-v1");
    let expected = Expected::recorded(nonce.nonce, [0; 64]).with_image_set(&azure_set()).unwrap();
    let appraisal = appraise(&other, &expected, &production(), now());
    assert!(appraisal.failed().contains(&"measurement"), "{}", faults(&appraisal));
}

#[test]
fn later_levels_ask_more() {
    let (genoa, expected) = recorded("genoa-v3-trustee");
    let policy = |name| PlatformPolicy::new(Profile::Production, Level::named(name).unwrap(), Vec::new());
    refused(&appraise(&genoa, &expected, &policy("2026"), now()), &["tcb_minimum"]);
    refused(&appraise(&genoa, &expected, &policy("strict"), now()), &["tcb_minimum", "guest_policy", "platform_info"]);
    let (milan, expected) = recorded("milan-v3-trustee-v2");
    accepted(&appraise(&milan, &expected, &policy("2026"), now()));
    refused(&appraise(&milan, &expected, &policy("strict"), now()), &["product", "guest_policy", "platform_info"]);
    assert!(Level::named("lax").is_err());
}

#[test]
fn certificates_have_their_time_and_place() {
    let (evidence, expected) = recorded("milan-v3-trustee-v2");
    for time in ["2024-01-01T00:00:00Z", "2032-02-01T00:00:00Z"] {
        let appraisal = appraise(&evidence, &expected, &production(), Timestamp::parse(time).unwrap());
        refused(&appraisal, &["chain_validity"]);
    }
    let mut genoa_roots = evidence.clone();
    genoa_roots.certificates = chain(&data("milan-v3-trustee-v2/vcek.der"), "genoa");
    refused(
        &appraise(&genoa_roots, &expected, &production(), now()),
        &["product", "chain_form", "chain_signatures", "vcek_form"],
    );
    let mut other_chip = evidence.clone();
    other_chip.certificates = chain(&data("milan-v3-trustee-v1/vcek.der"), "milan");
    refused(&appraise(&other_chip, &expected, &production(), now()), &["signature", "hwid"]);
    let mut unordered = evidence.clone();
    unordered.certificates.reverse();
    assert!(appraise(&unordered, &expected, &production(), now()).failed().contains(&"chain_root"));
    let mut few = evidence.clone();
    few.certificates.pop();
    refused(&appraise(&few, &expected, &production(), now()), &["size"]);
    let mut as_software = evidence;
    as_software.kind = EvidenceKind::Software;
    let failed = appraise(&as_software, &expected, &production(), now());
    assert!(["profile", "chain_root", "poison"].iter().all(|c| failed.failed().contains(c)));
}

/// One bit of every byte: envelope with its reserved bytes and padding, report, quote, signature and PCRs of all five
/// rooms; of the certificates, whose signatures are the slow part, every `step`-th byte.
fn flip(step: usize) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for name in BUNDLES {
        let (evidence, expected) = recorded(name);
        let policy = production();
        let mut places = Vec::new();
        for (part, bytes) in parts(&mut evidence.clone()).iter().enumerate() {
            let step = if part < 3 { step } else { 1 };
            places.extend((0..bytes.len()).step_by(step).map(|at| (part, at)));
        }
        let judge = |(part, at): (usize, usize)| {
            let mut spoilt = evidence.clone();
            // Both versions of the envelope are legal, so bits that stay among them are left alone.
            let bit = if part == 3 && at == 4 { 4 } else { at % 8 };
            parts(&mut spoilt)[part][at] ^= 1 << bit;
            let appraisal = appraise(&spoilt, &expected, &policy, now());
            assert!(!appraisal.accepted && !appraisal.failed().is_empty(), "{name}: part {part}, byte {at}");
        };
        std::thread::scope(|scope| {
            for share in places.chunks(places.len().div_ceil(threads)) {
                scope.spawn(move || share.iter().copied().for_each(judge));
            }
        });
        println!("{name}: {} changed bytes refused", places.len());
    }
}

#[test]
fn every_byte_of_five_real_bundles_counts() {
    flip(41);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn every_byte_of_their_certificates_counts() {
    flip(1);
}
