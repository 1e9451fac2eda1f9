//! The receiver: checks every delivery (Standard Webhooks v1 or v1a, five minutes, each id once), keeps it in a JSON
//! Lines file before it answers, and pays what it is instructed to pay by a signed callback.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use contract_client::{Client, Clock};
use schemas::desk::PaymentInstruction;
use schemas::event::{PaymentCallback, PaymentResult};
use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde_json::{Value, json};
use signing::webhook::{Verifier, verify};
use signing::{Signer, Trust};
use tiny_http::{Method, Request, Response, Server};

use crate::edge;

/// What the receiver checks deliveries with; one of both is enough.
#[derive(Clone)]
pub enum Check {
    /// `whsec_…`, v1.
    Secret(String),
    /// `whpk_…`, v1a.
    Public(String),
}

/// Answers `payment.instructed`: as the payment service provider that has this key.
#[derive(Clone)]
pub struct Payer {
    /// The contract service.
    pub client: Client,
    /// The provider's key.
    pub key: Arc<dyn Signer>,
    /// Whose registry.
    pub trust: Trust,
}

/// A receiver before it listens.
#[derive(Clone)]
pub struct Receiver {
    /// Where to listen; plain HTTP, so loopback only. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Every delivery, one JSON object per line; read again at the start.
    pub journal: PathBuf,
    /// What deliveries are checked with.
    pub check: Check,
    /// Pays, if given; a receiver without it only listens.
    pub payer: Option<Payer>,
    /// The clock.
    pub clock: Clock,
}

/// A receiver that listens.
pub struct Running {
    url: String,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    answered: AtomicU64,
}

impl Running {
    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Deliveries accepted, each id once; of this start and those before it.
    pub fn received(&self) -> u64 {
        self.counts.received.load(Ordering::SeqCst)
    }

    /// Deliveries whose id was known already.
    pub fn duplicates(&self) -> u64 {
        self.counts.duplicates.load(Ordering::SeqCst)
    }

    /// Deliveries refused.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::SeqCst)
    }

    /// Instructions answered.
    pub fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::SeqCst)
    }

    /// Stops and waits for what goes on.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// The file, the ids seen, and the instructions that wait for an answer.
struct Journal {
    file: File,
    seen: BTreeSet<String>,
    open: BTreeMap<String, PaymentInstruction>,
}

impl Journal {
    /// Reads what was received and answered before.
    fn open(path: &Path) -> R<Journal> {
        let fault = |e: std::io::Error| edge::file_fault(path, e);
        let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path).map_err(fault)?;
        let mut journal = Journal { file, seen: BTreeSet::new(), open: BTreeMap::new() };
        for line in BufReader::new(File::open(path).map_err(fault)?).lines() {
            // A line that a crash cut off was never acknowledged: its delivery comes again.
            let Ok(value) = serde_json::from_str::<Value>(&line.map_err(fault)?) else { continue };
            if let Some(id) = value.get("id").and_then(Value::as_str) {
                journal.seen.insert(id.to_owned());
                if let Some(obligation) = instructed(&value["body"]) {
                    journal.open.insert(obligation.instruction_id.clone(), obligation);
                }
            }
            if let Some(id) = value.get("answered").and_then(Value::as_str) {
                journal.open.remove(id);
            }
        }
        Ok(journal)
    }

    fn append(&mut self, value: &Value) -> R<()> {
        let line = format!("{value}\n");
        let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("the journal cannot be written: {e}"));
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).map_err(fault)
    }
}

/// The obligation of a `payment.instructed` message.
fn instructed(body: &Value) -> Option<PaymentInstruction> {
    let is = body.get("type").and_then(Value::as_str) == Some("payment.instructed");
    is.then(|| serde_json::from_value(body.get("data")?.clone()).ok()).flatten()
}

impl Receiver {
    /// Begins to listen. `tell` gets one line per event, for people.
    pub fn start(self, tell: impl Fn(&str) + Send + Sync + 'static) -> R<Running> {
        if !self.address.ip().is_loopback() {
            return Err(Refusal::new(Code::ConfigInvalid, "plain HTTP on loopback only; put a TLS proxy before it"));
        }
        let journal = Journal::open(&self.journal)?;
        let counts = Arc::new(Counts::default());
        counts.received.store(journal.seen.len() as u64, Ordering::SeqCst);
        let fault = |e| Refusal::new(Code::ConfigInvalid, format!("{} cannot be listened on: {e}", self.address));
        let server = Server::http(self.address).map_err(fault)?;
        let bound = server.server_addr().to_ip().unwrap_or(self.address);
        let (stop, journal, tell) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(journal)), Arc::new(tell));
        let mut threads = Vec::new();
        let worker = Worker { receiver: self, journal, counts: Arc::clone(&counts), stop: Arc::clone(&stop) };
        let worker = Arc::new(worker);
        let (listening, telling) = (Arc::clone(&worker), Arc::clone(&tell));
        threads.push(std::thread::spawn(move || listening.listen(&server, &*telling)));
        if worker.receiver.payer.is_some() {
            threads.push(std::thread::spawn(move || worker.pay(&*tell)));
        }
        Ok(Running { url: format!("http://{bound}"), stop, counts, threads })
    }
}

struct Worker {
    receiver: Receiver,
    journal: Arc<Mutex<Journal>>,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

impl Worker {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn listen(&self, server: &Server, tell: Tell<'_>) {
        while !self.stopped() {
            if let Ok(Some(mut request)) = server.recv_timeout(Duration::from_millis(50)) {
                let status = match self.receive(&mut request, tell) {
                    Ok(()) => 204,
                    Err(refusal) => {
                        self.counts.refused.fetch_add(1, Ordering::SeqCst);
                        tell(&format!("refused: {refusal}"));
                        if refusal.code == Code::SignatureInvalid { 401 } else { refusal.code.status() }
                    }
                };
                let _ = request.respond(Response::empty(status));
            }
        }
    }

    fn receive(&self, request: &mut Request, tell: Tell<'_>) -> R<()> {
        if request.method() != &Method::Post {
            return Err(Refusal::new(Code::MethodNotAllowed, "deliveries are posted"));
        }
        let header = |name: &'static str| {
            let found = request.headers().iter().find(|h| h.field.equiv(name)).map(|h| h.value.as_str().to_owned());
            found.ok_or_else(|| Refusal::new(Code::SignatureInvalid, format!("webhook: no {name}")))
        };
        let (id, at, signatures) = (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
        if id.is_empty() || id.len() > 128 || id.contains('.') {
            return Err(Refusal::new(Code::SignatureInvalid, "webhook: id"));
        }
        let mut body = Vec::new();
        let unreadable = |e: std::io::Error| Refusal::new(Code::MalformedJson, format!("the body cannot be read: {e}"));
        request.as_reader().take(MAX_BODY + 1).read_to_end(&mut body).map_err(unreadable)?;
        if body.len() as u64 > MAX_BODY {
            return Err(Refusal::new(Code::BodyTooLarge, "a delivery has at most 64 KiB"));
        }
        let verifier = match &self.receiver.check {
            Check::Secret(secret) => Verifier::Secret(secret),
            Check::Public(public) => Verifier::Public(public),
        };
        verify(&verifier, &id, &at, &signatures, &body, (self.receiver.clock)())?;
        let body = canonical::parse_value(&body)?;
        self.keep(&id, body, tell)
    }

    /// Keeps a delivery before it is acknowledged; one whose id is known is acknowledged and nothing else.
    fn keep(&self, id: &str, body: Value, tell: Tell<'_>) -> R<()> {
        let mut journal = self.journal();
        if journal.seen.contains(id) {
            self.counts.duplicates.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let at: Timestamp = (self.receiver.clock)();
        journal.append(&json!({"id": id, "received_at": at, "body": body}))?;
        journal.seen.insert(id.to_owned());
        self.counts.received.fetch_add(1, Ordering::SeqCst);
        tell(&format!("received {id}: {}", body.get("type").and_then(Value::as_str).unwrap_or("?")));
        if let Some(obligation) = instructed(&body) {
            journal.open.insert(obligation.instruction_id.clone(), obligation);
        }
        Ok(())
    }

    /// Answers instructions one by one; one that fails is tried again, also after a restart.
    fn pay(&self, tell: Tell<'_>) {
        let mut last: Option<String> = None;
        while !self.stopped() {
            let next = {
                let journal = self.journal();
                let after = journal.open.range::<String, _>((
                    last.as_ref().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded),
                    std::ops::Bound::Unbounded,
                ));
                after.map(|(_, o)| o.clone()).next()
            };
            let Some(obligation) = next else {
                let waiting = last.take().is_some();
                std::thread::sleep(Duration::from_millis(if waiting { 1000 } else { 50 }));
                continue;
            };
            last = Some(obligation.instruction_id.clone());
            match self.settle(&obligation) {
                Ok(state) => tell(&format!("answered {}: {state}", obligation.instruction_id)),
                Err(refusal) => tell(&format!("not answered {}: {refusal}", obligation.instruction_id)),
            }
        }
    }

    fn settle(&self, obligation: &PaymentInstruction) -> R<String> {
        let Some(payer) = &self.receiver.payer else {
            return Err(Refusal::new(Code::Internal, "a receiver without a payer pays nothing"));
        };
        let callback = callback(obligation, &payer.key, &payer.trust, (self.receiver.clock)().whole())?;
        let state = match payer.client.payment_callback(&callback) {
            Ok(answer) => answer.state,
            // Settled by an answer of ours whose acknowledgement was lost.
            Err(refusal) if refusal.code == Code::PaymentState => "settled".to_owned(),
            Err(refusal) => return Err(refusal),
        };
        let mut journal = self.journal();
        journal
            .append(&json!({"answered": obligation.instruction_id, "at": (self.receiver.clock)(), "state": state}))?;
        journal.open.remove(&obligation.instruction_id);
        self.counts.answered.fetch_add(1, Ordering::SeqCst);
        Ok(state)
    }
}

/// The signed answer of a payment system that has paid, blocked or returned what it was told to.
pub fn callback(
    obligation: &PaymentInstruction,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<schemas::Envelope<PaymentCallback>> {
    let document = PaymentCallback {
        schema: "payment-callback.v1".into(),
        registry: trust.registry.clone(),
        instruction_id: obligation.instruction_id.clone(),
        result: match obligation.act.as_deref() {
            Some("block") => PaymentResult::Blocked,
            Some("refund") => PaymentResult::Refunded,
            _ => PaymentResult::Settled,
        },
        reference: format!("SIMULATED-{}", obligation.instruction_id),
        amount_minor: obligation.amount_minor,
        currency: obligation.currency,
        at: now,
    };
    signing::sign(&document, key, now)
}

/// The largest delivery.
const MAX_BODY: u64 = 64 * 1024;
