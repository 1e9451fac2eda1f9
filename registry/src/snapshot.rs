//! The kept state: its rows in the database, so that a start need not replay the log. Rows are a cache, never a truth:
//! all of them together are held by a code under a key that only the registry's signing key gives, and bound to a root
//! of the log. Each row is kept as of a size; those count that are not newer than the head of the kept state, so that a
//! new one can be written little by little while the old one stays whole.

use std::collections::BTreeMap;
use std::sync::Mutex;

use diesel::prelude::*;
use policies::lifecycle::{Frontier, Link, Replay, State, Twin};
use schemas::{Digest, R, Signer};

use crate::Options;
use crate::conn::{self, Db};
use crate::error::{Fault, corrupt, tampered};
use crate::face::Published;
use crate::tables::{state_head, state_rows};
use crate::tiles::{Edge, Tree};

/// The noun of the rows that hold the chains.
const CHAINS: &str = "chains";
/// What the registry's key signs to make the key of the code. Ed25519 signatures are deterministic; this one is never
/// shown.
const PURPOSE: &[u8] = b"depa registry, key of the kept state, version 5\n";
/// A start that replayed at least so many entries keeps the state before it answers.
pub(crate) const BEHIND: u64 = 1_000;
/// Rows of one write.
pub(crate) const PART: usize = 128;

/// A sum of keyed row codes: changes with a row in no more work than the row.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn limbs(code: &Digest) -> [u64; 4] {
        let mut limbs = [0u64; 4];
        for (limb, bytes) in limbs.iter_mut().zip(code.0.chunks_exact(8)) {
            *limb = bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        }
        limbs
    }

    fn add(&mut self, code: &Digest) {
        let mut carry = 0u128;
        for (own, other) in self.0.iter_mut().zip(Sum::limbs(code)) {
            let sum = u128::from(*own) + u128::from(other) + carry;
            (*own, carry) = (sum as u64, sum >> 64);
        }
    }

    fn take(&mut self, code: &Digest) {
        let mut borrow = 0u64;
        for (own, other) in self.0.iter_mut().zip(Sum::limbs(code)) {
            let (less, under) = own.overflowing_sub(other);
            let (less, again) = less.overflowing_sub(borrow);
            (*own, borrow) = (less, u64::from(under) + u64::from(again));
        }
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }
}

/// A state as it was kept.
pub(crate) struct Kept {
    pub(crate) size: u64,
    pub(crate) root: Digest,
    pub(crate) replay: Replay,
}

#[derive(Clone, Default)]
struct Done {
    replay: Option<Replay>,
    sum: Sum,
}

/// A row to be written: noun, key, value; none where it is gone.
type Row = (String, Vec<u8>, Value);
/// The value of a row, where it is not gone.
type Value = Option<Vec<u8>>;

/// A state on its way into the database.
pub(crate) struct Pending {
    pub(crate) rows: Vec<Row>,
    pub(crate) size: u64,
    root: Digest,
    mac: Digest,
    /// No other state is kept: rows of another size are rubbish.
    whole: bool,
    done: Done,
}

/// Keeps states.
pub(crate) struct Snapshots {
    /// Written with the first; read with any, so that a state outlives a change of the registry's key.
    keys: Vec<[u8; 32]>,
    done: Mutex<Done>,
}

impl Snapshots {
    pub(crate) fn new(options: &Options) -> R<Snapshots> {
        Snapshots::with(&options.all().collect::<Vec<_>>())
    }

    pub(crate) fn with(signers: &[&dyn Signer]) -> R<Snapshots> {
        let key = |signer: &&dyn Signer| Ok(Digest::of(&signer.sign_bytes(PURPOSE)?).0);
        Ok(Snapshots { keys: signers.iter().map(key).collect::<R<_>>()?, done: Mutex::default() })
    }

    fn key(&self) -> &[u8; 32] {
        self.keys.first().unwrap_or(&[0; 32])
    }

    fn done(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(|p| p.into_inner())
    }

    fn code(&self, noun: &str, key: &[u8], value: &[u8]) -> Digest {
        code(self.key(), noun, key, value)
    }

    fn mac(&self, size: u64, root: &Digest, sum: &Sum) -> Digest {
        mac(self.key(), size, root, sum)
    }

    /// The sum of these rows under the first key, where some key of ours made this code of them.
    fn sum(&self, rows: &[Row], size: u64, root: &Digest, made: &[u8]) -> Option<Sum> {
        let sum = |with: &[u8; 32]| {
            let mut sum = Sum::default();
            for (noun, key, value) in rows {
                if let Some(value) = value {
                    sum.add(&code(with, noun, key, value));
                }
            }
            sum
        };
        let own = sum(self.key());
        let by = |with: &[u8; 32], sum: &Sum| mac(with, size, root, sum).0.as_slice() == made;
        let known = by(self.key(), &own) || self.keys.iter().skip(1).any(|key| by(key, &sum(key)));
        known.then_some(own)
    }

    /// The size as of which a state is kept.
    pub(crate) fn size(&self) -> u64 {
        self.done().replay.as_ref().map_or(0, |replay| replay.state.size())
    }

    /// The kept state, if it is whole; not newer than the log. None where none is kept.
    pub(crate) fn load(&self, db: &mut Db, size: u64) -> Result<Option<Kept>, Fault> {
        *self.done() = Done::default();
        let Some((kept, sum)) = self.read(db, size)? else { return Ok(None) };
        *self.done() = Done { replay: Some(kept.replay.clone()), sum };
        Ok(Some(kept))
    }

    /// Compares the kept rows with their code.
    pub(crate) fn check(&self, db: &mut Db, size: u64) -> Result<(), Fault> {
        self.read(db, size).map(drop)
    }

    fn read(&self, db: &mut Db, log_size: u64) -> Result<Option<(Kept, Sum)>, Fault> {
        type Head = (i64, Vec<u8>, Vec<u8>);
        let columns = (state_head::size, state_head::root, state_head::mac);
        let head: Option<Head> = state_head::table.find(1).select(columns).first(db).optional()?;
        let Some((size, root, mac)) = head else { return Ok(None) };
        let root = Digest(root.try_into().map_err(|_| tampered("the kept state: its root is no digest"))?);
        let rows = state_rows::table.filter(state_rows::size.le(size));
        let rows: Vec<(String, Vec<u8>, i64, Value)> =
            rows.order((state_rows::noun, state_rows::row_key, state_rows::size)).load(db)?;
        let mut newest: Vec<Row> = Vec::with_capacity(rows.len());
        for (noun, key, _, value) in rows {
            match newest.last_mut() {
                Some(last) if last.0 == noun && last.1 == key => last.2 = value,
                _ => newest.push((noun, key, value)),
            }
        }
        let size = size.unsigned_abs();
        let sum = self.sum(&newest, size, &root, &mac).filter(|_| size <= log_size);
        let sum = sum.ok_or_else(|| tampered("the kept state was changed or is of another log"))?;
        let (chains, state): (Vec<Row>, Vec<Row>) = newest.into_iter().partition(|(noun, ..)| noun == CHAINS);
        let rows = state.into_iter().filter_map(|(noun, key, value)| Some((noun, key, value?)));
        let mut replay = Replay::new();
        replay.state = State::from_rows(rows)?;
        for (_, subject, link) in chains {
            if let Some(link) = link {
                replay.chains.insert(String::from_utf8(subject).map_err(|_| corrupt("a chain"))?, unlink(&link)?);
            }
        }
        replay.frontier = Frontier::resume(size, Edge::at(db, Tree::Log, size)?.peaks());
        replay.twin = Twin::resume(size, Edge::at(db, Tree::Twin, size)?.peaks());
        Ok(Some((Kept { size, root, replay }, sum)))
    }

    /// What must be written so that this state is kept: only what changed since the last one.
    pub(crate) fn prepare(&self, published: &Published) -> R<Option<Pending>> {
        let done = self.done().clone();
        let (new, size) = (&published.replay, published.head.size);
        if done.replay.as_ref().is_some_and(|old| old.state.size() >= size) || size == 0 {
            return Ok(None);
        }
        let mut sum = done.sum;
        let whole = done.replay.is_none();
        let rows = match &done.replay {
            None => everything(new)?,
            Some(old) => {
                let gone: BTreeMap<(String, Vec<u8>), Option<Vec<u8>>> =
                    changes(old, new)?.into_iter().map(|(noun, key, value)| ((noun, key), value)).collect();
                for ((noun, key), value) in &gone {
                    if let Some(value) = value {
                        sum.take(&self.code(noun, key, value));
                    }
                }
                changes(new, old)?
            }
        };
        for (noun, key, value) in &rows {
            if let Some(value) = value {
                sum.add(&self.code(noun, key, value));
            }
        }
        let root = published.head.root;
        let done = Done { replay: Some(new.clone()), sum };
        Ok(Some(Pending { rows, size, root, mac: self.mac(size, &root, &sum), whole, done }))
    }

    /// The new state counts from here on.
    pub(crate) fn finish(&self, done: FinishedState) {
        *self.done() = done.0;
    }

    /// Keeps this state in one transaction: at the end of a writer.
    pub(crate) fn write_now(&self, db: &mut Db, published: &Published) -> Result<(), Fault> {
        let Some(pending) = self.prepare(published)? else { return Ok(()) };
        conn::write(db, |db| {
            tidy(db)?;
            put(db, &pending.rows, pending.size)?;
            pending.seal(db)?;
            clean(db, &pending.rows, pending.size)
        })?;
        self.finish(pending.finished());
        Ok(())
    }
}

/// A state that is in the database.
pub(crate) struct FinishedState(Done);

impl Pending {
    /// The head of the kept state moves.
    pub(crate) fn seal(&self, db: &mut Db) -> Result<(), Fault> {
        diesel::delete(state_head::table).execute(db)?;
        let row = (
            state_head::id.eq(1),
            state_head::size.eq(self.size as i64),
            state_head::root.eq(self.root.0.to_vec()),
            state_head::mac.eq(self.mac.0.to_vec()),
        );
        diesel::insert_into(state_head::table).values(row).execute(db)?;
        if self.whole {
            diesel::delete(state_rows::table.filter(state_rows::size.ne(self.size as i64))).execute(db)?;
        }
        Ok(())
    }

    pub(crate) fn finished(&self) -> FinishedState {
        FinishedState(self.done.clone())
    }
}

/// Removes rows that an interrupted writer left: newer than the kept state.
pub(crate) fn tidy(db: &mut Db) -> Result<(), Fault> {
    let size: Option<i64> = state_head::table.find(1).select(state_head::size).first(db).optional()?;
    diesel::delete(state_rows::table.filter(state_rows::size.gt(size.unwrap_or(-1)))).execute(db)?;
    Ok(())
}

/// Removes a kept state that is not whole, or that a key wrote which is no longer here: it is a cache, and comes anew.
pub(crate) fn forget(db: &mut Db) -> Result<(), Fault> {
    diesel::delete(state_head::table).execute(db)?;
    diesel::delete(state_rows::table).execute(db)?;
    Ok(())
}

/// Writes rows as of a size.
pub(crate) fn put(db: &mut Db, rows: &[Row], size: u64) -> Result<(), Fault> {
    for (noun, key, value) in rows {
        let row = (
            state_rows::noun.eq(noun),
            state_rows::row_key.eq(key),
            state_rows::size.eq(size as i64),
            state_rows::value.eq(value),
        );
        diesel::insert_into(state_rows::table).values(row).execute(db)?;
    }
    Ok(())
}

/// Removes what rows of this size have replaced.
pub(crate) fn clean(db: &mut Db, rows: &[Row], size: u64) -> Result<(), Fault> {
    for (noun, key, value) in rows {
        let last = if value.is_some() { size as i64 - 1 } else { size as i64 };
        let old = state_rows::table.filter(state_rows::noun.eq(noun)).filter(state_rows::row_key.eq(key));
        diesel::delete(old.filter(state_rows::size.le(last))).execute(db)?;
    }
    Ok(())
}

fn code(with: &[u8; 32], noun: &str, key: &[u8], value: &[u8]) -> Digest {
    let (noun_length, key_length) = ((noun.len() as u64).to_be_bytes(), (key.len() as u64).to_be_bytes());
    Digest::of_parts(&[with, b"row", &noun_length, noun.as_bytes(), &key_length, key, value])
}

fn mac(with: &[u8; 32], size: u64, root: &Digest, sum: &Sum) -> Digest {
    Digest::of_parts(&[with, b"head", &size.to_be_bytes(), &root.0, &sum.bytes()])
}

fn everything(replay: &Replay) -> R<Vec<Row>> {
    let state = replay.state.rows().map(|row| row.map(|(noun, key, value)| (noun.to_owned(), key, Some(value))));
    let chains = replay.chains.iter().map(|(subject, l)| Ok(chain(subject, Some(l))));
    state.chain(chains).collect()
}

/// The rows of `new` that are not those of `old`.
fn changes(new: &Replay, old: &Replay) -> R<Vec<Row>> {
    use imbl::ordmap::DiffItem;
    let state = new.state.changed_since(&old.state)?;
    let mut rows: Vec<Row> = state.into_iter().map(|(noun, key, value)| (noun.to_owned(), key, value)).collect();
    rows.extend(old.chains.diff(&new.chains).map(|change| match change {
        DiffItem::Add(subject, link) | DiffItem::Update { new: (subject, link), .. } => chain(subject, Some(link)),
        DiffItem::Remove(subject, _) => chain(subject, None),
    }));
    Ok(rows)
}

fn chain(subject: &str, link: Option<&Link>) -> Row {
    let value = link.map(|l| [l.seq.to_be_bytes().as_slice(), &l.leaf.0, &l.salt].concat());
    (CHAINS.to_owned(), subject.as_bytes().to_vec(), value)
}

fn unlink(value: &[u8]) -> R<Link> {
    let parts = value.split_first_chunk::<8>().and_then(|(seq, rest)| {
        let (leaf, salt) = rest.split_first_chunk::<32>()?;
        Some(Link { seq: u64::from_be_bytes(*seq), leaf: Digest(*leaf), salt: salt.try_into().ok()? })
    });
    parts.ok_or_else(|| corrupt("a chain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_forgets_what_is_taken_from_it() {
        let codes: Vec<Digest> = (0..50u8).map(|n| Digest::of(&[n])).collect();
        let (mut all, mut some) = (Sum::default(), Sum::default());
        codes.iter().for_each(|code| all.add(code));
        codes[10..].iter().for_each(|code| some.add(code));
        assert!(all != some);
        codes[..10].iter().for_each(|code| all.take(code));
        assert!(all == some);
        some.add(&Digest([0xff; 32]));
        some.take(&Digest([0xff; 32]));
        assert!(all.bytes() == some.bytes());
    }
}
