//! Entering bodies: rule check, record, rows, what must be told, and afterwards the receipts.

use diesel::prelude::*;
use policies::lifecycle::{Link, State, twin_claims, twin_leaf};
use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{Receipt, Record, leaf_hash, subject_digest};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};

use crate::conn::Db;
use crate::error::Fault;
use crate::tables::log_entries;
use crate::tiles::Tree;
use crate::writer::{Command, Sealed, Work};
use crate::{erase, orders, pending, told, tree};

/// An entry as answered: its receipt, the body as entered, and the entry that followed in the same transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Verifies offline with `signing::verify_receipt`.
    pub receipt: Receipt,
    /// The body as entered; a completion with its obligations.
    pub body: Body,
    /// `ContractExecuted`, when this entry brought the last signature.
    pub follow_up: Option<Box<Entry>>,
}

/// A row of `log_entries`.
#[derive(Clone, Insertable)]
#[diesel(table_name = log_entries)]
pub(crate) struct EntryRow {
    pub(crate) idx: i64,
    pub(crate) record: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) subject_salt: Vec<u8>,
    pub(crate) body_salt: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// A body with all that can be made of it before its place in the log is known; made in the caller's thread.
pub(crate) struct Prepared {
    body: Verified<Body>,
    bytes: Vec<u8>,
    salt: [u8; 32],
    digest: Digest,
}

impl Prepared {
    pub(crate) fn new(body: Verified<Body>) -> R<Prepared> {
        let (bytes, salt) = (canonical::to_bytes(&*body)?, signing::signer::random::<32>()?);
        let digest = Digest::of_parts(&[&salt, &bytes]);
        Ok(Prepared { body, bytes, salt, digest })
    }
}

/// An entry whose receipt is still to be made.
struct Entered {
    index: u64,
    record: Record,
    salt: [u8; 32],
    follow_up: Option<(Verified<Body>, Box<Entered>)>,
}

/// A body whose rules were checked, with the state before it.
struct Step {
    before: State,
    subject: String,
    next: Option<(Prepared, State, String)>,
}

/// Called once with what came of an append.
pub(crate) type Then = Box<dyn FnOnce(R<Vec<Entry>>) + Send>;

/// Enters bodies in order, all of them or none.
pub(crate) struct Append {
    prepared: Vec<Prepared>,
    /// The bundle of a `RunOrdered`, for the clean room's agent; an order without one is not queued.
    bundle: Option<Vec<u8>>,
    now: Timestamp,
    result: Option<R<Vec<Entered>>>,
    then: Option<Then>,
}

impl Append {
    pub(crate) fn new(prepared: Vec<Prepared>, bundle: Option<Vec<u8>>, now: Timestamp, then: Then) -> Append {
        Append { prepared, bundle, now, result: None, then: Some(then) }
    }

    /// Checks and folds everything on a copy of the state; finds the entries that follow.
    fn rehearse(&self, work: &Work, at: Timestamp) -> R<(State, Vec<Step>)> {
        if let Some(refusal) = &work.stopped {
            return Err(refusal.clone());
        }
        let mut trial = work.state().clone();
        let mut steps = Vec::with_capacity(self.prepared.len());
        for prepared in &self.prepared {
            let body = &prepared.body;
            let before = trial.clone();
            let next = trial.follow_up(body)?;
            trial.apply(trial.size(), at, body)?;
            before.check_entering(body)?;
            let subject = before.subject(body)?;
            let Some(next) = next else {
                steps.push(Step { before, subject, next: None });
                continue;
            };
            // Its signatures were verified when each was entered; the fold compares them byte for byte.
            let next = signing::assembled(next)?;
            let between = trial.clone();
            trial.apply(trial.size(), at, &next)?;
            let next_subject = between.subject(&next)?;
            steps.push(Step { before, subject, next: Some((Prepared::new(next)?, between, next_subject)) });
        }
        Ok((trial, steps))
    }
}

impl Command for Append {
    /// After the rehearsal nothing can be refused any more, so a failure from here on is the whole batch's.
    fn run(&mut self, db: &mut Db, work: &mut Work) -> Result<(), Fault> {
        let at = self.now.max(work.state().last_at());
        let (state, steps) = match self.rehearse(work, at) {
            Ok(rehearsed) => rehearsed,
            Err(refusal) => {
                self.result = Some(Err(refusal));
                return Ok(());
            }
        };
        let mut all = Vec::new();
        for (prepared, step) in self.prepared.iter().zip(steps) {
            let mut entered =
                enter(db, work, prepared, (&step.before, &state), step.subject, at).map_err(unforeseen)?;
            if let (Body::RunOrdered { job }, Some(bundle)) = (&*prepared.body, &self.bundle) {
                orders::put(db, job, bundle, at).map_err(unforeseen)?;
            }
            if let Some((next, before, subject)) = step.next {
                let followed = enter(db, work, &next, (&before, &state), subject, at).map_err(unforeseen)?;
                entered.follow_up = Some((next.body, Box::new(followed)));
            }
            all.push(entered);
        }
        work.memory.replay.state = state;
        self.result = Some(Ok(all));
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: R<&Sealed>) {
        let unanswered = || Err(Refusal::new(Code::Internal, "a command without result"));
        let Append { prepared, result, then, .. } = *self;
        let result = outcome.and_then(|sealed| {
            let entered = result.unwrap_or_else(unanswered)?;
            let made = prepared.into_iter().zip(entered);
            made.map(|(prepared, entered)| entry(prepared.body, entered, sealed)).collect()
        });
        if let Some(then) = then {
            then(result);
        }
    }
}

/// A refusal where none can come any more is our own fault.
fn unforeseen(fault: Fault) -> Fault {
    if let Fault::Refused(refusal) = &fault {
        tracing::error!(cause = %refusal, "an entry failed after its rules were checked");
        return Fault::Database(diesel::result::Error::RollbackTransaction);
    }
    fault
}

fn entry(body: Verified<Body>, entered: Entered, sealed: &Sealed) -> R<Entry> {
    let missing = || Refusal::new(Code::Internal, "a node of the tree is missing");
    let mut node = |level, index| sealed.nodes.get(level, index).ok_or_else(missing);
    let path = tree::inclusion(Tree::Log, entered.index, sealed.size, &mut node)?;
    let receipt = Receipt {
        index: entered.index,
        record: entered.record,
        body_salt: Bytes(entered.salt.to_vec()),
        path,
        checkpoint: sealed.checkpoint.clone(),
    };
    let follow_up = entered.follow_up.map(|(body, next)| entry(body, *next, sealed).map(Box::new)).transpose()?;
    Ok(Entry { receipt, body: body.into_inner(), follow_up })
}

/// One entry: its record in the trees and in its subject's chain, and what it causes in the tables beside the log.
fn enter(
    db: &mut Db,
    work: &mut Work,
    prepared: &Prepared,
    (before, after): (&State, &State),
    subject: String,
    at: Timestamp,
) -> Result<Entered, Fault> {
    let entered = put(work, prepared, subject, at)?;
    told::tell(db, before, after, entered.index, at, &prepared.body)?;
    pending::settle(db, &prepared.body)?;
    orders::settle(db, &prepared.body)?;
    erase::settle(db, work, &prepared.body)?;
    Ok(entered)
}

/// An entry of the writer's own, which causes nothing beside the log.
pub(crate) fn own(work: &mut Work, body: Verified<Body>, at: Timestamp) -> R<()> {
    let prepared = Prepared::new(body)?;
    let subject = work.state().subject(&prepared.body)?;
    let index = work.memory.log.size();
    work.memory.replay.state.apply(index, at, &prepared.body)?;
    put(work, &prepared, subject, at).map(drop)
}

/// The record, chained within its subject; the leaves of both trees; the row.
fn put(work: &mut Work, prepared: &Prepared, subject: String, at: Timestamp) -> R<Entered> {
    let memory = &mut work.memory;
    let index = memory.log.size();
    let link = memory.replay.chains.get(&subject);
    let salt = link.map_or_else(signing::signer::random::<32>, |l| Ok(l.salt))?;
    let record = Record {
        v: 1,
        kind: prepared.body.kind().to_owned(),
        subject: subject_digest(&salt, &subject),
        seq: link.map_or(1, |l| l.seq + 1),
        at,
        body_sha256: prepared.digest,
        prev: link.map_or(Digest([0; 32]), |l| l.leaf),
    };
    let bytes = record.bytes()?;
    let leaf = leaf_hash(&bytes);
    memory.log.push(leaf, &mut work.log);
    memory.replay.frontier.push(leaf, |_, _, _| {});
    let twin = twin_leaf(index, &leaf, &twin_claims(&prepared.body, &record.body_sha256));
    memory.twin.push(twin, &mut work.twin);
    memory.replay.twin.push(twin, |_, _, _| {});
    memory.replay.chains.insert(subject.clone(), Link { seq: record.seq, leaf, salt });
    work.rows.push(EntryRow {
        idx: index as i64,
        record: bytes,
        subject,
        subject_salt: salt.to_vec(),
        body_salt: prepared.salt.to_vec(),
        body: prepared.bytes.clone(),
    });
    Ok(Entered { index, record, salt: prepared.salt, follow_up: None })
}

/// Writes the rows of a batch: one statement on PostgreSQL, where each costs a round trip.
pub(crate) fn insert(db: &mut Db, rows: &[EntryRow]) -> Result<(), Fault> {
    match db {
        Db::Pg(db) => {
            for some in rows.chunks(2048) {
                diesel::insert_into(log_entries::table).values(some).execute(db)?;
            }
        }
        Db::Sqlite(db) => {
            for row in rows {
                diesel::insert_into(log_entries::table).values(row).execute(db)?;
            }
        }
    }
    Ok(())
}
