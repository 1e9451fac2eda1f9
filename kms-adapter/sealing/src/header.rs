//! The header of a sealed object: canonical JSON, parsed strictly, the same bytes for associated data and leaf 0.

use schemas::id::{DatasetId, RunId, WeightsId};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, canonical};
use serde::{Deserialize, Serialize};

use crate::key::fill_random;

/// What a sealed object is of. The opener says which one it expects; any other is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A version of a dataset.
    Dataset {
        /// The dataset.
        id: DatasetId,
        /// Its version, from 1.
        version: u32,
    },
    /// The model of a run; there is one per run.
    Model {
        /// The run.
        run: RunId,
    },
    /// A consumer's weights, to begin a training with.
    Weights {
        /// The weights.
        id: WeightsId,
    },
}

/// The header of a sealed object, checked in itself. Whether it is authentic is decided by leaf and tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    subject: Subject,
    chunk_len: u32,
    total_len: u64,
    n_chunks: u32,
    pub(crate) salt: [u8; 32],
    pub(crate) nonce_prefix: [u8; 7],
    pub(crate) commitment: [u8; 32],
    bytes: Vec<u8>,
}

impl Header {
    /// Reads a header: canonical spelling, known members only, lengths that agree with each other.
    pub fn parse(bytes: &[u8]) -> R<Header> {
        if bytes.len() > MAX_HEADER {
            return Err(form("the header has more than 1024 bytes"));
        }
        let wire: Wire = canonical::parse_canonical(bytes)
            .map_err(|e| form(format!("the header cannot be read: {}", e.sentence)))?;
        if wire.magic != NAME || wire.v != 1 || wire.alg != ALG {
            return Err(form("the header is not of format DEPA-C1, version 1, A256GCM"));
        }
        let subject = match wire.kind {
            Kind::Dataset if wire.version >= 1 => {
                Subject::Dataset { id: DatasetId::parse(&wire.subject).map_err(bad_subject)?, version: wire.version }
            }
            Kind::Model if wire.version == 1 => {
                Subject::Model { run: RunId::parse(&wire.subject).map_err(bad_subject)? }
            }
            Kind::Weights if wire.version == 1 => {
                Subject::Weights { id: WeightsId::parse(&wire.subject).map_err(bad_subject)? }
            }
            _ => return Err(form("versions of datasets count from 1; a model and weights have version 1")),
        };
        if wire.n_chunks != count_chunks(wire.total_len, wire.chunk_len)? {
            return Err(form("the number of chunks does not fit the length"));
        }
        let commitment = wire.commitment.ok_or_else(|| form("the header has no key commitment"))?;
        Ok(Header {
            subject,
            chunk_len: wire.chunk_len,
            total_len: wire.total_len,
            n_chunks: wire.n_chunks,
            salt: exact(wire.salt, "salt")?,
            nonce_prefix: exact(wire.nonce_prefix, "nonce_prefix")?,
            commitment: exact(commitment, "commitment")?,
            bytes: bytes.to_vec(),
        })
    }

    /// The object's subject.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Bytes of plaintext in each chunk but the last.
    pub fn chunk_len(&self) -> u32 {
        self.chunk_len
    }

    /// Bytes of plaintext in all.
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Number of chunks; an empty object has one empty chunk.
    pub fn n_chunks(&self) -> u32 {
        self.n_chunks
    }

    /// The header as it stands in the object.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Size of the whole object in bytes.
    pub fn container_len(&self) -> u64 {
        let head = (MAGIC.len() + 4 + self.bytes.len()) as u64;
        head + self.total_len + u64::from(self.n_chunks) * TAG_LEN as u64
    }

    /// Refuses another subject than the expected one.
    pub fn expect(&self, expected: &Subject) -> R<()> {
        if self.subject == *expected {
            return Ok(());
        }
        let sentence = format!("this is {}, not {}", self.subject.words(), expected.words());
        Err(Refusal::new(Code::SealedWrongObject, sentence))
    }

    /// Bytes of plaintext in chunk `index`.
    pub(crate) fn plain_len(&self, index: u32) -> usize {
        let start = u64::from(index) * u64::from(self.chunk_len);
        // Fits: a chunk has at most MAX_CHUNK bytes.
        self.total_len.saturating_sub(start).min(u64::from(self.chunk_len)) as usize
    }

    /// Whether chunk `index` is the last.
    pub(crate) fn is_last(&self, index: u32) -> bool {
        index + 1 == self.n_chunks
    }

    /// The digest that the object key depends on: SHA-256 of the header without its commitment.
    pub(crate) fn uncommitted(&self) -> R<Digest> {
        Ok(Digest::of(&canonical::to_bytes(&self.wire(None))?))
    }

    fn wire(&self, commitment: Option<Bytes>) -> Wire {
        let (kind, subject, version) = match &self.subject {
            Subject::Dataset { id, version } => (Kind::Dataset, id.to_string(), *version),
            Subject::Model { run } => (Kind::Model, run.to_string(), 1),
            Subject::Weights { id } => (Kind::Weights, id.to_string(), 1),
        };
        Wire {
            magic: NAME.to_owned(),
            v: 1,
            kind,
            subject,
            version,
            alg: ALG.to_owned(),
            chunk_len: self.chunk_len,
            total_len: self.total_len,
            n_chunks: self.n_chunks,
            salt: Bytes(self.salt.to_vec()),
            nonce_prefix: Bytes(self.nonce_prefix.to_vec()),
            commitment,
        }
    }

    /// The header with this commitment; only now are its bytes fixed.
    pub(crate) fn committed(mut self, commitment: [u8; 32]) -> R<Header> {
        self.commitment = commitment;
        self.bytes = canonical::to_bytes(&self.wire(Some(Bytes(commitment.to_vec()))))?;
        Ok(self)
    }
}

impl Subject {
    fn words(&self) -> String {
        match self {
            Subject::Dataset { id, version } => format!("dataset {id} version {version}"),
            Subject::Model { run } => format!("the model of {run}"),
            Subject::Weights { id } => format!("the weights {id}"),
        }
    }
}

/// What makes two sealings of the same bytes differ: drawn anew for each object.
pub(crate) struct Draw {
    pub salt: [u8; 32],
    pub nonce_prefix: [u8; 7],
}

impl Draw {
    pub fn random() -> R<Draw> {
        let mut draw = Draw { salt: [0; 32], nonce_prefix: [0; 7] };
        fill_random(&mut draw.salt)?;
        fill_random(&mut draw.nonce_prefix)?;
        Ok(draw)
    }
}

/// The header of a new object, still without commitment.
pub(crate) fn draft(subject: &Subject, chunk_len: u32, total_len: u64, draw: Draw) -> R<Header> {
    if matches!(subject, Subject::Dataset { version: 0, .. }) {
        return Err(form("versions of datasets count from 1"));
    }
    Ok(Header {
        subject: subject.clone(),
        chunk_len,
        total_len,
        n_chunks: count_chunks(total_len, chunk_len)?,
        salt: draw.salt,
        nonce_prefix: draw.nonce_prefix,
        commitment: [0; 32],
        bytes: Vec::new(),
    })
}

fn count_chunks(total_len: u64, chunk_len: u32) -> R<u32> {
    if !(MIN_CHUNK..=MAX_CHUNK).contains(&chunk_len) {
        return Err(form("a chunk has 16 bytes to 16 MiB"));
    }
    let n = total_len.div_ceil(u64::from(chunk_len)).max(1);
    u32::try_from(n).ok().filter(|n| *n <= MAX_CHUNKS).ok_or_else(|| form("an object has at most 1,048,576 chunks"))
}

fn exact<const N: usize>(bytes: Bytes, member: &str) -> R<[u8; N]> {
    bytes.0.try_into().map_err(|_| form(format!("{member} has {N} bytes")).at(member))
}

fn bad_subject(e: Refusal) -> Refusal {
    form(e.sentence).at("subject")
}

fn form(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::SealedForm, sentence)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Dataset,
    Model,
    Weights,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    magic: String,
    v: u8,
    kind: Kind,
    subject: String,
    version: u32,
    alg: String,
    chunk_len: u32,
    total_len: u64,
    n_chunks: u32,
    salt: Bytes,
    nonce_prefix: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<Bytes>,
}

/// Bytes of plaintext in a chunk unless the sealer asks otherwise: 1 MiB.
pub const DEFAULT_CHUNK: u32 = 1 << 20;
/// The largest chunk, 16 MiB: what an opener holds in memory at a time.
pub const MAX_CHUNK: u32 = 16 << 20;
/// The most chunks in an object: 1 TiB in chunks of 1 MiB, with 32 MiB of leaves.
pub const MAX_CHUNKS: u32 = 1 << 20;
/// The first bytes of every object.
pub const MAGIC: &[u8; 8] = b"DEPA-C1\n";
/// Bytes of a GCM tag.
pub const TAG_LEN: usize = 16;

pub(crate) const MAX_HEADER: usize = 1024;
const MIN_CHUNK: u32 = 16;
const NAME: &str = "DEPA-C1";
const ALG: &str = "A256GCM";

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let id = DatasetId::parse("dst_01900000-0000-7000-8000-000000000001").unwrap();
        let draw = Draw { salt: [1; 32], nonce_prefix: [2; 7] };
        let header = draft(&Subject::Dataset { id, version: 3 }, 64, 129, draw).unwrap().committed([3; 32]).unwrap();
        assert_eq!(Header::parse(header.bytes()).unwrap(), header);
        String::from_utf8(header.bytes().to_vec()).unwrap()
    }

    #[test]
    fn only_one_spelling_passes() {
        let good = text();
        let spoiled = [
            ("{", "{ "),
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"w\":1"),
            ("DEPA-C1", "DEPA-C2"),
            ("A256GCM", "A128GCM"),
            ("\"version\":3", "\"version\":0"),
            ("\"version\":3", "\"version\":-3"),
            ("\"kind\":\"dataset\"", "\"kind\":\"model\""),
            ("\"kind\":\"dataset\"", "\"kind\":\"table\""),
            ("\"kind\":\"dataset\"", "\"kind\":\"weights\""),
            ("dst_", "run_"),
            ("\"chunk_len\":64", "\"chunk_len\":0"),
            ("\"chunk_len\":64", "\"chunk_len\":15"),
            ("\"chunk_len\":64", "\"chunk_len\":33554432"),
            ("\"n_chunks\":3", "\"n_chunks\":4"),
            ("\"total_len\":129", "\"total_len\":128"),
            ("\"total_len\":129", "\"total_len\":9007199254740991"),
            ("\"nonce_prefix\":\"AgICAgICAg\"", "\"nonce_prefix\":\"AgICAgICAgI\""),
            ("\"commitment\":\"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM\",", ""),
        ];
        for (from, to) in spoiled {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from} stands in the header");
            assert_eq!(Header::parse(bad.as_bytes()).unwrap_err().code, Code::SealedForm, "{to}");
        }
        let long = format!("{good}{}", " ".repeat(1024));
        assert_eq!(Header::parse(long.as_bytes()).unwrap_err().code, Code::SealedForm);
    }

    #[test]
    fn lengths_have_limits() {
        assert_eq!(count_chunks(0, 16).unwrap(), 1);
        assert_eq!(count_chunks(16, 16).unwrap(), 1);
        assert_eq!(count_chunks(17, 16).unwrap(), 2);
        assert_eq!(count_chunks(1 << 40, 1 << 20).unwrap(), MAX_CHUNKS);
        assert!(count_chunks((1 << 40) + 1, 1 << 20).is_err());
        assert!(count_chunks(u64::MAX, MAX_CHUNK).is_err());
    }
}
