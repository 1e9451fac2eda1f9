//! `depa`: the participants' hand. The library does the work, typed in and typed out, and prints nothing; the binary
//! reads arguments and prints. The demo and the tests act through this library, as users do through the binary.
//!
//! One noun, one module. Read [`party`], [`dataset`], [`contract`], [`job`], [`run`], [`model`] in this order for the walk
//! of a participant, then [`ccr`], [`webhook`] and [`audit`]; [`attest`] judges saved evidence, [`policy`] tests
//! rules documents, [`login`] asks who one is, [`kms`] is for who runs a key service; [`train`] rehearses on samples, [`scenario`] brings some. [`edge`]
//! holds clock, random ids and files, [`table`] shows lists: functions elsewhere take `now` and what was drawn.
//!
//! Invariants of this room: SQL is parsed in [`sql`] alone; no data key touches the disk; whatever a service answers is
//! verified under the pinned trust before it is signed, run or paid for; no existing file is overwritten.

pub mod attest;
pub mod audit;
pub mod ccr;
pub mod contract;
pub mod dataset;
pub mod doctor;
pub mod edge;
pub mod exit;
pub mod fetch;
pub mod image_set;
pub mod job;
pub mod keys;
pub mod kms;
pub mod log;
pub mod login;
pub mod model;
pub mod model_card;
pub mod next_step;
pub mod paper;
pub mod party;
pub mod payment;
pub mod policy;
pub mod profile;
pub mod run;
pub mod scenario;
pub mod sql;
pub mod sro;
pub mod table;
pub mod train;
pub mod trust;
pub mod upload;
pub mod webhook;
pub mod weights;
