//! For measurements alone (feature `measure`): the AEAD stage of opening by itself, without leaves and without reading.

use schemas::R;
use schemas::id::RunId;

use crate::cipher::ChunkCipher;
use crate::header::{Draw, Subject, TAG_LEN, draft};
use crate::key::DatasetKey;
use crate::{Header, Plan};

/// One sealed chunk of zeros under a key that nobody keeps, opened as often as asked.
pub struct AeadStage {
    header: Header,
    cipher: ChunkCipher,
    sealed: Vec<u8>,
    buffer: Vec<u8>,
}

impl AeadStage {
    /// An object of one chunk of `chunk_len` bytes, 16 to [`crate::MAX_CHUNK`].
    pub fn new(run: &RunId, chunk_len: u32) -> R<AeadStage> {
        let key = DatasetKey::random()?;
        let plan = Plan { subject: Subject::Model { run: run.clone() }, total_len: chunk_len.into(), chunk_len };
        let drawn = draft(&plan.subject, plan.chunk_len, plan.total_len, Draw::random()?)?;
        let (header, mut cipher) = ChunkCipher::to_seal(drawn, &key)?;
        let mut sealed = vec![0; chunk_len as usize];
        cipher.seal(&header, 0, &mut sealed)?;
        let cipher = ChunkCipher::to_open(&header, &key)?;
        let buffer = Vec::with_capacity(sealed.len() + TAG_LEN);
        Ok(AeadStage { header, cipher, sealed, buffer })
    }

    /// Puts the sealed chunk into the buffer, as reading would. Not part of the stage.
    pub fn read(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.sealed);
    }

    /// Opens the buffer, as [`crate::Opener`] does once the leaf was checked; returns the bytes of plaintext.
    pub fn open(&mut self) -> R<usize> {
        self.cipher.open(&self.header, 0, &mut self.buffer)?;
        Ok(self.buffer.len())
    }
}

impl std::fmt::Debug for AeadStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AeadStage({} bytes)", self.sealed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_opens_what_was_read_and_nothing_else() {
        let mut stage = AeadStage::new(&RunId::new(uuid::Uuid::from_u128(1)), 64).unwrap();
        for _ in 0..3 {
            stage.read();
            assert_eq!(stage.open().unwrap(), 64);
            assert_eq!(stage.buffer, [0; 64]);
            // Opened already: the plaintext is no chunk.
            assert_eq!(stage.open().unwrap_err().code, schemas::Code::SealedTampered);
        }
    }
}
