//! The log witness (C2SP tlog-witness): cosigns a log only as it grows, so that no log can show two histories.

mod push;
mod request;
mod store;

pub use push::push_forever;

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
use store::Store;

/// A witness of the logs it was told of.
pub struct Witness {
    name: String,
    key: FileKey,
    logs: Vec<Trust>,
    store: Store,
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
        let logs = config.trust_files.iter().map(|file| {
            let bad = |why: String| Refusal::new(Code::ConfigInvalid, format!("trust file {}: {why}", file.display()));
            let text = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
            schemas::canonical::parse(&text).map_err(|e| bad(e.sentence))
        });
        let logs = logs.collect::<R<Vec<Trust>>>()?;
        Ok(Witness { name: config.name.clone(), key, logs, store: Store::open(&config.data_dir)?, clock })
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
        if note::verify_checkpoint(&request.note.text(), &log.origin, &log.registry_jwk).is_err() {
            return Ok(Outcome::Untrusted);
        }
        if request.old > request.note.head.size {
            return Ok(Outcome::Malformed("old lies above the size of the checkpoint".into()));
        }
        // One request at a time from here: what is compared is what is replaced.
        let mut heads = self.store.lock();
        let last = heads.get(&log.origin).cloned();
        if last.as_ref().map_or(0, |head| head.size) != request.old {
            return Ok(Outcome::Conflict(last.map_or(0, |head| head.size)));
        }
        if let Some(outcome) = judge_growth(last.as_ref(), &request) {
            return Ok(outcome);
        }
        heads.insert(log.origin.clone(), request.note.head.clone());
        self.store.save(&heads)?;
        Ok(Outcome::Cosigned(note::cosign(&request.note, &self.name, &self.key, (self.clock)())?))
    }
}

/// Whether the new head continues the last one; none if it does.
fn judge_growth(last: Option<&CheckpointRef>, request: &AddCheckpoint) -> Option<Outcome> {
    let new = &request.note.head;
    match last {
        None if request.proof.is_empty() => None,
        None => Some(Outcome::Inconsistent),
        Some(old) if old.size == new.size && old.root != new.root => Some(Outcome::Conflict(old.size)),
        Some(old) => check_consistency(old, new, &request.proof).err().map(|_| Outcome::Inconsistent),
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
        vec![(Verb::Post, "/add-checkpoint"), (Verb::Get, "/livez")]
    }

    fn answer(&self, _: Verb, path: &'static str, call: Call) -> R<Answer> {
        if path == "/livez" {
            return Ok(Answer::text("alive\n".into()));
        }
        let (status, media, body) = self.add_checkpoint(&call.body)?.answer();
        Ok(Answer { status, media, cache: "no-store", body: body.into_bytes() })
    }

    fn media(&self) -> Option<&'static str> {
        None
    }

    fn refuse(&self, refusal: &Refusal) -> HttpResponse {
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
        let bounds = Bounds { body_bytes: 64 * 1024, max_connections: 64, request, workers: 1 };
        Ok(RunningWitness { url, jwk, serving: Serving::start(witness, listener, bounds)? })
    }

    /// Waits until it ends.
    pub fn wait(&mut self) {
        self.serving.wait();
    }
}
