//! One object's key and its chunks: HKDF, the key commitment, AES-256-GCM in the STREAM layout.

use hkdf::Hkdf;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use schemas::{Code, R, Refusal};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::header::{Header, TAG_LEN};
use crate::key::DatasetKey;

/// The cipher of one object. It either seals or opens, and it knows nothing of leaves.
pub(crate) struct ChunkCipher {
    ctx: CipherCtx,
    nonce_prefix: [u8; 7],
}

impl ChunkCipher {
    /// For sealing: fixes the header by adding the commitment, and returns the cipher with it.
    pub fn to_seal(draft: Header, key: &DatasetKey) -> R<(Header, ChunkCipher)> {
        let keys = derive(&draft, key)?;
        let mut ctx = CipherCtx::new().map_err(openssl_fault)?;
        ctx.encrypt_init(Some(Cipher::aes_256_gcm()), Some(&*keys.object), None).map_err(openssl_fault)?;
        let header = draft.committed(keys.commitment)?;
        let nonce_prefix = header.nonce_prefix;
        Ok((header, ChunkCipher { ctx, nonce_prefix }))
    }

    /// For opening: refuses a key that the header does not commit to, before anything is decrypted.
    pub fn to_open(header: &Header, key: &DatasetKey) -> R<ChunkCipher> {
        let keys = derive(header, key)?;
        if !openssl::memcmp::eq(&keys.commitment, &header.commitment) {
            return Err(Refusal::new(Code::SealedWrongObject, "the key is not the key of this object"));
        }
        let mut ctx = CipherCtx::new().map_err(openssl_fault)?;
        ctx.decrypt_init(Some(Cipher::aes_256_gcm()), Some(&*keys.object), None).map_err(openssl_fault)?;
        Ok(ChunkCipher { ctx, nonce_prefix: header.nonce_prefix })
    }

    /// Encrypts the buffer in place and appends the tag.
    pub fn seal(&mut self, header: &Header, index: u32, buffer: &mut Vec<u8>) -> R<()> {
        let nonce = nonce(&self.nonce_prefix, index, header.is_last(index));
        self.ctx.encrypt_init(None, None, Some(&nonce)).map_err(openssl_fault)?;
        self.run(header.bytes(), buffer).map_err(openssl_fault)?;
        let mut tag = [0; TAG_LEN];
        self.ctx.tag(&mut tag).map_err(openssl_fault)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts the buffer (chunk with its tag) in place and cuts the tag off. A failed tag leaves the buffer zeroed.
    pub fn open(&mut self, header: &Header, index: u32, buffer: &mut Vec<u8>) -> R<()> {
        let done = self.try_open(header, index, buffer);
        if done.is_err() {
            buffer.as_mut_slice().zeroize();
        }
        done
    }

    fn try_open(&mut self, header: &Header, index: u32, buffer: &mut Vec<u8>) -> R<()> {
        let tampered = || Refusal::new(Code::SealedTampered, format!("the tag of chunk {index} does not fit"));
        let Some((cipher_text, tag)) = buffer.split_last_chunk_mut::<TAG_LEN>() else {
            return Err(tampered());
        };
        let nonce = nonce(&self.nonce_prefix, index, header.is_last(index));
        self.ctx.decrypt_init(None, None, Some(&nonce)).map_err(openssl_fault)?;
        self.ctx.set_tag(tag).map_err(openssl_fault)?;
        self.run(header.bytes(), cipher_text).map_err(|_| tampered())?;
        let plain_len = cipher_text.len();
        buffer.truncate(plain_len);
        Ok(())
    }

    fn run(&mut self, aad: &[u8], data: &mut [u8]) -> Result<(), openssl::error::ErrorStack> {
        self.ctx.cipher_update(aad, None)?;
        if !data.is_empty() {
            self.ctx.cipher_update_inplace(data, data.len())?;
        }
        self.ctx.cipher_final(&mut [])?;
        Ok(())
    }
}

/// The nonce of a chunk: prefix ‖ index (big endian) ‖ last flag. Never repeats within an object, as indices do not.
fn nonce(prefix: &[u8; 7], index: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..7].copy_from_slice(prefix);
    nonce[7..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

struct ObjectKeys {
    object: Zeroizing<[u8; 32]>,
    commitment: [u8; 32],
}

/// HKDF-SHA-256 with the object's salt; both outputs depend on the header without its commitment.
fn derive(header: &Header, key: &DatasetKey) -> R<ObjectKeys> {
    let header_digest = header.uncommitted()?;
    let hkdf = Hkdf::<Sha256>::new(Some(&header.salt), key.expose());
    let mut keys = ObjectKeys { object: Zeroizing::new([0; 32]), commitment: [0; 32] };
    let expand = |label: &[u8], out: &mut [u8]| {
        hkdf.expand_multi_info(&[label, &header_digest.0], out)
            .map_err(|_| Refusal::new(Code::Internal, "the object key cannot be derived"))
    };
    expand(OBJECT_LABEL, &mut *keys.object)?;
    expand(COMMITMENT_LABEL, &mut keys.commitment)?;
    Ok(keys)
}

fn openssl_fault(e: openssl::error::ErrorStack) -> Refusal {
    Refusal::new(Code::Internal, format!("OpenSSL cannot run AES-256-GCM: {e}"))
}

const OBJECT_LABEL: &[u8] = b"depa/obj/1";
const COMMITMENT_LABEL: &[u8] = b"depa/commit/1";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aead_stream::{DecryptorBE32, EncryptorBE32};
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::Payload;
    use schemas::id::RunId;

    use super::*;
    use crate::header::{Draw, Subject, draft};

    fn object(plain: &[u8], key: &DatasetKey) -> (Header, Vec<Vec<u8>>) {
        let run = RunId::new(uuid::Uuid::from_u128(1));
        let drawn = draft(&Subject::Model { run }, 16, plain.len() as u64, Draw::random().unwrap()).unwrap();
        let (header, mut cipher) = ChunkCipher::to_seal(drawn, key).unwrap();
        let mut parts: Vec<Vec<u8>> = plain.chunks(16).map(<[u8]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(vec![]);
        }
        for (i, part) in parts.iter_mut().enumerate() {
            cipher.seal(&header, i as u32, part).unwrap();
        }
        (header, parts)
    }

    /// The object key by a second road: one HMAC at a time, as RFC 5869 has it.
    fn object_key(header: &Header, key: &DatasetKey) -> [u8; 32] {
        let hmac = |key: &[u8], data: &[u8]| {
            let key = openssl::pkey::PKey::hmac(key).unwrap();
            let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key).unwrap();
            signer.sign_oneshot_to_vec(data).unwrap()
        };
        let text = String::from_utf8(header.bytes().to_vec()).unwrap();
        let start = text.find("\"commitment\"").unwrap();
        let end = text[start..].find("\",").unwrap() + start + 2;
        let digest = openssl::sha::sha256((text[..start].to_owned() + &text[end..]).as_bytes());
        let info = [b"depa/obj/1".as_slice(), &digest, &[1]].concat();
        hmac(&hmac(&header.salt, key.expose()), &info).try_into().unwrap()
    }

    #[test]
    fn the_oracle_opens_ours() {
        let key = DatasetKey::random().unwrap();
        for len in [0, 1, 15, 16, 17, 32, 100] {
            let plain: Vec<u8> = (0..len).collect();
            let (header, parts) = object(&plain, &key);
            let mut oracle =
                DecryptorBE32::<Aes256Gcm>::new(&object_key(&header, &key).into(), &header.nonce_prefix.into());
            let (last, before) = parts.split_last().unwrap();
            let mut opened = vec![];
            for part in before {
                opened.extend(oracle.decrypt_next(Payload { msg: part, aad: header.bytes() }).unwrap());
            }
            opened.extend(oracle.decrypt_last(Payload { msg: last, aad: header.bytes() }).unwrap());
            assert_eq!(opened, plain, "{len} bytes");
        }
    }

    #[test]
    fn ours_opens_the_oracles() {
        let key = DatasetKey::random().unwrap();
        let plain: Vec<u8> = (0..100).collect();
        let (header, _) = object(&plain, &key);
        let mut oracle =
            EncryptorBE32::<Aes256Gcm>::new(&object_key(&header, &key).into(), &header.nonce_prefix.into());
        let mut cipher = ChunkCipher::to_open(&header, &key).unwrap();
        let parts: Vec<&[u8]> = plain.chunks(16).collect();
        let (last, before) = parts.split_last().unwrap();
        for (i, part) in before.iter().enumerate() {
            let mut chunk = oracle.encrypt_next(Payload { msg: part, aad: header.bytes() }).unwrap();
            cipher.open(&header, i as u32, &mut chunk).unwrap();
            assert_eq!(chunk, *part);
        }
        let mut chunk = oracle.encrypt_last(Payload { msg: last, aad: header.bytes() }).unwrap();
        cipher.open(&header, before.len() as u32, &mut chunk).unwrap();
        assert_eq!(chunk, *last);
    }

    #[test]
    fn a_failed_tag_leaves_the_buffer_zeroed() {
        let key = DatasetKey::random().unwrap();
        let (header, parts) = object(&[7; 40], &key);
        let mut cipher = ChunkCipher::to_open(&header, &key).unwrap();
        for bit in 0..32 * 8 {
            let mut buffer = parts[1].clone();
            buffer[bit / 8] ^= 1 << (bit % 8);
            let refused = cipher.open(&header, 1, &mut buffer).unwrap_err();
            assert_eq!(refused.code, Code::SealedTampered);
            assert_eq!(buffer, [0; 32], "bit {bit}");
        }
        // A chunk in another place, the last chunk as an inner one, and less than a tag.
        for (part, index) in [(0, 1), (2, 0), (0, 2)] {
            let mut buffer = parts[part].clone();
            assert_eq!(cipher.open(&header, index, &mut buffer).unwrap_err().code, Code::SealedTampered);
            assert!(buffer.iter().all(|b| *b == 0));
        }
        assert_eq!(cipher.open(&header, 0, &mut vec![1; 15]).unwrap_err().code, Code::SealedTampered);
        // The cipher is still usable for the right chunk.
        let mut buffer = parts[1].clone();
        cipher.open(&header, 1, &mut buffer).unwrap();
        assert_eq!(buffer, [7; 16]);
    }

    #[test]
    fn no_nonce_repeats_in_the_largest_object() {
        let n = crate::header::MAX_CHUNKS;
        let seen: HashSet<[u8; 12]> = (0..n).map(|i| nonce(&[9; 7], i, i + 1 == n)).collect();
        assert_eq!(seen.len(), n as usize);
    }

    #[test]
    fn sealing_again_draws_another_key() {
        let key = DatasetKey::random().unwrap();
        let keys: HashSet<[u8; 32]> = (0..64).map(|_| object_key(&object(b"same", &key).0, &key)).collect();
        assert_eq!(keys.len(), 64);
    }

    #[test]
    fn each_member_of_the_header_changes_the_key() {
        let key = DatasetKey::random().unwrap();
        let run = |n| Subject::Model { run: RunId::new(uuid::Uuid::from_u128(n)) };
        let same = || Draw { salt: [1; 32], nonce_prefix: [2; 7] };
        let headers = [
            draft(&run(1), 16, 40, same()),
            draft(&run(2), 16, 40, same()),
            draft(&run(1), 17, 40, same()),
            draft(&run(1), 16, 41, same()),
            draft(&run(1), 16, 40, Draw { salt: [3; 32], ..same() }),
            draft(&run(1), 16, 40, Draw { nonce_prefix: [3; 7], ..same() }),
        ];
        let mut seen = HashSet::new();
        for header in headers {
            let keys = derive(&header.unwrap(), &key).unwrap();
            assert!(seen.insert(*keys.object) && seen.insert(keys.commitment));
        }
    }
}
