//! The bodies of the fuzz targets over a fixed corpus and seeded changes of it.

use super::*;
use crate::fuzz;

/// A small generator with a fixed seed.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    /// Cuts, grows, overwrites or doubles.
    pub fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(4) {
            let at = self.next(bytes.len() + 1);
            match self.next(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next(256) as u8),
                2 => bytes.splice(at..at, std::iter::repeat_n(0xff, 9)).for_each(drop),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = [0, 1, 0x7f, 0x80, 0xff, 0x82][self.next(6)];
                    }
                }
            }
        }
    }
}

type Body = fn(&[u8]);

/// Each target with its corpus, of the recorded rooms and of this repository's files.
fn targets() -> Vec<(&'static str, Body, Vec<Vec<u8>>)> {
    let rooms: Vec<Evidence> = recorded::BUNDLES.iter().map(|name| bundle(name).0).collect();
    let quote = |e: &Evidence| e.quote.as_ref().unwrap().message.0.clone();
    let mut certificates: Vec<Vec<u8>> = rooms.iter().flat_map(|e| &e.certificates).map(|c| c.0.clone()).collect();
    certificates.extend(rooms.iter().filter_map(|e| e.ak_certificate.clone()).map(|c| c.0));
    let json = |e: &Evidence| serde_json::to_vec(e).unwrap();
    vec![
        ("hcl", fuzz::hcl, rooms.iter().map(|e| e.report.0.clone()).collect()),
        ("report", fuzz::report, rooms.iter().map(|e| e.report.0[32..1216].to_vec()).collect()),
        ("quote", fuzz::quote, rooms.iter().map(quote).collect()),
        ("certificate", fuzz::certificate, certificates.clone()),
        ("crl", fuzz::crl, certificates),
        ("platform_data", fuzz::platform_data, vec![include_bytes!("../../data/amd.json").to_vec()]),
        ("evidence", fuzz::evidence, rooms.iter().map(json).collect()),
    ]
}

fn run(rounds: usize) {
    for (name, body, corpus) in targets() {
        corpus.iter().for_each(|seed| body(seed));
        body(&[]);
        // The last two read much more text than the others.
        let rounds = if matches!(name, "evidence" | "platform_data") { rounds / 20 } else { rounds };
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut bytes = corpus[round % corpus.len()].clone();
            noise.spoil(&mut bytes);
            body(&bytes);
        }
        println!("{name}: {} seeds, {rounds} changes", corpus.len());
    }
}

#[test]
fn fuzz_targets_hold_over_their_corpus() {
    run(4_000);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn fuzz_targets_hold_at_length() {
    run(400_000);
}

/// Each target of the fuzz folder calls one body, and each body has its target.
#[test]
fn fuzz_folder_and_bodies_are_the_same_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _, _) in targets() {
        let target = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("attestation::fuzz::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    assert_eq!(fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), targets().len());
}
