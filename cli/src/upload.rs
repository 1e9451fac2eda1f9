//! Upload: a sealed object goes where rooms will fetch it from.

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::Path;

use objects::Objects;
use schemas::{Code, Digest, R, Refusal};
use sealing::Manifest;

use crate::edge;

/// Puts the object of this manifest root at an address where nothing stands yet. Another object than the one that was
/// sealed is refused before the first byte (`SEALED_WRONG_OBJECT`). It is read twice and never held whole.
pub fn upload(object: &Path, root: &Digest, url: &str, reach: &Objects) -> R<u64> {
    let mut file = File::open(object).map_err(|e| edge::file_fault(object, e))?;
    let (header, manifest) = Manifest::recompute(BufReader::new(&file))?;
    if &manifest.root() != root {
        let sentence = format!("{} is not the object that the record is of", object.display());
        return Err(Refusal::new(Code::SealedWrongObject, sentence));
    }
    file.rewind().map_err(|e| edge::file_fault(object, e))?;
    let bytes = header.container_len();
    reach.write_new(url, &mut file, bytes)?;
    Ok(bytes)
}
