//! Opening a stream: no byte of a chunk is handed out before its leaf and its tag are checked.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use schemas::{Code, Digest, R, Refusal};
use zeroize::{Zeroize, Zeroizing};

use crate::cipher::ChunkCipher;
use crate::header::{Header, MAGIC, MAX_HEADER, Subject, TAG_LEN};
use crate::key::DatasetKey;
use crate::manifest::Manifest;

/// A sealed object being opened, one chunk in memory at a time.
pub struct Opener<S> {
    source: S,
    header: Header,
    /// Absent only for a model, which its tags and the key commitment cover alone.
    manifest: Option<Manifest>,
    cipher: ChunkCipher,
    next: u32,
    refused: Option<Refusal>,
    buffer: Zeroizing<Vec<u8>>,
}

impl<S: Read> Opener<S> {
    /// Begins to open an object with the list of leaves that lies beside it. Refuses, in this order:
    ///
    /// 1. what is not a DEPA-C1 header,
    /// 2. another subject than the expected one,
    /// 3. a list that does not have the expected root, the one in the contract,
    /// 4. a header that is not leaf 0,
    /// 5. a key that the header does not commit to.
    pub fn new(
        mut source: S,
        manifest: Manifest,
        expected_root: &Digest,
        key: &DatasetKey,
        expected: &Subject,
    ) -> R<Opener<S>> {
        let header = read_header(&mut source)?;
        header.expect(expected)?;
        manifest.expect(expected_root, &header)?;
        manifest.check(0, header.bytes())?;
        Opener::start(source, header, Some(manifest), key)
    }

    /// Begins to open a model, which has no manifest: [`Opener::new`] without steps 3 and 4.
    pub(crate) fn unlisted(mut source: S, key: &DatasetKey, expected: &Subject) -> R<Opener<S>> {
        let header = read_header(&mut source)?;
        header.expect(expected)?;
        Opener::start(source, header, None, key)
    }

    fn start(source: S, header: Header, manifest: Option<Manifest>, key: &DatasetKey) -> R<Opener<S>> {
        let cipher = ChunkCipher::to_open(&header, key)?;
        let buffer = Zeroizing::new(Vec::with_capacity(header.plain_len(0) + TAG_LEN));
        Ok(Opener { source, header, manifest, cipher, next: 0, refused: None, buffer })
    }

    /// The header, authentic by now.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next chunk of plaintext; `None` after the last. Once refused, always refused.
    ///
    /// The chunk is complete when this returns: its leaf and its tag fit; and for the last one, nothing follows it.
    pub fn next_chunk(&mut self) -> R<Option<&[u8]>> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        if self.next == self.header.n_chunks() {
            self.buffer.as_mut_slice().zeroize();
            return Ok(None);
        }
        if let Err(refusal) = self.read_chunk(self.next) {
            self.buffer.as_mut_slice().zeroize();
            self.refused = Some(refusal.clone());
            return Err(refusal);
        }
        self.next += 1;
        Ok(Some(&self.buffer))
    }

    fn read_chunk(&mut self, index: u32) -> R<()> {
        self.buffer.resize(self.header.plain_len(index) + TAG_LEN, 0);
        // 1. All of it is there, and nothing after the last.
        read_full(&mut self.source, &mut self.buffer)?;
        if self.header.is_last(index) {
            read_end(&mut self.source)?;
        }
        // 2. It is what the contract's root stands for.
        if let Some(manifest) = &self.manifest {
            manifest.check(index as usize + 1, &self.buffer)?;
        }
        // 3. Its tag fits: key, index, last flag, header.
        self.cipher.open(&self.header, index, &mut self.buffer)
    }
}

impl<S: Read + Seek> Opener<S> {
    /// Begins to open an object when no list is at hand: reads the object twice, the first time for its leaves. The
    /// second pass checks each chunk again, so an object that changes in between is refused.
    pub fn recomputing(mut source: S, expected_root: &Digest, key: &DatasetKey, expected: &Subject) -> R<Opener<S>> {
        let start = source.stream_position().map_err(read_fault)?;
        // A wrong object is named before it is read through.
        read_header(&mut source)?.expect(expected)?;
        source.seek(SeekFrom::Start(start)).map_err(read_fault)?;
        let (_, manifest) = Manifest::recompute(&mut source)?;
        source.seek(SeekFrom::Start(start)).map_err(read_fault)?;
        Opener::new(source, manifest, expected_root, key, expected)
    }
}

impl<S> fmt::Debug for Opener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({:?}, chunk {} of {})", self.header.subject(), self.next, self.header.n_chunks())
    }
}

/// Reads magic, length and header.
pub(crate) fn read_header(source: &mut impl Read) -> R<Header> {
    let form = |why: &str| Refusal::new(Code::SealedForm, why);
    let mut magic = [0; MAGIC.len()];
    read_full(source, &mut magic)?;
    if magic != *MAGIC {
        return Err(form("this is not a DEPA-C1 object"));
    }
    let mut len = [0; 4];
    read_full(source, &mut len)?;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    if len > MAX_HEADER {
        return Err(form("the header has more than 1024 bytes"));
    }
    let mut bytes = vec![0; len];
    read_full(source, &mut bytes)?;
    Header::parse(&bytes)
}

/// Fills the buffer, or says that the object ends early.
pub(crate) fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> R<()> {
    source.read_exact(buffer).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::new(Code::SealedTruncated, "the sealed object ends early"),
        _ => read_fault(e),
    })
}

/// Makes sure that nothing follows.
pub(crate) fn read_end(source: &mut impl Read) -> R<()> {
    match source.read_exact(&mut [0]) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(e) => Err(read_fault(e)),
        Ok(()) => Err(Refusal::new(Code::SealedForm, "bytes follow the last chunk")),
    }
}

fn read_fault(e: io::Error) -> Refusal {
    Refusal::new(Code::Internal, format!("the sealed object cannot be read: {e}"))
}
