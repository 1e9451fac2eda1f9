//! Entering bodies: rule check, record, rows, what must be told, and afterwards the receipts.

use std::sync::mpsc::SyncSender;

use diesel::prelude::*;
use policies::lifecycle::Link;
use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{Receipt, Record, body_digest, subject_digest};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};

use crate::conn::Db;
use crate::error::Fault;
use crate::tables::{log_entries, log_hashes};
use crate::writer::{Command, Sealed, Work};
use crate::{orders, pending, told, tree};

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

/// An entry whose receipt is still to be made.
struct Entered {
    index: u64,
    record: Record,
    salt: [u8; 32],
    follow_up: Option<(Verified<Body>, Box<Entered>)>,
}

/// Enters bodies in order, all of them or none.
pub(crate) struct Append {
    pub(crate) bodies: Vec<Verified<Body>>,
    /// The bundle of a `RunOrdered`, for the clean room's agent; an order without one is not queued.
    pub(crate) bundle: Option<Vec<u8>>,
    pub(crate) now: Timestamp,
    result: Option<R<Vec<Entered>>>,
    reply: SyncSender<R<Vec<Entry>>>,
}

impl Append {
    pub(crate) fn new(
        bodies: Vec<Verified<Body>>,
        bundle: Option<Vec<u8>>,
        now: Timestamp,
        reply: SyncSender<R<Vec<Entry>>>,
    ) -> Append {
        Append { bodies, bundle, now, result: None, reply }
    }

    /// Tries everything on a copy of the state where more than one entry comes of it; finds the entries that follow.
    fn rehearse(&self, work: &Work, at: Timestamp) -> R<Vec<Option<Verified<Body>>>> {
        if let [only] = self.bodies.as_slice() {
            work.state.check(only, at)?;
            if !matches!(**only, Body::ContractSigned { .. }) {
                return Ok(vec![None]);
            }
        }
        let mut trial = work.state.clone();
        let mut follow_ups = Vec::new();
        for body in &self.bodies {
            let next = trial.follow_up(body)?;
            trial.apply(trial.size(), at, body)?;
            let Some(next) = next else {
                follow_ups.push(None);
                continue;
            };
            let registry = trial.registry()?.clone();
            let next = signing::verify_body(next, &registry, &trial, &|sha256| trial.proposed_payload(sha256))?;
            trial.apply(trial.size(), at, &next)?;
            follow_ups.push(Some(next));
        }
        Ok(follow_ups)
    }
}

impl Command for Append {
    /// After the rehearsal nothing can be refused any more, so a failure from here on is the whole batch's.
    fn run(&mut self, db: &mut Db, work: &mut Work) -> Result<(), Fault> {
        let at = self.now.max(work.state.last_at());
        let follow_ups = match self.rehearse(work, at) {
            Ok(follow_ups) => follow_ups,
            Err(refusal) => {
                self.result = Some(Err(refusal));
                return Ok(());
            }
        };
        let mut all = Vec::new();
        for (body, next) in self.bodies.iter().zip(follow_ups) {
            let mut entered = enter(db, work, body, at).map_err(unforeseen)?;
            if let (Body::RunOrdered { job }, Some(bundle)) = (&**body, &self.bundle) {
                orders::put(db, job, bundle, at).map_err(unforeseen)?;
            }
            if let Some(next) = next {
                let followed = enter(db, work, &next, at).map_err(unforeseen)?;
                entered.follow_up = Some((next, Box::new(followed)));
            }
            all.push(entered);
        }
        self.result = Some(Ok(all));
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: R<&Sealed>) {
        let unanswered = || Err(Refusal::new(Code::Internal, "a command without result"));
        let Append { bodies, result, reply, .. } = *self;
        let result = outcome.and_then(|sealed| {
            let entered = result.unwrap_or_else(unanswered)?;
            bodies.into_iter().zip(entered).map(|(body, entered)| entry(body, entered, sealed)).collect()
        });
        // A caller that has gone away needs no answer; its entry stands.
        drop(reply.send(result));
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
    let path = tree::inclusion(entered.index, sealed.size, &mut |level, index| {
        sealed.nodes.get(&(level, index)).copied().ok_or_else(missing)
    })?;
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

/// Writes one entry: record chained within its subject, leaf, completed subtrees, outbox; folds the state.
fn enter(db: &mut Db, work: &mut Work, body: &Verified<Body>, at: Timestamp) -> Result<Entered, Fault> {
    let index = work.frontier.size();
    let subject = work.state.subject(body)?;
    let link = work.link(&subject);
    let subject_salt = link.map_or_else(signing::signer::random::<32>, |l| Ok(l.salt))?;
    let salt = signing::signer::random::<32>()?;
    let record = Record {
        v: 1,
        kind: body.kind().to_owned(),
        subject: subject_digest(&subject_salt, &subject),
        seq: link.map_or(1, |l| l.seq + 1),
        at,
        body_sha256: body_digest(&salt, body)?,
        prev: link.map_or(Digest([0; 32]), |l| l.leaf),
    };
    let leaf = record.leaf()?;
    let row = (
        log_entries::idx.eq(index as i64),
        log_entries::record.eq(record.bytes()?),
        log_entries::leaf.eq(leaf.0.to_vec()),
        log_entries::subject.eq(&subject),
        log_entries::subject_salt.eq(subject_salt.to_vec()),
        log_entries::body_salt.eq(salt.to_vec()),
        log_entries::body.eq(canonical::to_bytes(&**body)?),
    );
    diesel::insert_into(log_entries::table).values(row).execute(db)?;
    let mut completed = Vec::new();
    work.frontier.push(leaf, |level, index, hash| completed.push((level, index, hash)));
    for (level, index, hash) in completed {
        work.nodes.insert((level, index), hash);
        if level > 0 {
            let row = (
                log_hashes::level.eq(i32::from(level)),
                log_hashes::idx.eq(index as i64),
                log_hashes::hash.eq(hash.0.to_vec()),
            );
            diesel::insert_into(log_hashes::table).values(row).execute(db)?;
        }
    }
    work.moved.insert(subject, Link { seq: record.seq, leaf, salt: subject_salt });
    told::tell(db, &work.state, index, at, body)?;
    pending::settle(db, body)?;
    orders::settle(db, body)?;
    work.state.apply(index, at, body)?;
    Ok(Entered { index, record, salt, follow_up: None })
}
