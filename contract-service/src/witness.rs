//! The log witness (C2SP tlog-witness): cosigns a log only as it grows, so that no log can show two histories; what a
//! log signed beside its own history is kept as evidence.

mod cosigned;
mod evidence;
mod push;
mod request;
mod store;

pub use cosigned::{Cosigned, FRESH_SECONDS};
pub use evidence::{Conflict, Evidence, Fault};
pub use push::{ask_all, push_forever};

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use schemas::log::{Checkpoint, CheckpointRef, NoteSignature, check_consistency};
use schemas::{Code, R, Refusal, Signer};
use signing::{FileKey, Trust, note};

use crate::app::Clock;
use crate::call::{Answer, Call};
use crate::config::WitnessConfig;
use crate::serve::{Bounds, Desk, Serving, Verb};
use request::AddCheckpoint;
use store::{Kept, Store};

/// A witness of the logs it was told of.
pub struct Witness {
    name: String,
    key: FileKey,
    logs: Vec<Trust>,
    store: Store,
    evidence: Evidence,
    clock: Clock,
}

/// How an `add-checkpoint` ended, as the specification numbers it.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// 200: the cosignature line.
    Cosigned(NoteSignature),
    /// 404: a log that is not followed.
    UnknownOrigin,
    /// 403: the log's signature is missing or bad.
    Untrusted,
    /// 400: not a request, or `old` above the checkpoint's size.
    Malformed(String),
    /// 409: the last size that was cosigned here is another.
    Conflict(u64),
    /// 422: the proof does not hold.
    Inconsistent,
}

impl Witness {
    /// Opens the witness's store and key.
    pub fn open(config: &WitnessConfig, clock: Clock) -> R<Witness> {
        let key = FileKey::load(&config.key_file)?;
        let logs = config.trust_files.iter().map(|file| Trust::load(file));
        let logs = logs.collect::<R<Vec<Trust>>>()?;
        let store = Store::open(&config.data_dir)?;
        let evidence = Evidence::open(&config.data_dir)?;
        Ok(Witness { name: config.name.clone(), key, logs, store, evidence, clock })
    }

    /// The key on its cosignature lines.
    pub fn jwk(&self) -> &schemas::jwk::Jwk {
        self.key.jwk()
    }

    /// Judges a checkpoint: known log, its signature, `old` is what was cosigned last, the proof. Keeps before it signs.
    pub fn add_checkpoint(&self, body: &[u8]) -> R<Outcome> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(refusal) => return Ok(Outcome::Malformed(refusal.sentence)),
        };
        let Some(log) = self.logs.iter().find(|log| log.origin == request.note.origin) else {
            return Ok(Outcome::UnknownOrigin);
        };
        if note::verify_checkpoint(&request.note.text(), &log.origin, log).is_err() {
            return Ok(Outcome::Untrusted);
        }
        if request.old > request.note.head.size {
            return Ok(Outcome::Malformed("old lies above the size of the checkpoint".into()));
        }
        // One request at a time from here: what is compared is what is replaced.
        let mut heads = self.store.lock();
        let last = heads.get(&log.origin);
        if let Some(outcome) = judge(last, &request) {
            if let Some(fault) = fault_of(&outcome, last, &request.note.head) {
                self.evidence.keep(fault, last, &request.note, (self.clock)())?;
            }
            return Ok(outcome);
        }
        let mut next = heads.clone();
        next.insert(log.origin.clone(), Kept::of(&request.note));
        self.store.save(&next)?;
        *heads = next;
        Ok(Outcome::Cosigned(note::cosign(&request.note, &self.name, &self.key, (self.clock)())?))
    }

    /// What logs signed beside the history that is cosigned here.
    pub fn conflicts(&self) -> R<Vec<Conflict>> {
        self.evidence.all()
    }
}

/// Why the new head does not continue the last one; none if it does.
fn judge(last: Option<&Kept>, request: &AddCheckpoint) -> Option<Outcome> {
    let new = &request.note.head;
    let Some(old) = last.map(Kept::head) else {
        // Nothing is cosigned yet: any first head will do, without a proof.
        return match (request.old, request.proof.is_empty()) {
            (0, true) => None,
            (0, false) => Some(Outcome::Inconsistent),
            _ => Some(Outcome::Conflict(0)),
        };
    };
    if request.old != old.size || (old.size == new.size && old.root != new.root) {
        return Some(Outcome::Conflict(old.size));
    }
    check_consistency(&old, new, &request.proof).err().map(|_| Outcome::Inconsistent)
}

/// What a refusal says about the log itself: two roots for one size, or a head that could not be shown to continue.
fn fault_of(outcome: &Outcome, last: Option<&Kept>, new: &CheckpointRef) -> Option<Fault> {
    let old = last?.head();
    match outcome {
        Outcome::Conflict(_) if old.size == new.size && old.root != new.root => Some(Fault::TwoRoots),
        Outcome::Inconsistent if old.size == new.size => Some(Fault::TwoRoots),
        Outcome::Inconsistent => Some(Fault::NoContinuation),
        _ => None,
    }
}

impl Outcome {
    fn answer(self) -> (u16, &'static str, String) {
        let text = "text/plain; charset=utf-8";
        match self {
            Outcome::Cosigned(line) => (200, text, line_text(line)),
            Outcome::UnknownOrigin => (404, text, "this log is not followed here\n".into()),
            Outcome::Untrusted => (403, text, "the log's signature does not verify\n".into()),
            Outcome::Malformed(why) => (400, text, format!("{why}\n")),
            Outcome::Conflict(size) => (409, "text/x.tlog.size", format!("{size}\n")),
            Outcome::Inconsistent => (422, text, "the consistency proof does not hold\n".into()),
        }
    }
}

/// A signature line of a note as text.
pub fn line_text(line: NoteSignature) -> String {
    let head = CheckpointRef { size: 0, root: schemas::Digest([0; 32]) };
    let note = Checkpoint { origin: String::new(), head, body: String::new(), signatures: vec![line] };
    note.text().trim_start_matches('\n').to_owned()
}

impl Desk for Witness {
    fn paths(&self) -> Vec<(Verb, &'static str)> {
        vec![(Verb::Post, "/add-checkpoint"), (Verb::Get, "/conflicts"), (Verb::Get, "/livez")]
    }

    fn answer(&self, _: Verb, path: &'static str, call: &Call) -> R<Answer> {
        if path == "/livez" {
            return Ok(Answer::text("alive\n".into()));
        }
        if path == "/conflicts" {
            let body = self.evidence.text()?.into_bytes();
            return Ok(Answer::of(200, "application/x-ndjson", "no-cache", body));
        }
        let (status, media, body) = self.add_checkpoint(&call.body)?.answer();
        Ok(Answer::of(status, media, "no-store", body.into_bytes()))
    }

    fn media(&self, _: &'static str) -> Option<&'static [&'static str]> {
        None
    }

    fn refuse(&self, refusal: &Refusal, _: &str) -> HttpResponse {
        let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(cause = refusal.sentence, "the witness failed");
            return HttpResponse::build(status).body("the witness failed\n");
        }
        HttpResponse::build(status).body(format!("{}\n", refusal.sentence))
    }
}

/// A witness that runs.
pub struct RunningWitness {
    /// Its base URL.
    pub url: String,
    /// Its key.
    pub jwk: schemas::jwk::Jwk,
    serving: Serving,
}

impl RunningWitness {
    /// Starts a witness on its configured address; port 0 picks a free one.
    pub fn start(config: &WitnessConfig, clock: Clock) -> R<RunningWitness> {
        let witness = Arc::new(Witness::open(config, clock)?);
        let jwk = witness.jwk().clone();
        let listener = std::net::TcpListener::bind(config.bind)
            .map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{} cannot be bound: {e}", config.bind)))?;
        let url = format!("http://{}", listener.local_addr().map_err(crate::error::fault)?);
        let request = std::time::Duration::from_secs(10);
        let keep_alive = std::time::Duration::from_secs(75);
        let bounds = Bounds { body_bytes: 64 * 1024, max_connections: 64, request, keep_alive, workers: 1 };
        Ok(RunningWitness { url, jwk, serving: Serving::start(witness, listener, bounds)? })
    }

    /// Waits until it ends.
    pub fn wait(&mut self) {
        self.serving.wait();
    }
}
