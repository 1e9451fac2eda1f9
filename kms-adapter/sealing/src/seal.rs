//! Sealing a stream: one chunk in memory at a time.

use std::io::{self, Read, Write};

use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use crate::cipher::ChunkCipher;
use crate::header::{Draw, Header, MAGIC, Subject, TAG_LEN, draft};
use crate::key::DatasetKey;
use crate::manifest::Manifest;

/// What is sealed, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the object is of.
    pub subject: Subject,
    /// Bytes of plaintext; the source must have exactly as many.
    pub total_len: u64,
    /// Bytes of plaintext in a chunk, 16 to [`crate::MAX_CHUNK`]; usually [`crate::DEFAULT_CHUNK`].
    pub chunk_len: u32,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The header of the object.
    pub header: Header,
    /// The list of leaves; it is to lie beside the object.
    pub manifest: Manifest,
    /// Size of the object in bytes.
    pub bytes: u64,
}

/// Seals the source into the sink. Salt and nonce prefix are drawn anew each time, so a sealing that broke off is
/// started again from the beginning and repeats no nonce under the same key.
///
/// The sink is not flushed. After an error what it holds is to be thrown away.
pub fn seal(source: impl Read, sink: impl Write, key: &DatasetKey, plan: &Plan) -> R<Written> {
    seal_with(source, sink, key, plan, Draw::random()?)
}

pub(crate) fn seal_with(
    mut source: impl Read,
    mut sink: impl Write,
    key: &DatasetKey,
    plan: &Plan,
    draw: Draw,
) -> R<Written> {
    let draft = draft(&plan.subject, plan.chunk_len, plan.total_len, draw)?;
    let (header, mut cipher) = ChunkCipher::to_seal(draft, key)?;
    let mut manifest = Manifest::start(&header);
    // Fits: a header has far fewer bytes.
    let header_len = header.bytes().len() as u32;
    for part in [MAGIC.as_slice(), &header_len.to_be_bytes(), header.bytes()] {
        sink.write_all(part).map_err(write_fault)?;
    }

    // Room for the tag from the start: the buffer of plaintext never moves.
    let mut buffer = Zeroizing::new(Vec::with_capacity(header.plain_len(0) + TAG_LEN));
    for index in 0..header.n_chunks() {
        buffer.resize(header.plain_len(index), 0);
        source.read_exact(&mut buffer).map_err(short_source)?;
        cipher.seal(&header, index, &mut buffer)?;
        manifest.push(&buffer);
        sink.write_all(&buffer).map_err(write_fault)?;
    }
    match source.read_exact(&mut [0]) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(e) => return Err(short_source(e)),
        Ok(()) => return Err(Refusal::new(Code::SealedForm, "the source is longer than announced")),
    }
    let bytes = header.container_len();
    Ok(Written { header, manifest, bytes })
}

fn short_source(e: io::Error) -> Refusal {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::new(Code::SealedTruncated, "the source is shorter than announced"),
        _ => Refusal::new(Code::Internal, format!("the source cannot be read: {e}")),
    }
}

fn write_fault(e: io::Error) -> Refusal {
    Refusal::new(Code::Internal, format!("the sealed object cannot be written: {e}"))
}

#[cfg(test)]
mod tests {
    use schemas::Digest;
    use schemas::id::DatasetId;

    use super::*;
    use crate::open_bytes;

    fn sealed(plain: &[u8]) -> (Vec<u8>, Written, DatasetKey, Plan) {
        let id = DatasetId::parse("dst_01900000-0000-7000-8000-000000000001").unwrap();
        let subject = Subject::Dataset { id, version: 3 };
        let plan = Plan { subject, total_len: plain.len() as u64, chunk_len: 16 };
        let key = DatasetKey::from_bytes([0x42; 32]);
        let mut bytes = vec![];
        let draw = Draw { salt: [1; 32], nonce_prefix: [2; 7] };
        let written = seal_with(plain, &mut bytes, &key, &plan, draw).unwrap();
        (bytes, written, key, plan)
    }

    #[test]
    fn the_format_stays() {
        let (bytes, written, ..) = sealed(b"The quick brown fox jumps over the lazy dog");
        let head = std::str::from_utf8(&bytes[12..bytes.len() - 43 - 3 * TAG_LEN]).unwrap();
        assert_eq!(head, HEAD);
        assert_eq!(Digest::of(&bytes).to_string(), OBJECT);
        assert_eq!(written.manifest.root().to_string(), ROOT);
    }

    /// Whoever holds the key can make other chunks under the same header; the contract's root still refuses them.
    #[test]
    fn the_manifest_stands_alone_when_the_tags_are_the_attackers() {
        let (_, offered, key, plan) = sealed(&[1; 40]);
        let (other, with, ..) = sealed(&[2; 40]);
        assert_eq!(offered.header, with.header);
        let root = offered.manifest.root();
        let refused = open_bytes(&other, &offered.manifest, &root, &key, &plan.subject).unwrap_err();
        assert_eq!(refused.code, Code::SealedTampered);
        assert!(refused.sentence.contains("manifest"), "{refused}");
    }

    // Made by a second implementation (Python, `cryptography` 48).
    const HEAD: &str = concat!(
        r#"{"alg":"A256GCM","chunk_len":16,"commitment":"noZmHqyIdshx_bGXXKsdk8Xo7s6c1VHCWfv6iB3I8Uc""#,
        r#","kind":"dataset","magic":"DEPA-C1","n_chunks":3,"nonce_prefix":"AgICAgICAg""#,
        r#","salt":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","subject":"dst_01900000-0000-7000-8000-000000000001""#,
        r#","total_len":43,"v":1,"version":3}"#,
    );
    const OBJECT: &str = "8fb254d84d93fd669910c1921c0a2602739179eaa9720eca4105c1fadf683b30";
    const ROOT: &str = "69a7dcebac2ca00f3dbbf1bf7c3bb647de34f70f687e3655d547ab9e4e6cda81";
}
