//! DEPA-C1: the container in which a dataset leaves its provider and a model leaves the clean room.
//!
//! On disk: `DEPA-C1\n`, the length of the header (u32, big endian), the header (canonical JSON, [`header`]), then the
//! chunks, each with its 16-byte tag. Chunk *i* is AES-256-GCM in the STREAM layout: nonce = 7-byte prefix ‖ u32 *i*
//! (big endian) ‖ last flag, associated data = the whole header. The GCM is OpenSSL's.
//!
//! Keys: the data key ([`DatasetKey`]) never encrypts. Each object has its own key, HKDF-SHA-256(data key, salt of the
//! object, `depa/obj/1` ‖ SHA-256(header without commitment)), and its header holds a key commitment made by the same
//! derivation under another label, since GCM does not commit to its key.
//!
//! Beside the data lies the list of leaves ([`Manifest`]); the root over it stands in the signed offer and in the
//! contract. [`Opener`] hands out no byte of a chunk before that chunk's leaf and tag are checked.
//!
//! Refusals of this room, one code for each fault:
//!
//! | code | meaning |
//! |---|---|
//! | `SEALED_FORM` | not a DEPA-C1 object, a header or manifest with another spelling, or bytes after the last chunk |
//! | `SEALED_TRUNCATED` | the object ends early |
//! | `SEALED_WRONG_OBJECT` | another dataset, version, run or kind than expected, or a key that is not this object's |
//! | `SEALED_TAMPERED` | a leaf, the root or a tag does not fit |

mod bytes;
mod cipher;
pub mod gate;
pub mod header;
mod key;
mod manifest;
#[cfg(feature = "measure")]
pub mod measure;
mod open;
mod seal;
pub mod wrap;

pub use bytes::{Sealed, open_bytes, open_model, open_with_recomputed_manifest, seal_bytes, seal_model};
pub use header::{DEFAULT_CHUNK, Header, MAX_CHUNK, MAX_CHUNKS, Subject};
pub use key::DatasetKey;
pub use manifest::{Manifest, manifest_path};
pub use open::Opener;
pub use seal::{Plan, Written, seal};
