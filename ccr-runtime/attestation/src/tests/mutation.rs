//! Changed bytes and noise: nothing that enters the verdict changes unnoticed, and nothing panics.

use super::fakes::{Fake, expected, world};
use super::fuzzed::Noise;
use super::*;
use crate::appraise;
use crate::snp::certificate::Certificate;
use crate::snp::hcl::Hcl;
use crate::snp::quote::Attest;
use crate::snp::report::Report;

/// One bit of every byte of software evidence, certificates included.
#[test]
fn every_byte_of_software_evidence_counts() {
    let evidence = Fake::honest().build();
    let (expected, mut tried) = (expected(), 0);
    for part in 0..parts(&mut evidence.clone()).len() {
        for at in 0..parts(&mut evidence.clone())[part].len() {
            let mut spoilt = evidence.clone();
            parts(&mut spoilt)[part][at] ^= 1 << (at % 8);
            let appraisal = appraise(&spoilt, &expected, &world().policy, now());
            assert!(!appraisal.accepted && !appraisal.failed().is_empty(), "part {part}, byte {at}");
            tried += 1;
        }
    }
    println!("{tried} changed bytes refused");
}

/// The HCL version is outside the verdict: nothing signs it and both values are legal.
#[test]
fn the_envelope_version_enters_no_verdict() {
    let mut evidence = Fake::honest().build();
    evidence.report.0[4] = 1;
    accepted(&appraise(&evidence, &expected(), &world().policy, now()));
    evidence.report.0[4] = 3;
    refused(&appraise(&evidence, &expected(), &world().policy, now()), &["hcl_form"]);
}

#[test]
fn noise_is_refused_without_panic() {
    noise(20_000, 1_500);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn much_noise_is_refused_without_panic() {
    noise(1_000_000, 60_000);
}

fn noise(parsings: u32, appraisals: u32) {
    let evidence = Fake::honest().build();
    let (expected, mut noise) = (expected(), Noise(0x9e37_79b9_7f4a_7c15));
    let mut seeds = evidence.clone();
    for _ in 0..parsings {
        for bytes in parts(&mut seeds).iter_mut().take(5) {
            let mut spoilt = bytes.clone();
            noise.spoil(&mut spoilt);
            let _ = Certificate::read(&spoilt).map(|c| c.facts());
            let _ = Hcl::read(&spoilt);
            let _ = Report::read(&spoilt).map(|r| r.reserved_is_zero());
            let _ = Attest::read(&spoilt);
        }
    }
    for round in 0..appraisals {
        let mut spoilt = evidence.clone();
        {
            let mut all = parts(&mut spoilt);
            let part = if round % 2 == 0 { 3 } else { noise.next(all.len()) };
            noise.spoil(all[part]);
        }
        let same = spoilt == evidence;
        let appraisal = appraise(&spoilt, &expected, &world().policy, now());
        well_formed(&appraisal);
        // Zeros behind the runtime data are padding.
        let padded = spoilt.report.0.strip_prefix(evidence.report.0.as_slice()).is_some();
        assert!(!appraisal.accepted || same || padded, "round {round}");
    }
    let empty = Evidence {
        kind: EvidenceKind::Software,
        report: Bytes(Vec::new()),
        quote: None,
        certificates: Vec::new(),
        ak_certificate: None,
    };
    refused(&appraise(&empty, &expected, &world().policy, now()), &["size"]);
}
