//! Objects that fit in memory: sealed and opened whole, so nothing of an object with a fault is ever handed out.

use std::io::{Cursor, Read};

use schemas::id::RunId;
use schemas::{Digest, R};
use zeroize::Zeroizing;

use crate::header::{DEFAULT_CHUNK, MAX_HEADER, Subject, TAG_LEN};
use crate::key::DatasetKey;
use crate::manifest::Manifest;
use crate::open::Opener;
use crate::seal::{Plan, seal};

/// A sealed object in memory.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The object.
    pub bytes: Vec<u8>,
    /// Its list of leaves.
    pub manifest: Manifest,
}

/// Seals bytes in chunks of `chunk` bytes.
pub fn seal_bytes(plaintext: &[u8], key: &DatasetKey, subject: &Subject, chunk: u32) -> R<Sealed> {
    let plan = Plan { subject: subject.clone(), total_len: plaintext.len() as u64, chunk_len: chunk };
    let tags = plaintext.len() / chunk.max(16) as usize * TAG_LEN;
    let mut bytes = Vec::with_capacity(plaintext.len().saturating_add(tags).saturating_add(2 * MAX_HEADER));
    let written = seal(plaintext, &mut bytes, key, &plan)?;
    Ok(Sealed { bytes, manifest: written.manifest })
}

/// Seals the model of a run under a content key of its own, which is drawn here and used for nothing else.
pub fn seal_model(model: &[u8], run: &RunId) -> R<(Sealed, DatasetKey)> {
    let key = DatasetKey::random()?;
    let sealed = seal_bytes(model, &key, &Subject::Model { run: run.clone() }, DEFAULT_CHUNK)?;
    Ok((sealed, key))
}

/// Opens an object with the list of leaves that lies beside it; see [`Opener::new`] for what is checked.
pub fn open_bytes(
    container: &[u8],
    manifest: &Manifest,
    expected_root: &Digest,
    key: &DatasetKey,
    expected: &Subject,
) -> R<Zeroizing<Vec<u8>>> {
    whole(Opener::new(container, manifest.clone(), expected_root, key, expected)?, container.len())
}

/// Opens an object when no list is at hand: the leaves are made from the object, and their root is checked first.
pub fn open_with_recomputed_manifest(
    container: &[u8],
    expected_root: &Digest,
    key: &DatasetKey,
    expected: &Subject,
) -> R<Zeroizing<Vec<u8>>> {
    whole(Opener::recomputing(Cursor::new(container), expected_root, key, expected)?, container.len())
}

/// Opens the model of a run. Tags and key commitment cover every byte of it; that it is the model which the
/// completion names, the caller checks before by the SHA-256 of the container.
pub fn open_model(container: &[u8], key: &DatasetKey, run: &RunId) -> R<Zeroizing<Vec<u8>>> {
    whole(Opener::unlisted(container, key, &Subject::Model { run: run.clone() })?, container.len())
}

fn whole(mut opener: Opener<impl Read>, container_len: usize) -> R<Zeroizing<Vec<u8>>> {
    // The plaintext is smaller than the container, whatever the header says: the vector never moves.
    let mut plain = Zeroizing::new(Vec::with_capacity(container_len));
    while let Some(chunk) = opener.next_chunk()? {
        plain.extend_from_slice(chunk);
    }
    Ok(plain)
}
