//! The memory of the registry: one database, one writer, one transparency log, and the state that follows from it.
//!
//! [`Registry::open`] checks the log and starts the writer thread; [`Registry::verify`] and [`Registry::append`] enter
//! bodies and answer with receipts that verify offline; [`Registry::state`] is the fold of everything entered so far
//! and the book of keys. Reads of the log are in `log`, the queue of ordered jobs in `orders`, what is told to others in
//! `endpoint` and `outbox`, things that count once in `once`, first signatures of two in `pending`.
//!
//! Promises: an answer comes after the commit is on the disk; log order = commit order = state order; what an entry
//! owes or tells is written in its own transaction; nothing but the writer writes. Calls block: services call them from
//! a blocking thread.

mod answers;
mod backup;
mod conn;
mod drafts;
mod endpoint;
mod enter;
mod erase;
mod error;
mod face;
mod follow;
mod keep;
mod keys;
mod lineage;
mod listeners;
mod load;
mod lock;
mod log;
mod once;
mod orders;
mod outbox;
mod pace;
mod pending;
mod people;
mod restore;
mod scrub;
mod snapshot;
mod step;
mod tables;
mod tiles;
mod told;
mod topics;
mod tree;
mod twin;
mod writer;

pub use backup::{backup, restore};
pub use drafts::{Draft, DraftLine};
pub use endpoint::{Endpoint, Former};
pub use enter::Entry;
pub use listeners::Listeners;
pub use lock::Lock;
pub use log::{MAX_EXPORT, TILE};
pub use once::{Begun, OPEN_CHALLENGES, StoredChallenge};
pub use orders::{LeasedOrder, OrderState};
pub use outbox::{
    Asked, Attempt, AttemptRow, DISABLED, DeliveryRow, Dispatched, Ended, Finished, Leased, LeasedDelivery, PING,
    Replayed, Wish, with_attempt,
};
pub use pace::WriterPace;
pub use pending::PendingAct;
pub use people::{
    Ceremony, CodeHash, EnrolmentRight, NewMeans, NewSession, PasskeyUse, Person, Presence, SESSION_SECONDS,
    StoredPasskey, StoredSession, enrol_beside,
};
pub use restore::succeed;
pub use scrub::ScrubStatus;
pub use told::PSP;
pub use topics::{OWED, TOPICS, Topic};
pub use twin::{TwinLeaf, TwinProof};

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;

use diesel::r2d2::Pool;
use policies::lifecycle::State;
use schemas::bundle::JobBundle;
use schemas::envelope::Verified;
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::log::CheckpointRef;
use schemas::{Code, R, Refusal, Signer, Timestamp, canonical};

use conn::{Db, Door, Place, Reader};
use enter::{Append, Prepared, Then};
use error::Fault;
use face::{Face, Published};
use listeners::Listening;
use snapshot::Snapshots;
use writer::{Command, QUEUE, Side, Start};

/// What a registry is opened with. The log belongs to these for ever: another key or origin is refused.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:///path` or a path.
    pub url: String,
    /// Origin of the checkpoints, like `sro.example/log`.
    pub origin: String,
    /// The registry.
    pub registry: Did,
    /// SRO people, at least two.
    pub sro: Vec<SroPerson>,
    /// The registry's key.
    pub signer: Arc<dyn Signer>,
    /// Its next key, or the one before: set where there is one, at the latest when the next one is entered
    /// (`LogKeyRotated`). The log says which of the two is in use.
    pub next: Arc<OnceLock<Arc<dyn Signer>>>,
    /// Connections for reading.
    pub readers: u32,
}

/// A handle; cheap to clone. The writer ends, its last commit done, when the last handle is dropped.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Option<SyncSender<Box<dyn Command>>>,
    /// Dropped first: ends what goes on in the background.
    closing: Option<SyncSender<()>>,
    threads: Vec<JoinHandle<()>>,
    face: Arc<Face>,
    snapshots: Arc<Snapshots>,
    readers: Pool<Door>,
    registry: Did,
    listening: Listening,
    /// Given back last, when all threads have ended.
    lock: Option<Lock>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        (self.closing, self.queue) = (None, None);
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a callback or by the background thread itself.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl Shared {
    fn new(face: Arc<Face>, snapshots: Arc<Snapshots>, readers: Pool<Door>, registry: Did) -> Shared {
        let (threads, listening) = (Vec::new(), Listening::default());
        Shared { queue: None, closing: None, threads, face, snapshots, readers, registry, listening, lock: None }
    }

    fn readers(&self) -> Result<Reader, Fault> {
        self.readers.get().map_err(|e| {
            tracing::error!(cause = %e, "no connection for reading");
            Refusal::new(Code::Unavailable, "the registry cannot read now; try again later").into()
        })
    }
}

/// Whether this process may write. The server needs a moment to notice that a writer that was killed is gone.
fn leads(db: &mut Db) -> R<bool> {
    for _ in 0..5 {
        if conn::leads(db).map_err(Fault::refusal)? {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(false)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> R<JoinHandle<()>> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|e| Refusal::new(Code::Internal, format!("no thread: {e}")))
}

impl Registry {
    /// Opens the database, checks the log (`LOG_TAMPERED` names the entry), starts the writer; a new log begins with
    /// its genesis entry. Where another process writes the log (PostgreSQL), this one follows it until that one ends; where
    /// another one has it open (SQLite), this one is refused with `STORE_IN_USE`.
    pub fn open(options: Options, now: Timestamp) -> R<Registry> {
        let lock = Lock::take(&Place::parse(&options.url)?)?;
        Registry::open_under(lock, options, now)
    }

    /// [`Registry::open`] under a lock of this place that the caller goes on to hold.
    pub fn open_under(lock: Lock, options: Options, now: Timestamp) -> R<Registry> {
        let genesis = Body::Genesis {
            registry: options.registry.clone(),
            registry_jwk: options.signer.jwk().clone(),
            origin: options.origin.clone(),
            sro: options.sro.clone(),
            succeeds: None,
        };
        Registry::open_with(lock, options, genesis, now)
    }

    /// [`Registry::open`] with the first entry that a new log gets.
    fn open_with(lock: Lock, options: Options, genesis: Body, now: Timestamp) -> R<Registry> {
        let place = Place::parse(&options.url)?;
        let mut db = place.writer()?;
        let snapshots = Arc::new(Snapshots::new(&options)?);
        let leads = leads(&mut db)?;
        let epoch = leads.then(|| load::take_epoch(&mut db)).transpose().map_err(Fault::refusal)?;
        let (memory, head, replayed) = load::load(&mut db, &options, &snapshots)?;
        if leads {
            let ready = conn::write(&mut db, |db| {
                load::furnish(db, &memory)?;
                if snapshots.size() == 0 {
                    snapshot::forget(db)?;
                }
                snapshot::tidy(db)
            });
            ready.map_err(Fault::refusal)?;
        }
        let fresh = leads && memory.replay.state.genesis().is_none();
        let readers = conn::readers(&place, options.readers.max(1))?;
        let face = Arc::new(Face::new(Published::new(memory.replay.clone(), head.at.root, head.note), leads, replayed));
        face.tiles.adopt(&memory.log, Vec::new());
        face.tiles.adopt(&memory.twin, Vec::new());
        if leads && replayed >= snapshot::BEHIND {
            // A process that is killed young again and again would else replay more each time.
            if let Err(fault) = snapshots.write_now(&mut db, &face.published()) {
                tracing::warn!(?fault, "the state could not be kept; the next start replays these entries too");
            }
        }
        let (body, did) = (genesis.clone(), options.registry.clone());
        let first = move || -> R<Box<dyn Command>> {
            let body = signing::verify_body(body.clone(), &did, &State::new(), &|_| None)?;
            let then: Then = Box::new(|result| {
                if let Err(refusal) = result {
                    tracing::error!(%refusal, "the first entry was refused");
                }
            });
            Ok(Box::new(Append::new(vec![Prepared::new(body)?], None, now, then)))
        };
        let registry = options.registry.clone();
        let (face, kept) = (Arc::clone(&face), Arc::clone(&snapshots));
        let start = Start {
            place,
            memory,
            epoch,
            options,
            face: Arc::clone(&face),
            snapshots: Arc::clone(&snapshots),
            genesis: Box::new(first),
        };
        let mut shared = Shared::new(face, kept, readers, registry);
        shared.lock = Some(lock);
        let opened = Registry::start(start, db, shared)?;
        if fresh {
            opened.append(opened.verify(genesis)?, now)?;
        }
        Ok(opened)
    }

    /// Starts the threads: writer, answers, background.
    fn start(start: Start, db: Db, mut shared: Shared) -> R<Registry> {
        let writer = start.writer(db)?;
        let (queue, commands) = sync_channel(QUEUE);
        let (answers, batches) = writer::answers();
        let (closing, closed) = sync_channel(0);
        shared.queue = Some(queue);
        shared.closing = Some(closing);
        shared.threads.push(spawn("registry-writer", move || writer.run(&commands, &answers))?);
        shared.threads.push(spawn("registry-answers", move || writer::answer(batches))?);
        // The background thread must stand in the list that the drop joins, and needs the handle that holds the list.
        let (hand, taken) = sync_channel::<Weak<Shared>>(1);
        shared.threads.insert(
            0,
            spawn("registry-keeper", move || {
                if let Ok(shared) = taken.recv() {
                    keep::run(&shared, &closed);
                }
            })?,
        );
        let shared = Arc::new(shared);
        drop(hand.send(Arc::downgrade(&shared)));
        Ok(Registry { shared })
    }

    /// The state after the last commit; also the book of keys. A snapshot: it does not change under its holder.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.shared.face.published().state)
    }

    /// Whether this process writes the log; else it follows the one that does, and refuses writes with `NOT_WRITER`.
    pub fn is_writer(&self) -> bool {
        self.shared.face.leads()
    }

    /// How many entries the start replayed: few where the state was kept, all where it was not or did not fit.
    pub fn replayed(&self) -> u64 {
        self.shared.face.replayed
    }

    /// Why nothing may be entered, if so: a difference that the scrub found, a witness that has seen more, tables that a later
    /// build has brought on.
    pub fn read_only(&self) -> Option<Refusal> {
        self.shared.face.may_write(self.shared.face.published().head.size).err()
    }

    /// Refuses where what is known here may be old: [`Registry::read_only`], or the log was neither read nor written for
    /// five seconds (`UNAVAILABLE`), because its database is away or another process has taken it over. Whoever speaks
    /// for the log asks this first.
    pub fn fresh(&self) -> R<()> {
        self.read_only().map_or_else(|| self.shared.face.fresh(), Err)
    }

    /// The head of the log in a database, which is checked and not changed. Another process may have it open.
    pub fn inspect(options: &Options) -> R<CheckpointRef> {
        let place = Place::parse(&options.url)?;
        let mut db = place.reader()?;
        let (_, head, _) = load::load(&mut db, options, &Snapshots::new(options)?)?;
        Ok(head.at)
    }

    /// Whether the database holds no log yet; it is not changed.
    pub fn is_empty(options: &Options) -> R<bool> {
        let mut db = Place::parse(&options.url)?.reader()?;
        backup::holds_nothing(&mut db).map_err(Fault::refusal)
    }

    /// Tells what a witness has seen of this log; to be told before the first write. A log that is behind it, or has
    /// another root at that size, is read-only from then on (`READ_ONLY`); reads go on.
    pub fn set_witnessed(&self, seen: &CheckpointRef) -> R<()> {
        let own = self.head()?;
        if seen.size > own.size {
            tracing::warn!(here = own.size, witnessed = seen.size, "a witness has seen more of this log than is here");
            self.shared.face.witness(seen.clone());
        } else if seen.size > 0 && self.root_at(seen.size)? != seen.root {
            self.shared.face.stop(&format!("a witness has seen another root at size {}", seen.size));
        }
        Ok(())
    }

    /// Verifies every signature in a body with the keys known now.
    pub fn verify(&self, body: Body) -> R<Verified<Body>> {
        let state = self.state();
        signing::verify_body(body, &self.shared.registry, state.as_ref(), &|sha256| state.proposed_payload(sha256))
    }

    /// Enters a body, when the rules allow it at `now`, and what follows from it in the same transaction. A completion
    /// may come without its obligations: they are filled in.
    pub fn append(&self, body: Verified<Body>, now: Timestamp) -> R<Entry> {
        let mut entries = self.enter(vec![body], None, now)?;
        entries.pop().ok_or_else(|| Refusal::new(Code::Internal, "an append without entry"))
    }

    /// Enters bodies in order, all of them or none, in one transaction.
    pub fn append_many(&self, bodies: Vec<Verified<Body>>, now: Timestamp) -> R<Vec<Entry>> {
        if bodies.is_empty() || bodies.len() > 64 {
            return Err(Refusal::new(Code::LimitExceeded, "1 to 64 bodies are entered at once"));
        }
        self.enter(bodies, None, now)
    }

    /// Enters the job of a bundle (`RunOrdered`) and queues the bundle for the clean room's agent.
    pub fn order(&self, bundle: &JobBundle, now: Timestamp) -> R<Entry> {
        let body = self.verify(Body::RunOrdered { job: bundle.job.clone() })?;
        let bytes = canonical::to_bytes(bundle)?;
        let mut entries = self.enter(vec![body], Some(bytes), now)?;
        entries.pop().ok_or_else(|| Refusal::new(Code::Internal, "an append without entry"))
    }

    /// [`Registry::append`] that does not wait: `then` is called once with what came of it, on a thread of the
    /// registry's, or at once where the body is refused before it is queued. It must not block.
    pub fn append_then(&self, body: Verified<Body>, now: Timestamp, then: impl FnOnce(R<Entry>) + Send + 'static) {
        let single = |result: R<Vec<Entry>>| {
            result?.pop().ok_or_else(|| Refusal::new(Code::Internal, "an append without entry"))
        };
        let prepared = self.with_obligations(body).and_then(Prepared::new);
        match prepared {
            Ok(prepared) => {
                let then: Then = Box::new(move |result| then(single(result)));
                if let Err((command, refusal)) = self.send(Box::new(Append::new(vec![prepared], None, now, then))) {
                    command.answer(Err(refusal));
                }
            }
            Err(refusal) => then(Err(refusal)),
        }
    }

    fn enter(&self, bodies: Vec<Verified<Body>>, bundle: Option<Vec<u8>>, now: Timestamp) -> R<Vec<Entry>> {
        let prepared = bodies.into_iter().map(|body| self.with_obligations(body).and_then(Prepared::new));
        let prepared = prepared.collect::<R<Vec<_>>>()?;
        self.ask(|reply| {
            // A caller that has gone away needs no answer; its entry stands.
            let then: Then = Box::new(move |result| drop(reply.send(result)));
            Box::new(Append::new(prepared, bundle, now, then))
        })
    }

    fn with_obligations(&self, body: Verified<Body>) -> R<Verified<Body>> {
        let Body::RunCompleted { completion, obligations } = &*body else {
            return Ok(body);
        };
        if !obligations.is_empty() {
            return Ok(body);
        }
        let obligations = self.state().complete_obligations(&completion.read_unverified()?)?;
        let completion = completion.clone();
        self.verify(Body::RunCompleted { completion, obligations })
    }

    /// Hands a command to the writer. A full queue refuses at once.
    fn send(&self, command: Box<dyn Command>) -> Result<(), (Box<dyn Command>, Refusal)> {
        let busy = |why: &str| Refusal::new(Code::Unavailable, why.to_owned());
        let Some(queue) = &self.shared.queue else {
            return Err((command, busy("the registry is closing")));
        };
        // Counted before it is sent: the writer may have it at once.
        self.shared.face.pace.queued();
        queue.try_send(command).map_err(|e| {
            self.shared.face.pace.taken();
            match e {
                TrySendError::Full(c) => (c, busy("the registry has too much to write now; try again later")),
                TrySendError::Disconnected(c) => (c, busy("the registry's writer has ended")),
            }
        })
    }

    /// Hands a command to the writer and waits for its answer.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<R<T>>) -> Box<dyn Command>) -> R<T> {
        let (reply, answer): (_, Receiver<R<T>>) = sync_channel(1);
        self.send(command(reply)).map_err(|(_, refusal)| refusal)?;
        answer.recv().map_err(|_| Refusal::new(Code::Unavailable, "the registry's writer has ended"))?
    }

    /// A write beside the log, in the writer's next transaction.
    fn write<T: Send + 'static>(&self, act: impl FnMut(&mut Db) -> Result<T, Fault> + Send + 'static) -> R<T> {
        self.ask(|reply| Box::new(Side::new(act, reply)))
    }

    /// A read of one snapshot.
    fn read<T>(&self, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> R<T> {
        let mut reader = self.shared.readers().map_err(Fault::refusal)?;
        conn::read(&mut reader, act).map_err(Fault::refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry whose writer takes nothing: one command fits the queue, the next is refused at once.
    #[test]
    fn a_full_queue_refuses_at_once() {
        let folder = std::env::temp_dir().join(format!("depa-queue-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("log.db");
        let place = Place::Sqlite(path);
        drop(place.writer().unwrap());
        let (sender, receiver) = sync_channel(1);
        let key = signing::FileKey::from_seed("did:web:sro.example", &[1; 32]);
        let face = Face::new(
            Published::new(policies::lifecycle::Replay::new(), schemas::Digest([0; 32]), String::new()),
            true,
            0,
        );
        let snapshots = Arc::new(Snapshots::with(&[&key]).unwrap());
        let did = Did::parse("did:web:sro.example").unwrap();
        let mut shared = Shared::new(Arc::new(face), snapshots, conn::readers(&place, 1).unwrap(), did);
        shared.queue = Some(sender.clone());
        let registry = Registry { shared: Arc::new(shared) };
        let (reply, _answer) = sync_channel(1);
        let act = |_: &mut Db| Ok(());
        assert!(sender.try_send(Box::new(Side::new(act, reply))).is_ok());
        let refused = |registry: &Registry| registry.write(|_| Ok(())).unwrap_err().code;
        assert_eq!(refused(&registry), Code::Unavailable);
        drop(receiver);
        assert_eq!(refused(&registry), Code::Unavailable, "the writer has ended");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
