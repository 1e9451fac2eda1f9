//! Ed25519 keys that were decoded and found good, kept for the next signature: decoding a point and judging it is a
//! third of the work of a verification.

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use ed25519_dalek::VerifyingKey;

/// The most keys kept. When they are that many, all are let go: at about 200 bytes each the memory stays under 2 MiB.
const MOST: usize = 8192;

static KEYS: LazyLock<RwLock<HashMap<[u8; 32], VerifyingKey>>> = LazyLock::new(RwLock::default);

/// The key with these canonical bytes, if it passed every check before.
pub(super) fn get(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    KEYS.read().ok()?.get(bytes).copied()
}

/// Remembers a key that passed every check. A poisoned lock only means that nothing is remembered.
pub(super) fn put(bytes: [u8; 32], key: VerifyingKey) {
    if let Ok(mut keys) = KEYS.write() {
        if keys.len() >= MOST {
            keys.clear();
        }
        keys.insert(bytes, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        for i in 0..=MOST as u64 {
            let mut name = [0xff; 32];
            name[..8].copy_from_slice(&i.to_be_bytes());
            put(name, key);
            assert!(KEYS.read().unwrap().len() <= MOST);
        }
    }
}
