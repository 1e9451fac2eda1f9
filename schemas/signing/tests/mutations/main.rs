//! The walk through spoilt envelopes (C1, C3 to C6): each differs from a good one in one thing, and each is refused with a
//! code. The counts are printed and have a floor, so that the walk cannot silently shrink.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

#[path = "../keys/mod.rs"]
mod keys;

mod cose;
mod jws;
mod payload;
mod replay;
mod tokens;

use std::collections::BTreeMap;

use schemas::contract::ContractRevoke;
use schemas::{Code, Envelope, R};
use signing::verify;

/// Counts what was refused, by code.
#[derive(Default)]
pub struct Walk {
    refused: BTreeMap<Code, usize>,
}

impl Walk {
    /// Something spoilt must be refused, with one of these codes.
    pub fn refuse<T>(&mut self, what: &str, result: R<T>, codes: &[Code]) {
        let Err(refusal) = result else { panic!("{what}: taken") };
        assert!(codes.contains(&refusal.code), "{what}: {refusal}");
        *self.refused.entry(refusal.code).or_default() += 1;
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.refused.values().sum()
    }

    fn tell(&self, part: &str) {
        println!("{part}: {} mutated envelopes refused: {:?}", self.count(), self.refused);
    }
}

/// Verifies an envelope of the walk's document with a book.
pub fn judge(envelope: Envelope<ContractRevoke>, book: &keys::Book) -> R<()> {
    verify(envelope, &keys::registry(), book).map(drop)
}

/// A part of the walk: its name, itself, and how many it refuses at least.
type Part = (&'static str, fn(&mut Walk), usize);

#[test]
fn two_hundred_spoilt_envelopes_are_refused_each_with_a_code() {
    let mut walk = Walk::default();
    let mut before = 0;
    let parts: [Part; 6] = [
        ("JWS headers", jws::headers, 75),
        ("JWS keys and signatures", jws::mathematics, 60),
        ("envelopes as JSON", payload::envelopes, 12),
        ("payloads", payload::payloads, 25),
        ("COSE headers and frames", cose::headers, 50),
        ("COSE bytes and signatures", cose::bytes, 40),
    ];
    for (name, part, least) in parts {
        part(&mut walk);
        let count = walk.count() - before;
        println!("{name}: {count}");
        assert!(count >= least, "{name}: only {count} of {least}");
        before = walk.count();
    }
    walk.tell("together");
    assert!(walk.count() >= 200);
}

/// C6: every document type's signature, offered as every other type.
#[test]
fn a_signature_counts_for_its_own_document_type_only() {
    let mut walk = Walk::default();
    replay::every_type_as_every_other(&mut walk);
    walk.tell("replayed");
    assert!(walk.count() >= 800, "{}", walk.count());
}

/// C1 and C2: tokens of a header, a type or claims of another making.
#[test]
fn sixty_spoilt_tokens_are_refused() {
    let mut walk = Walk::default();
    tokens::tokens(&mut walk);
    walk.tell("tokens");
    assert!(walk.count() >= 60, "{}", walk.count());
}
