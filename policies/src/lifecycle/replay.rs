//! Replays exported entries: the Merkle root, every subject's chain, every salted digest and the state, in one pass.

use imbl::OrdMap;

use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{ExportedEntry, body_digest, subject_digest};
use schemas::{Code, Digest, R, Refusal};

use super::{Frontier, State, Twin, twin_claims, twin_leaf};

/// The subtrees that an entry completes, its leaf first: level, index within the level, hash.
pub type Completed = Vec<(u8, u64, Digest)>;

/// Digests of an exported entry over its canonical bytes. A reader of a file that has shown a line to be canonical takes
/// them from the bytes as they stand; nothing need be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The salted digest of the body.
    pub body: Digest,
    /// The leaf hash of the record.
    pub leaf: Digest,
}

impl Digests {
    /// The digests of an entry, of canonical bytes written for it. Of an erased body the record alone speaks.
    pub fn of(entry: &ExportedEntry) -> R<Digests> {
        if let Body::Erased { .. } = entry.body {
            return Ok(Digests { body: entry.record.body_sha256, leaf: entry.record.leaf()? });
        }
        let salt = entry.body_salt.0.as_slice().try_into().map_err(|_| tampered(entry.index, "a salt has 32 bytes"))?;
        let body = body_digest(&salt, &entry.body).map_err(|e| tampered(entry.index, &e.sentence))?;
        Ok(Digests { body, leaf: entry.record.leaf()? })
    }
}

/// Where a subject's chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Sequence of its last entry.
    pub seq: u64,
    /// Leaf of that entry.
    pub leaf: Digest,
    /// The subject's salt.
    pub salt: [u8; 32],
}

/// A replay in progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// The state so far.
    pub state: State,
    /// The tree so far.
    pub frontier: Frontier,
    /// The second tree so far.
    pub twin: Twin,
    /// The chains so far, by subject.
    pub chains: OrdMap<String, Link>,
}

impl Replay {
    /// A replay before the first entry.
    pub fn new() -> Replay {
        Replay::default()
    }

    /// Checks the record of an entry against its body, salts and chain, and folds the body, whose signatures the
    /// caller has verified with [`Replay::state`] as the book of keys. Every fault is `LOG_TAMPERED` and names the entry.
    pub fn enter(&mut self, entry: &ExportedEntry, verified: &Verified<Body>) -> R<Completed> {
        self.enter_read(entry, verified, &Digests::of(entry)?)
    }

    /// [`Replay::enter`] with digests that the caller took from the entry's canonical bytes.
    pub fn enter_read(&mut self, entry: &ExportedEntry, verified: &Verified<Body>, digests: &Digests) -> R<Completed> {
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        if **verified != entry.body {
            return Err(tampered(entry.index, "another body was verified"));
        }
        if let Body::Erased { was } = &entry.body {
            return self.enter_erased(entry, was, digests);
        }
        self.record_fits(entry, digests)?;
        let gone = self.erased_subject(entry)?;
        self.state.apply(entry.index, entry.record.at, verified).map_err(fault)?;
        self.advance(entry, digests, gone)
    }

    /// [`Replay::enter`] without verified signatures, see [`State::refold`].
    pub fn reenter(&mut self, entry: &ExportedEntry) -> R<Completed> {
        self.reenter_read(entry, &Digests::of(entry)?)
    }

    /// [`Replay::reenter`] with digests that the caller took from the entry's canonical bytes.
    pub fn reenter_read(&mut self, entry: &ExportedEntry, digests: &Digests) -> R<Completed> {
        if let Body::Erased { was } = &entry.body {
            return self.enter_erased(entry, was, digests);
        }
        self.record_fits(entry, digests)?;
        let gone = self.erased_subject(entry)?;
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        self.state.refold(entry.index, entry.record.at, &entry.body).map_err(fault)?;
        self.advance(entry, digests, gone)
    }

    /// To be asked after the last entry: every erased body was explained by the erasure that names it.
    pub fn finish(&self) -> R<()> {
        match self.state.unexplained().next() {
            Some(index) => Err(tampered(index, "its body is missing and no erasure of two SRO people names it")),
            None => Ok(()),
        }
    }

    /// An entry whose body and salts were destroyed: the record keeps its place and both its leaves.
    fn enter_erased(&mut self, entry: &ExportedEntry, was: &str, digests: &Digests) -> R<Completed> {
        let bad = |why: &str| Err(tampered(entry.index, why));
        if entry.index != self.frontier.size() {
            return bad("not the next entry");
        }
        if entry.record.v != 1 || entry.record.kind != was {
            return bad("the record is of another kind than the body that was erased");
        }
        if !entry.subject.is_empty() || !entry.subject_salt.0.is_empty() || !entry.body_salt.0.is_empty() {
            return bad("an erased entry still names its subject");
        }
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        self.state.skip(entry.index, entry.record.at, was).map_err(fault)?;
        Ok(self.grow(entry, digests))
    }

    /// The subject that an erasure ends: its chain begins anew should it ever come back.
    fn erased_subject(&self, entry: &ExportedEntry) -> R<Option<String>> {
        let Body::SubjectErased { erasure } = &entry.body else {
            return Ok(None);
        };
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        let entries = erasure.read_unverified().map_err(fault)?.entries;
        self.state.erasable(&entries, entry.record.at).map_err(fault)
    }

    /// 1. the index follows; 2. version and kind; 3. subject id and its salted digest, one salt per subject; 4. sequence
    ///    and link; 5. salted digest of the body.
    fn record_fits(&self, entry: &ExportedEntry, digests: &Digests) -> R<()> {
        let bad = |why: &str| Err(tampered(entry.index, why));
        let record = &entry.record;
        if entry.index != self.frontier.size() {
            return bad("not the next entry");
        }
        if record.v != 1 || record.kind != entry.body.kind() {
            return bad("the record is of another kind than the body");
        }
        let salts =
            (<[u8; 32]>::try_from(entry.subject_salt.0.as_slice()), <[u8; 32]>::try_from(entry.body_salt.0.as_slice()));
        let (Ok(subject_salt), Ok(_)) = salts else {
            return bad("a salt has 32 bytes");
        };
        let subject = self.state.subject(&entry.body).map_err(|e| tampered(entry.index, &e.sentence))?;
        if subject != entry.subject || record.subject != subject_digest(&subject_salt, &subject) {
            return bad("the record is about another subject");
        }
        let link = self.chains.get(&subject);
        let expected = link.map_or((1, Digest([0; 32])), |l| (l.seq + 1, l.leaf));
        if (record.seq, record.prev) != expected || link.is_some_and(|l| l.salt != subject_salt) {
            return bad("the record does not follow on the subject's entry before it");
        }
        if record.body_sha256 != digests.body {
            return bad("the record is of another body");
        }
        match &entry.body {
            Body::TwinRoot { root, .. } if *root != self.twin.root() => {
                bad("the root of the second tree is another one")
            }
            _ => Ok(()),
        }
    }

    fn advance(&mut self, entry: &ExportedEntry, digests: &Digests, gone: Option<String>) -> R<Completed> {
        let salt = entry.subject_salt.0.as_slice().try_into().map_err(|_| tampered(entry.index, "salt"))?;
        self.chains.insert(entry.subject.clone(), Link { seq: entry.record.seq, leaf: digests.leaf, salt });
        if let Some(subject) = gone {
            self.chains.remove(&subject);
        }
        Ok(self.grow(entry, digests))
    }

    fn grow(&mut self, entry: &ExportedEntry, digests: &Digests) -> Completed {
        let claims = twin_claims(&entry.body, &entry.record.body_sha256);
        self.twin.push(twin_leaf(entry.index, &digests.leaf, &claims), |_, _, _| {});
        let mut completed = Vec::new();
        self.frontier.push(digests.leaf, |level, index, hash| completed.push((level, index, hash)));
        completed
    }
}

fn tampered(index: u64, why: &str) -> Refusal {
    Refusal::new(Code::LogTampered, format!("entry {index}: {why}"))
}
