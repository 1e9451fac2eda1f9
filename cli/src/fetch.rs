//! Sealed objects by their address: a file anywhere, `https:`, `http:` on loopback, or a bucket that a file of stores
//! lists; bounded, without redirects.

use std::path::Path;

use objects::{Files, Objects, Patience, Stores};
use schemas::{Code, R, Refusal};

/// Everything that a person's own command line reaches, with the buckets of this file.
pub fn reach(stores: Option<&Path>) -> R<Objects> {
    let stores = stores.map(Stores::load).transpose()?.unwrap_or_default();
    Ok(Objects { files: Files::Anywhere, loopback: true, stores, patience: Patience::default() })
}

/// Reads an object of exactly `bytes` bytes.
pub fn fetch(url: &str, bytes: u64, reach: &Objects) -> R<Vec<u8>> {
    let other = || {
        let sentence = format!("{} does not have the {bytes} bytes that it should", objects::place(url));
        Refusal::new(Code::SealedTruncated, sentence)
    };
    // One that says it is longer is another one too.
    let longer = |refusal: Refusal| if refusal.code == Code::LimitExceeded { other() } else { refusal };
    let object = reach.read(url, bytes).map_err(longer)?;
    if object.len() as u64 == bytes { Ok(object) } else { Err(other()) }
}
