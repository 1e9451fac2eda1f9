//! The one place that verifies a document's signature, or imports josekit.
//!
//! Documents are signed as JWS (RFC 7515) over RFC 8785 bytes or as COSE (RFC 9052) over bytes as they came, one
//! signature per party, each verified ([`document`], [`check`]). Keys travel as JWE (RFC 7516, ECDH-ES+A256KW with A256GCM) through josekit behind [`jose`].
//!
//! [`verify`] makes [`Signed`], [`entered`] makes [`Entered`], [`verify_body`] marks a log body: nobody else does,
//! so a step that was forgotten does not compile. Nothing here reads a clock; randomness is drawn for new keys only.

pub mod body;
pub mod book;
pub mod cbor;
pub mod check;
pub mod cose;
pub mod did;
pub mod document;
pub mod dpop;
pub mod ear;
pub mod ec_key;
pub mod event;
pub mod guest;
mod header;
pub mod jose;
pub mod jws;
pub mod lineage;
pub mod note;
pub mod quorum;
pub mod scitt;
pub mod signer;
pub mod tlog_proof;
pub mod token;
pub mod webhook;

pub use body::{assembled, verify_body};
pub use book::{OpenedBundle, Trust, open_bundle};
pub use document::{verify, verify_by};
pub use ec_key::EcKey;
pub use jws::{countersign, sign};
pub use lineage::{CheckpointKeys, Lineage};
pub use note::{entered, verify_receipt};
pub use quorum::witnessed;
pub use schemas::{Entered, KeyBook, Signed, Signer};
pub use signer::FileKey;
