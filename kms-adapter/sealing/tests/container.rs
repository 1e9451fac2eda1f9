//! The promises of the container, one spoiled thing at a time (threats K11 and K12).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Cursor, Read};

use schemas::id::{DatasetId, RunId};
use schemas::{Code, Digest};
use sealing::header::{MAGIC, TAG_LEN};
use sealing::{
    DEFAULT_CHUNK, DatasetKey, Header, Manifest, Opener, Plan, Sealed, Subject, open_bytes, open_model,
    open_with_recomputed_manifest, seal, seal_bytes, seal_model,
};

const CHUNK: usize = 64;
const SIZES: [usize; 9] = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK - 1, 5 * CHUNK, 5 * CHUNK + 1];

/// A sealed object with all that opens it.
struct Object {
    plain: Vec<u8>,
    key: DatasetKey,
    subject: Subject,
    sealed: Sealed,
    root: Digest,
}

impl Object {
    fn new(len: usize) -> Object {
        Object::of(dataset(1, 1), len, DatasetKey::random().unwrap())
    }

    fn of(subject: Subject, len: usize, key: DatasetKey) -> Object {
        let plain: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
        let sealed = seal_bytes(&plain, &key, &subject, CHUNK as u32).unwrap();
        let root = sealed.manifest.root();
        Object { plain, key, subject, sealed, root }
    }

    fn bytes(&self) -> Vec<u8> {
        self.sealed.bytes.clone()
    }

    fn head(&self) -> usize {
        let len = self.sealed.bytes[MAGIC.len()..][..4].try_into().unwrap();
        MAGIC.len() + 4 + u32::from_be_bytes(len) as usize
    }

    /// Where each chunk lies, tags included.
    fn chunks(&self) -> Vec<std::ops::Range<usize>> {
        let (len, mut at, mut out) = (self.sealed.bytes.len(), self.head(), vec![]);
        while at < len {
            let end = (at + CHUNK + TAG_LEN).min(len);
            out.push(at..end);
            at = end;
        }
        out
    }

    /// Opens `container` with all else as it should be.
    fn open(&self, container: &[u8]) -> Result<Vec<u8>, Code> {
        open_bytes(container, &self.sealed.manifest, &self.root, &self.key, &self.subject)
            .map(|p| p.to_vec())
            .map_err(|e| e.code)
    }

    fn open_unlisted(&self, container: &[u8]) -> Result<Vec<u8>, Code> {
        open_with_recomputed_manifest(container, &self.root, &self.key, &self.subject)
            .map(|p| p.to_vec())
            .map_err(|e| e.code)
    }

    /// The one code of both ways to open.
    fn refuses(&self, container: &[u8], what: &str) -> Code {
        let (listed, unlisted) = self.refuses_twice(container, what);
        assert_eq!(listed, unlisted, "{what}");
        listed
    }

    /// The codes with and without a list at hand. They differ where the lengths are wrong too: without a list the
    /// object is read to its end before its root is compared.
    fn refuses_twice(&self, container: &[u8], what: &str) -> (Code, Code) {
        (self.open(container).expect_err(what), self.open_unlisted(container).expect_err(what))
    }
}

fn dataset(n: u128, version: u32) -> Subject {
    Subject::Dataset { id: DatasetId::new(uuid::Uuid::from_u128(n)), version }
}

fn run(n: u128) -> RunId {
    RunId::new(uuid::Uuid::from_u128(n))
}

#[test]
fn every_size_round_trips() {
    for len in SIZES {
        let object = Object::new(len);
        assert_eq!(object.open(&object.bytes()).unwrap(), object.plain, "{len}");
        assert_eq!(object.open_unlisted(&object.bytes()).unwrap(), object.plain, "{len}");
        let (header, manifest) = Manifest::recompute(object.sealed.bytes.as_slice()).unwrap();
        assert_eq!(manifest, object.sealed.manifest, "{len}");
        assert_eq!(header.container_len(), object.sealed.bytes.len() as u64, "{len}");
        assert_eq!(header.n_chunks() as usize, len.div_ceil(CHUNK).max(1));
        assert_eq!(object.chunks().len(), header.n_chunks() as usize);
    }
}

#[test]
fn models_round_trip_under_keys_of_their_own() {
    for len in [0, 1, DEFAULT_CHUNK as usize - 1, DEFAULT_CHUNK as usize, 2 * DEFAULT_CHUNK as usize + 1] {
        let model = vec![5; len];
        let (sealed, key) = seal_model(&model, &run(1)).unwrap();
        assert_eq!(*open_model(&sealed.bytes, &key, &run(1)).unwrap(), model);
        let (_, other) = seal_model(&model, &run(1)).unwrap();
        assert_eq!(open_model(&sealed.bytes, &other, &run(1)).unwrap_err().code, Code::SealedWrongObject);
        assert_eq!(open_model(&sealed.bytes, &key, &run(2)).unwrap_err().code, Code::SealedWrongObject);
    }
}

#[test]
fn any_flipped_bit_of_the_object_is_refused() {
    let object = Object::new(4 * CHUNK + 5);
    let head = object.head();
    for bit in 0..object.sealed.bytes.len() * 8 {
        let mut container = object.bytes();
        container[bit / 8] ^= 1 << (bit % 8);
        let (listed, unlisted) = object.refuses_twice(&container, &format!("bit {bit}"));
        if bit / 8 >= head {
            assert_eq!((listed, unlisted), (Code::SealedTampered, Code::SealedTampered), "bit {bit}");
        } else {
            let codes = [Code::SealedForm, Code::SealedTampered, Code::SealedTruncated, Code::SealedWrongObject];
            assert!(codes.contains(&listed) && codes.contains(&unlisted), "bit {bit}: {listed}, {unlisted}");
        }
    }
}

#[test]
fn any_flipped_bit_of_a_model_is_refused() {
    let key = DatasetKey::random().unwrap();
    let object = Object::of(Subject::Model { run: run(1) }, 3 * CHUNK + 1, key);
    let head = object.head();
    for bit in 0..object.sealed.bytes.len() * 8 {
        let mut container = object.bytes();
        container[bit / 8] ^= 1 << (bit % 8);
        let code = open_model(&container, &object.key, &run(1)).unwrap_err().code;
        assert!(bit / 8 < head || code == Code::SealedTampered, "bit {bit}: {code}");
    }
}

#[test]
fn any_flipped_bit_of_the_manifest_is_refused() {
    let object = Object::new(4 * CHUNK + 5);
    let json = object.sealed.manifest.to_json();
    for bit in 0..json.len() * 8 {
        let mut spoiled = json.clone();
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let opened = Manifest::parse(&spoiled)
            .and_then(|m| open_bytes(&object.sealed.bytes, &m, &object.root, &object.key, &object.subject));
        let code = opened.unwrap_err().code;
        assert!(matches!(code, Code::SealedForm | Code::SealedTampered), "bit {bit}: {code}");
    }
}

#[test]
fn any_flipped_bit_of_the_root_is_refused() {
    let object = Object::new(CHUNK);
    for bit in 0..256 {
        let mut root = object.root;
        root.0[bit / 8] ^= 1 << (bit % 8);
        let o = &object;
        let listed = open_bytes(&o.sealed.bytes, &o.sealed.manifest, &root, &o.key, &o.subject);
        assert_eq!(listed.unwrap_err().code, Code::SealedTampered);
        let unlisted = open_with_recomputed_manifest(&o.sealed.bytes, &root, &o.key, &o.subject);
        assert_eq!(unlisted.unwrap_err().code, Code::SealedTampered);
    }
}

#[test]
fn every_cut_is_truncation() {
    for len in [0, 1, CHUNK, 3 * CHUNK + 9] {
        let object = Object::new(len);
        for end in 0..object.sealed.bytes.len() {
            let code = object.refuses(&object.sealed.bytes[..end], &format!("{end} of {len}"));
            assert_eq!(code, Code::SealedTruncated, "{end} of {len}");
        }
    }
    let object = Object::of(Subject::Model { run: run(1) }, 3 * CHUNK, DatasetKey::random().unwrap());
    for end in 0..object.sealed.bytes.len() {
        let code = open_model(&object.sealed.bytes[..end], &object.key, &run(1)).unwrap_err().code;
        assert_eq!(code, Code::SealedTruncated);
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for len in SIZES {
        let object = Object::new(len);
        for tail in [vec![0], vec![b'\n'; CHUNK + TAG_LEN], object.bytes()] {
            let container = [object.bytes(), tail].concat();
            assert_eq!(object.refuses(&container, "tail"), Code::SealedForm, "{len}");
        }
    }
    let (sealed, key) = seal_model(b"model", &run(1)).unwrap();
    let longer = [sealed.bytes, vec![0]].concat();
    assert_eq!(open_model(&longer, &key, &run(1)).unwrap_err().code, Code::SealedForm);
}

#[test]
fn chunks_have_their_place() {
    let object = Object::new(5 * CHUNK);
    let chunks = object.chunks();
    for (i, a) in chunks.iter().enumerate() {
        for (j, b) in chunks.iter().enumerate().filter(|(j, _)| *j != i) {
            let mut swapped = object.bytes();
            swapped[a.clone()].copy_from_slice(&object.sealed.bytes[b.clone()]);
            swapped[b.clone()].copy_from_slice(&object.sealed.bytes[a.clone()]);
            assert_eq!(object.refuses(&swapped, "swapped"), Code::SealedTampered, "{i} and {j}");

            let mut doubled = object.bytes();
            doubled[b.clone()].copy_from_slice(&object.sealed.bytes[a.clone()]);
            assert_eq!(object.refuses(&doubled, "doubled"), Code::SealedTampered, "{i} over {j}");
        }
        let mut inserted = object.bytes();
        inserted.splice(a.start..a.start, object.sealed.bytes[a.clone()].iter().copied());
        // One of the last two chunks twice is seen as too long at the last place; any other shifts what follows.
        let (last, late) = (i + 1 == chunks.len(), i + 2 >= chunks.len());
        let listed = if late { Code::SealedForm } else { Code::SealedTampered };
        assert_eq!(object.refuses_twice(&inserted, "inserted"), (listed, Code::SealedForm), "{i}");

        let mut dropped = object.bytes();
        dropped.drain(a.clone());
        let listed = if last { Code::SealedTruncated } else { Code::SealedTampered };
        assert_eq!(object.refuses_twice(&dropped, "dropped"), (listed, Code::SealedTruncated), "{i}");
    }
}

#[test]
fn chunks_of_two_objects_do_not_mix() {
    // The same key, subject and plaintext: only the draw of the sealing differs.
    let a = Object::new(4 * CHUNK);
    let b = Object::of(a.subject.clone(), 4 * CHUNK, DatasetKey::from_slice(a.key.expose()).unwrap());
    for range in a.chunks() {
        let mut mixed = a.bytes();
        mixed[range.clone()].copy_from_slice(&b.sealed.bytes[range]);
        assert_eq!(a.refuses(&mixed, "mixed"), Code::SealedTampered);
    }
    // The header of one over the chunks of the other, and one object whole in place of the other.
    let crossed = [&a.sealed.bytes[..a.head()], &b.sealed.bytes[b.head()..]].concat();
    assert_eq!(a.refuses(&crossed, "crossed"), Code::SealedTampered);
    assert_eq!(a.refuses(&b.sealed.bytes, "other sealing"), Code::SealedTampered);
    // The tag alone stops it too: the list of leaves made to fit the mixture.
    let (_, fitting) = Manifest::recompute(crossed.as_slice()).unwrap();
    let opened = open_bytes(&crossed, &fitting, &fitting.root(), &a.key, &a.subject);
    assert_eq!(opened.unwrap_err().code, Code::SealedTampered);
}

#[test]
fn tags_stand_alone_when_the_manifest_is_the_attackers() {
    let object = Object::new(3 * CHUNK + 5);
    for bit in object.head() * 8..object.sealed.bytes.len() * 8 {
        let mut container = object.bytes();
        container[bit / 8] ^= 1 << (bit % 8);
        let (_, m) = Manifest::recompute(container.as_slice()).unwrap();
        let opened = open_bytes(&container, &m, &m.root(), &object.key, &object.subject);
        assert_eq!(opened.unwrap_err().code, Code::SealedTampered, "bit {bit}");
    }
}

#[test]
fn another_object_is_named_as_such() {
    let object = Object::new(100);
    let key = || DatasetKey::from_slice(object.key.expose()).unwrap();
    for other in [dataset(1, 2), dataset(2, 1), Subject::Model { run: run(1) }] {
        let other = Object::of(other, 100, key());
        assert_eq!(object.refuses(&other.sealed.bytes, "other"), Code::SealedWrongObject);
        let refused = open_bytes(&other.sealed.bytes, &other.sealed.manifest, &other.root, &key(), &object.subject);
        assert_eq!(refused.unwrap_err().code, Code::SealedWrongObject);
    }
    // A header rewritten to the expected version: its leaf does not fit.
    let old = Object::of(dataset(1, 2), 100, key());
    let text = String::from_utf8(old.sealed.bytes[12..old.head()].to_vec()).unwrap();
    let text = text.replace("\"version\":2", "\"version\":1");
    assert!(Header::parse(text.as_bytes()).is_ok());
    let mut forged = old.bytes();
    forged[12..old.head()].copy_from_slice(text.as_bytes());
    assert_eq!(object.refuses(&forged, "forged"), Code::SealedTampered);
    // And with a manifest made to fit, the commitment does not.
    let (_, m) = Manifest::recompute(forged.as_slice()).unwrap();
    let opened = open_bytes(&forged, &m, &m.root(), &object.key, &object.subject);
    assert_eq!(opened.unwrap_err().code, Code::SealedWrongObject);
}

#[test]
fn another_key_is_refused_before_decrypting() {
    let object = Object::new(100);
    let other = DatasetKey::random().unwrap();
    let opener = Opener::new(
        object.sealed.bytes.as_slice(),
        object.sealed.manifest.clone(),
        &object.root,
        &other,
        &object.subject,
    );
    assert_eq!(opener.unwrap_err().code, Code::SealedWrongObject);
}

#[test]
fn a_manifest_of_another_object_is_refused() {
    let (a, b) = (Object::new(300), Object::new(300));
    let opened = open_bytes(&a.sealed.bytes, &b.sealed.manifest, &a.root, &a.key, &a.subject);
    assert_eq!(opened.unwrap_err().code, Code::SealedTampered);
    let opened = open_bytes(&a.sealed.bytes, &b.sealed.manifest, &b.root, &a.key, &a.subject);
    assert_eq!(opened.unwrap_err().code, Code::SealedTampered);
}

#[test]
fn no_chunk_is_handed_out_unchecked_and_a_refusal_stays() {
    let object = Object::new(5 * CHUNK);
    for (spoiled, range) in object.chunks().into_iter().enumerate() {
        let mut container = object.bytes();
        container[range.start + 3] ^= 1;
        let manifest = object.sealed.manifest.clone();
        let mut opener =
            Opener::new(container.as_slice(), manifest, &object.root, &object.key, &object.subject).unwrap();
        for i in 0..spoiled {
            assert_eq!(opener.next_chunk().unwrap().unwrap(), &object.plain[i * CHUNK..][..CHUNK]);
        }
        for _ in 0..3 {
            assert_eq!(opener.next_chunk().unwrap_err().code, Code::SealedTampered);
        }
    }
}

/// A source that gives one byte at a time, as a slow pipe does.
struct Drip<R>(R);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = buf.len().min(1);
        self.0.read(&mut buf[..n])
    }
}

#[test]
fn streams_are_sealed_and_opened_piece_by_piece() {
    let (plain, key) = (vec![9; 5 * CHUNK + 1], DatasetKey::random().unwrap());
    let plan = Plan { subject: dataset(1, 1), total_len: plain.len() as u64, chunk_len: CHUNK as u32 };
    let mut container = vec![];
    let written = seal(Drip(plain.as_slice()), &mut container, &key, &plan).unwrap();
    assert_eq!(written.bytes, container.len() as u64);
    let root = written.manifest.root();

    let mut opener = Opener::new(Drip(container.as_slice()), written.manifest, &root, &key, &plan.subject).unwrap();
    let mut opened = vec![];
    while let Some(chunk) = opener.next_chunk().unwrap() {
        opened.extend_from_slice(chunk);
    }
    assert_eq!(opened, plain);
    assert!(opener.next_chunk().unwrap().is_none());

    // Not at the start of its file: the second pass begins where the first did.
    let mut file = Cursor::new([b"before".as_slice(), &container].concat());
    file.set_position(6);
    let mut opener = Opener::recomputing(file, &root, &key, &plan.subject).unwrap();
    assert_eq!(opener.next_chunk().unwrap().unwrap(), &plain[..CHUNK]);
    assert_eq!(opener.header().total_len(), plain.len() as u64);
}

#[test]
fn the_source_has_exactly_the_announced_length() {
    let key = DatasetKey::random().unwrap();
    for (announced, code) in [(101, Code::SealedTruncated), (99, Code::SealedForm), (0, Code::SealedForm)] {
        let plan = Plan { subject: dataset(1, 1), total_len: announced, chunk_len: 16 };
        assert_eq!(seal([1; 100].as_slice(), vec![], &key, &plan).unwrap_err().code, code, "{announced}");
    }
    let bad = [(dataset(1, 0), 16), (dataset(1, 1), 15), (dataset(1, 1), 0), (dataset(1, 1), u32::MAX)];
    for (subject, chunk) in bad {
        assert_eq!(seal_bytes(b"x", &key, &subject, chunk).unwrap_err().code, Code::SealedForm);
    }
}

#[test]
fn random_spoiling_is_always_refused() {
    let object = Object::new(6 * CHUNK + 11);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..3000 {
        let mut container = object.bytes();
        for _ in 0..=draw(3) {
            if container.is_empty() {
                break;
            }
            let (len, at) = (container.len(), draw(container.len()));
            match draw(5) {
                0 => container[at] ^= 1 << draw(8),
                1 => container.truncate(at),
                2 => {
                    container.remove(at);
                }
                3 => container.insert(at, draw(256) as u8),
                _ => {
                    let (n, from) = (draw(len - at) + 1, draw(len));
                    let piece: Vec<u8> = object.sealed.bytes.iter().copied().cycle().skip(from).take(n).collect();
                    container[at..at + n].copy_from_slice(&piece);
                }
            }
        }
        if container == object.sealed.bytes {
            continue;
        }
        assert!(object.open(&container).is_err() && object.open_unlisted(&container).is_err(), "round {round}");
    }
}

#[test]
fn without_a_key_every_part_is_compared_with_the_list() {
    for len in SIZES {
        let object = Object::new(len);
        let header = object.sealed.manifest.covers(object.bytes().as_slice()).unwrap();
        assert_eq!((header.subject(), header.container_len()), (&object.subject, object.bytes().len() as u64));
        let refused = |bytes: Vec<u8>, manifest: &Manifest| manifest.covers(bytes.as_slice()).unwrap_err();
        let manifest = &object.sealed.manifest;
        let start = object.bytes().len() - len - header.n_chunks() as usize * TAG_LEN;
        for at in (start..object.bytes().len()).step_by(CHUNK / 2) {
            let mut spoilt = object.bytes();
            spoilt[at] ^= 1;
            let refusal = refused(spoilt, manifest);
            let chunk = (at - start) / (CHUNK + TAG_LEN);
            assert_eq!(refusal.code, Code::SealedTampered);
            assert!(refusal.sentence.starts_with(&format!("chunk {chunk} ")), "{refusal}");
        }
        let mut short = object.bytes();
        short.pop();
        assert_eq!(refused(short, manifest).code, Code::SealedTruncated);
        assert_eq!(refused([object.bytes(), vec![0]].concat(), manifest).code, Code::SealedForm);
        // Of another sealing of the same bytes the header differs already.
        let other = Object::of(object.subject.clone(), len, DatasetKey::random().unwrap());
        let refusal = refused(object.bytes(), &other.sealed.manifest);
        assert!(refusal.code == Code::SealedTampered && refusal.sentence.starts_with("the header "), "{refusal}");
        // A list that is longer than the object is not the object's, even where it begins alike.
        let mut leaves = manifest.leaves().to_vec();
        leaves.push(leaves[0]);
        let longer = Manifest::parse(&serde_json::to_vec(&leaves).unwrap()).unwrap();
        assert_eq!(refused(object.bytes(), &longer).code, Code::SealedTampered);
    }
}
