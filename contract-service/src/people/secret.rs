//! Secrets that are given out once and kept as hashes.

use schemas::text::Bytes;
use schemas::{Digest, R};

/// 256 random bits for one peer. It cannot be printed; [`Secret::text`] is for that peer's answer alone.
pub struct Secret(String);

impl Secret {
    /// Draws one.
    pub fn draw() -> R<Secret> {
        Ok(Secret(Bytes(signing::signer::random::<32>()?.to_vec()).text()))
    }

    /// What the peer is given.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept.
    pub fn sha256(&self) -> Digest {
        sha256(&self.0)
    }
}

/// The hash by which a secret is found again.
pub fn sha256(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
