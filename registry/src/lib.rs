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
mod conn;
mod endpoint;
mod enter;
mod error;
mod load;
mod log;
mod once;
mod orders;
mod outbox;
mod pending;
mod tables;
mod told;
mod tree;
mod writer;

pub use endpoint::Endpoint;
pub use enter::Entry;
pub use log::{MAX_EXPORT, TILE};
pub use once::{Begun, OPEN_CHALLENGES, StoredChallenge};
pub use orders::{LeasedOrder, OrderState};
pub use outbox::{Attempt, DeliveryRow, LeasedDelivery};
pub use told::PSP;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use diesel::r2d2::{ConnectionManager, Pool};
use policies::lifecycle::State;
use schemas::bundle::JobBundle;
use schemas::envelope::Verified;
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::{Code, R, Refusal, Signer, Timestamp, canonical};

use conn::Db;
use enter::Append;
use error::Fault;
use writer::{Command, QUEUE, Side, Writer};

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
    writer: Option<JoinHandle<()>>,
    state: Arc<RwLock<Arc<State>>>,
    readers: Pool<ConnectionManager<Db>>,
    registry: Did,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

impl Registry {
    /// Opens the database, checks the log (`LOG_TAMPERED` names the entry), starts the writer; a new log begins with
    /// its genesis entry.
    pub fn open(options: Options, now: Timestamp) -> R<Registry> {
        let mut db = conn::writer(&options.url)?;
        let memory = load::load(&mut db, &options)?;
        let fresh = memory.state.genesis().is_none();
        let readers = conn::readers(&options.url, options.readers.max(1))?;
        let writer = Writer::new(db, memory, options.origin.clone(), Arc::clone(&options.signer));
        let state = writer.published();
        let (sender, receiver) = sync_channel(QUEUE);
        let spawned = std::thread::Builder::new().name("registry-writer".into()).spawn(move || writer.run(receiver));
        let thread = spawned.map_err(|e| Refusal::new(Code::Internal, format!("no thread for the writer: {e}")))?;
        let shared =
            Shared { queue: Some(sender), writer: Some(thread), state, readers, registry: options.registry.clone() };
        let registry = Registry { shared: Arc::new(shared) };
        if fresh {
            let genesis = Body::Genesis {
                registry: options.registry,
                registry_jwk: options.signer.jwk().clone(),
                origin: options.origin,
                sro: options.sro,
                succeeds: None,
            };
            registry.append(registry.verify(genesis)?, now)?;
        }
        Ok(registry)
    }

    /// The state after the last commit; also the book of keys. A snapshot: it does not change under its holder.
    pub fn state(&self) -> Arc<State> {
        writer::current(&self.shared.state)
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

    fn enter(&self, bodies: Vec<Verified<Body>>, bundle: Option<Vec<u8>>, now: Timestamp) -> R<Vec<Entry>> {
        let bodies = bodies.into_iter().map(|body| self.with_obligations(body)).collect::<R<Vec<_>>>()?;
        self.ask(|reply| Box::new(Append::new(bodies, bundle, now, reply)))
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

    /// Hands a command to the writer and waits for its answer. A full queue refuses at once.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<R<T>>) -> Box<dyn Command>) -> R<T> {
        let busy = |why: &str| Refusal::new(Code::Unavailable, why.to_owned());
        let (reply, answer): (_, Receiver<R<T>>) = sync_channel(1);
        let queue = self.shared.queue.as_ref().ok_or_else(|| busy("the registry is closing"))?;
        queue.try_send(command(reply)).map_err(|e| match e {
            TrySendError::Full(_) => busy("the registry has too much to write now; try again later"),
            TrySendError::Disconnected(_) => busy("the registry's writer has ended"),
        })?;
        answer.recv().map_err(|_| busy("the registry's writer has ended"))?
    }

    /// A write beside the log, in the writer's next transaction.
    fn write<T: Send + 'static>(&self, act: impl FnMut(&mut Db) -> Result<T, Fault> + Send + 'static) -> R<T> {
        self.ask(|reply| Box::new(Side::new(act, reply)))
    }

    /// A read of one snapshot.
    fn read<T>(&self, act: impl FnOnce(&mut Db) -> Result<T, Fault>) -> R<T> {
        let mut reader: conn::Reader = self.shared.readers.get().map_err(|e| {
            tracing::error!(cause = %e, "no connection for reading");
            Refusal::new(Code::Unavailable, "the registry cannot read now; try again later")
        })?;
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
        let url = path.to_string_lossy().into_owned();
        drop(conn::writer(&url).unwrap());
        let (sender, receiver) = sync_channel(1);
        let shared = Shared {
            queue: Some(sender.clone()),
            writer: None,
            state: Arc::new(RwLock::new(Arc::new(State::new()))),
            readers: conn::readers(&url, 1).unwrap(),
            registry: Did::parse("did:web:sro.example").unwrap(),
        };
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
