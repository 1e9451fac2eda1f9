//! The words of the house: every document, id and refusal code, and nothing that acts.
//!
//! Read in this order: [`id`], [`digest`], [`time`], [`canonical`], [`envelope`], then the nouns of an agreement
//! ([`party`], [`dataset`], [`contract`], [`pipeline`], [`job`]), then the walk of a run ([`evidence`], [`release`],
//! [`worker`], [`event`], [`certificate`]), then the [`log`] and the codes of [`problem`].
//!
//! Invariants of this room: no I/O, no clock, no randomness, no signature check. Unknown members are refused
//! everywhere; no document holds a float; times are RFC 3339 in UTC; money is integer minor units.

pub mod bucket;
pub mod bundle;
pub mod canonical;
pub mod certificate;
pub mod contract;
pub mod dataset;
pub mod depa;
pub mod desk;
pub mod digest;
pub mod dispute;
pub mod envelope;
pub mod event;
pub mod evidence;
pub mod id;
pub mod job;
pub mod jwk;
pub mod lineage;
pub mod log;
pub mod metrics;
pub mod money;
pub mod network;
pub mod own_release;
pub mod party;
pub mod payout;
pub mod person;
pub mod pipeline;
pub mod platform;
pub mod privacy;
pub mod problem;
pub mod recipe;
pub mod release;
pub mod renewal;
pub mod rules;
pub mod statistics;
pub mod term;
pub mod text;
pub mod time;
pub mod trees;
pub mod weights;
pub mod worker;

pub use digest::Digest;
pub use envelope::{Document, Entered, Envelope, KeyBook, PartySignature, Signed, Signer};
pub use problem::{Code, R, Refusal};
pub use time::Timestamp;
