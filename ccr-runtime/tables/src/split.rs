//! The row-wise split: each principal's part follows from the principal and the job's public salt alone.
//!
//! A row is trained on if, and only if, the first eight bytes of HMAC-SHA256(key = salt, message = the principal's cell
//! in UTF-8, as it stands in the table), read as a big-endian number, are below ⌊train_ppm · 2^64 / 10^6⌋. Whoever owns
//! the plaintext can recompute it outside the room.

use hmac::{Hmac, KeyInit, Mac};
use schemas::R;
use sha2::Sha256;

use crate::fault::internal;

/// The split of one job.
pub struct Split {
    keyed: Hmac<Sha256>,
    threshold: u128,
}

impl Split {
    /// A split with a public salt and the training part in parts per million.
    pub fn new(salt: &[u8], train_ppm: u32) -> R<Split> {
        let keyed = Hmac::new_from_slice(salt).map_err(|_| internal("the split's salt has a wrong size"))?;
        Ok(Split { keyed, threshold: (u128::from(train_ppm) << 64) / 1_000_000 })
    }

    /// Whether the principal's row is trained on; otherwise it is held out.
    pub fn trains(&self, principal: &str) -> R<bool> {
        let tag = self.keyed.clone().chain_update(principal.as_bytes()).finalize().into_bytes();
        let first = tag.first_chunk::<8>().ok_or_else(|| internal("a tag has 32 bytes"))?;
        Ok(u128::from(u64::from_be_bytes(*first)) < self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_follows_its_definition() {
        // HMAC-SHA256 with 32 zero bytes as key, made with another implementation:
        // python3 -c "import hmac;print(hmac.new(bytes(32),b'alice','sha256').hexdigest()[:16])"
        let thresholds = [("alice", ALICE), ("629434961", NUMBER)];
        for (principal, first) in thresholds {
            let ppm = ((u128::from(first) * 1_000_000) >> 64) as u32;
            assert!(!Split::new(&[0; 32], ppm).unwrap().trains(principal).unwrap());
            assert!(Split::new(&[0; 32], ppm + 1).unwrap().trains(principal).unwrap());
        }
    }

    #[test]
    fn shares_are_as_asked() {
        let share = |ppm| {
            let split = Split::new(&[7; 32], ppm).unwrap();
            (0..20_000).filter(|i| split.trains(&i.to_string()).unwrap()).count()
        };
        assert_eq!(share(1_000_000), 20_000);
        assert!((share(800_000) as i64 - 16_000).abs() < 250);
    }

    const ALICE: u64 = 0xce38_37f7_6a54_a635;
    const NUMBER: u64 = 0x8ff8_8c1e_5865_bec4;
}
