//! Rules that a provider or an SRO writes in Rego: one more "and" after the rules of the house.
//!
//! A document is addressed by the SHA-256 of its bytes and named in a signed offer or contract. It sees typed [`Facts`]
//! and answers `{allow, deny, obligations}`. It may refuse, or tighten what is allowed; what the rules in Rust refused
//! never reaches it. Undefined, of the wrong type, an error, too many steps, too long: each is a refusal of its own code.
//!
//! Read in this order: [`document`] (what may be written), [`facts`] (what it sees), [`answer`] (what it may say),
//! [`evaluate`] (how it is bounded), [`judge`] (how several combine), [`cases`] (how its author tests it).
//!
//! Invariants of this room: the only crate that knows `regorus`, built without its `std` feature, so that there is no
//! file, no network, no randomness and no clock to call; the evaluator's "time" is a counter of its own steps.

pub mod answer;
pub mod cases;
pub mod document;
pub mod evaluate;
pub mod facts;
mod form;
pub mod judge;

pub use answer::{Obligations, OutputPolicy};
pub use document::{Document, Documents};
pub use facts::Facts;
pub use judge::{Verdict, judge, verdict};
