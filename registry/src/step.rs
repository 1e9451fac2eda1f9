//! One stored entry: read, compared with its record and salts, folded. Start-up, followers, scrub and restore all take
//! this one step.

use std::borrow::Borrow;

use policies::lifecycle::{Digests, State, twin_claims, twin_leaf};
use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{ExportedEntry, Record, leaf_hash};
use schemas::text::Bytes;
use schemas::{Digest, R, Refusal, canonical};

use crate::erase;
use crate::error::tampered;
use crate::log::StoredEntry;
use crate::tiles::Grown;
use crate::writer::Memory;

/// A stored entry that was read, with digests over its bytes as they stand.
pub(crate) struct Step {
    pub(crate) entry: ExportedEntry,
    pub(crate) digests: Digests,
}

/// What a fold makes of the two trees.
#[derive(Default)]
pub(crate) struct Growth {
    pub(crate) log: Grown,
    pub(crate) twin: Grown,
}

impl Step {
    /// Reads an entry; every fault names it.
    pub(crate) fn read(stored: StoredEntry) -> R<Step> {
        let index = stored.index;
        let bad = |e: Refusal| tampered(&format!("entry {index}: {}", e.sentence));
        let read = || -> R<Step> {
            let record: Record = canonical::parse(&stored.record)?;
            let body: Body = canonical::parse(&stored.body)?;
            let digest = match erase::is_erased(&body) {
                true => record.body_sha256,
                false => Digest::of_parts(&[&stored.body_salt, &stored.body]),
            };
            let digests = Digests { body: digest, leaf: leaf_hash(&stored.record) };
            let (subject_salt, body_salt) = (Bytes(stored.subject_salt), Bytes(stored.body_salt));
            let index = u64::try_from(stored.index).map_err(|_| tampered("its index is negative"))?;
            let entry = ExportedEntry { index, record, subject: stored.subject, subject_salt, body_salt, body };
            Ok(Step { entry, digests })
        };
        read().map_err(bad)
    }

    /// Reads a page of entries, on two threads when it is long.
    pub(crate) fn read_all(mut stored: Vec<StoredEntry>) -> Vec<R<Step>> {
        let read = |half: Vec<StoredEntry>| half.into_iter().map(Step::read).collect::<Vec<_>>();
        if stored.len() < 64 {
            return read(stored);
        }
        let second = stored.split_off(stored.len() / 2);
        std::thread::scope(|scope| {
            let second = scope.spawn(move || read(second));
            let mut all = read(stored);
            all.extend(second.join().unwrap_or_else(|_| vec![Err(tampered("an entry could not be read"))]));
            all
        })
    }

    /// Verifies every signature in the body with the keys of this state.
    pub(crate) fn verify(&self, state: &State) -> R<Verified<Body>> {
        let bad = |e: Refusal| tampered(&format!("entry {}: {}: {}", self.entry.index, e.code, e.sentence));
        let registry = match (&self.entry.body, state.registry()) {
            (Body::Genesis { registry, .. }, _) => registry.clone(),
            (_, registry) => registry.map_err(bad)?.clone(),
        };
        let body = self.entry.body.clone();
        signing::verify_body(body, &registry, state, &|sha256| state.proposed_payload(sha256)).map_err(bad)
    }

    /// Folds the entry into the memory.
    pub(crate) fn fold(&self, memory: &mut Memory, verified: Option<&Verified<Body>>, growth: &mut Growth) -> R<()> {
        let Step { entry, digests } = self;
        match verified {
            Some(body) => memory.replay.enter_read(entry, body, digests)?,
            None => memory.replay.reenter_read(entry, digests)?,
        };
        memory.log.push(digests.leaf, &mut growth.log);
        let claims = twin_claims(&entry.body, &entry.record.body_sha256);
        memory.twin.push(twin_leaf(entry.index, &digests.leaf, &claims), &mut growth.twin);
        Ok(())
    }
}

/// Verifies the signatures of a page on two threads, with the keys known before it. Where a key came within the page
/// the result is none, and the entry is verified again in its place.
pub(crate) fn verify_all<S: Borrow<Step> + Sync>(steps: &[S], state: &State) -> Vec<Option<Verified<Body>>> {
    let verify = |half: &[S]| half.iter().map(|step| step.borrow().verify(state).ok()).collect::<Vec<_>>();
    if steps.len() < 8 {
        return verify(steps);
    }
    let (first, second) = steps.split_at(steps.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| verify(second));
        let mut all = verify(first);
        all.extend(other.join().unwrap_or_else(|_| second.iter().map(|_| None).collect()));
        all
    })
}
