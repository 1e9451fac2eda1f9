//! The stream that noise is drawn from: AES-256 in counter mode (NIST SP 800-38A 6.5) under a key that is used for
//! nothing else, counting from 0, blocks and numbers little end first.
//!
//! Noise takes eight bytes for every parameter in every step. Counter mode on the CPU's own AES gives them in a tenth of
//! a step's time; without such instructions the same bytes come slower, in constant time too. As a permutation it never
//! repeats a block: n blocks are told from true randomness with an advantage of at most n²/2^129, which for a million
//! parameters and a million steps, each step and parameter under its own key, is below 2^−70 in all.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256, Block};
use chacha20::rand_core::{Infallible, TryCryptoRng, TryRng};
use zeroize::{Zeroize, Zeroizing};

/// Numbers that are made at once.
pub const WORDS: usize = 256;

/// A stream of noise. It is read in whole blocks of numbers or number by number; what one reading takes, the other
/// leaves out.
pub struct NoiseStream {
    cipher: Aes256,
    /// Blocks made so far: the next counter.
    made: u64,
    blocks: [Block; WORDS / 2],
    words: Zeroizing<[u64; WORDS]>,
    next: usize,
}

impl NoiseStream {
    /// The stream of a key.
    pub fn new(key: &[u8; 32]) -> NoiseStream {
        let (blocks, words) = ([Block::default(); WORDS / 2], Zeroizing::new([0; WORDS]));
        NoiseStream { cipher: Aes256::new(key.into()), made: 0, blocks, words, next: WORDS }
    }

    /// The next block of numbers that nobody has read.
    pub fn fill(&mut self, words: &mut [u64; WORDS]) {
        for (block, counter) in self.blocks.iter_mut().zip(self.made..) {
            *block = u128::from(counter).to_le_bytes().into();
        }
        self.made += (WORDS / 2) as u64;
        self.cipher.encrypt_blocks(&mut self.blocks);
        for (pair, block) in words.chunks_exact_mut(2).zip(&self.blocks) {
            let both = u128::from_le_bytes((*block).into());
            pair.copy_from_slice(&[both as u64, (both >> 64) as u64]);
        }
    }
}

impl Drop for NoiseStream {
    fn drop(&mut self) {
        self.blocks.iter_mut().for_each(|block| block.as_mut_slice().zeroize());
    }
}

impl TryRng for NoiseStream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if self.next >= WORDS {
            let mut words = Zeroizing::new([0; WORDS]);
            self.fill(&mut words);
            (self.words, self.next) = (words, 0);
        }
        let word = self.words.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        Ok(word)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            part.iter_mut().zip(word).for_each(|(byte, drawn)| *byte = drawn);
        }
        Ok(())
    }
}

impl TryCryptoRng for NoiseStream {}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::Rng;

    use super::*;

    #[test]
    fn the_first_block_is_aes_256_of_zero_under_the_zero_key() {
        let mut bytes = [0; 16];
        NoiseStream::new(&[0; 32]).fill_bytes(&mut bytes);
        assert_eq!(bytes, 0xdc95_c078_a240_8989_ad48_a214_9284_2087_u128.to_be_bytes());
    }

    #[test]
    fn no_number_is_read_twice() {
        let mut stream = NoiseStream::new(&[7; 32]);
        let (mut seen, mut words) = (Vec::new(), [0; WORDS]);
        for _ in 0..3 {
            stream.fill(&mut words);
            seen.extend(words);
            seen.extend((0..WORDS + 3).map(|_| stream.next_u64()));
        }
        let mut other = NoiseStream::new(&[8; 32]);
        seen.extend((0..1_000).map(|_| other.next_u64()));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
