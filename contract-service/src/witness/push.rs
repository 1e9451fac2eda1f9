//! The service's side: every new checkpoint goes to every witness, and their cosignatures are published with it. A
//! witness that has seen more of this log than the log itself has says so: then nothing is written any more.

use std::io::Read as _;
use std::time::Duration;

use reqwest::blocking::Client;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::request::AddCheckpoint;
use crate::app::App;
use crate::config::WitnessPeer;
use crate::error::fault;

/// How long entries may gather before a checkpoint is pushed.
const DEBOUNCE: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the start waits for a witness. One that comes back later is asked then.
const START_TIMEOUT: Duration = Duration::from_secs(3);
/// A witness answers a few lines.
const ANSWER_LIMIT: u64 = 16 * 1024;
/// Pauses after a failure, in rounds.
const PAUSE: u32 = 10;
/// Seconds after which an unchanged head is cosigned anew: relying parties want a note of the last ten minutes.
const RENEW_SECONDS: i64 = 240;

/// Asks every witness how far it has seen this log, all at once, before anything is written. A silent one holds up the
/// start for three seconds at most.
pub fn ask_all(app: &App) {
    each(app, START_TIMEOUT, |mut push, client| push.round(app, client));
}

/// Pushes until the service stops: a thread for each witness, so that a silent or refusing one holds up nobody.
pub fn push_forever(app: &App) {
    each(app, TIMEOUT, |mut push, client| {
        while !app.stopping() {
            push.round(app, client);
            std::thread::sleep(DEBOUNCE);
        }
    });
}

fn each(app: &App, timeout: Duration, act: impl Fn(Push<'_>, &Client) + Sync) {
    let client = Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    let client = match client {
        Ok(client) => client,
        Err(e) => return tracing::error!(cause = %e, "no checkpoint can be pushed"),
    };
    std::thread::scope(|scope| {
        for peer in &app.config.witnesses {
            let (act, client) = (&act, &client);
            scope.spawn(move || act(Push { peer, seen: None, pause: 0 }, client));
        }
    });
}

/// A witness tells a size and no root: where it refuses this log's head of that size, its root is some other one.
const UNKNOWN: Digest = Digest([0; 32]);

/// What is known of one witness.
struct Push<'a> {
    peer: &'a WitnessPeer,
    /// The size that it cosigned last, and when; none before its first answer.
    seen: Option<(u64, Timestamp)>,
    pause: u32,
}

impl Push<'_> {
    fn round(&mut self, app: &App, client: &Client) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let Err(refusal) = self.push(app, client) else { return };
        self.pause = PAUSE;
        let (witness, code, cause) = (&self.peer.name, refusal.code, refusal.sentence);
        if code == Code::WitnessConflict {
            tracing::error!(witness, cause, "a witness saw another history of this log");
        } else {
            tracing::warn!(witness, %code, "a witness did not cosign");
        }
    }

    fn push(&mut self, app: &App, client: &Client) -> R<()> {
        let mut note = app.registry.checkpoint()?;
        let (size, now) = (note.head.size, app.now());
        if size == 0 || self.seen.is_some_and(|(seen, at)| seen == size && fresh(at, now)) {
            return Ok(());
        }
        note.signatures.retain(|line| line.name == note.origin);
        let old = match self.seen {
            Some((size, _)) => size,
            None => app.registry.cosigned_size(&self.peer.name)?.min(size),
        };
        let (mut seen, mut answer) = (old, self.ask(app, client, old, &note)?);
        if let (409, text) = &answer {
            // The witness knows better what it cosigned last.
            seen = self.conflict(app, &note.head, old, text)?;
            answer = self.ask(app, client, seen, &note)?;
        }
        match answer {
            (200, lines) => self.keep(app, &note, &lines),
            (409, text) => self.conflict(app, &note.head, note.head.size, &text).map(drop),
            (422, text) => {
                // It has cosigned `seen` entries of another history than this log's.
                app.registry.set_witnessed(&CheckpointRef { size: seen, root: UNKNOWN })?;
                Err(self.refused(text.trim()))
            }
            (status, _) => {
                Err(Refusal::new(Code::PeerFault, format!("{} answers with status {status}", self.peer.name)))
            }
        }
    }

    /// The size that the witness has cosigned, where this log can go on from there.
    fn conflict(&self, app: &App, head: &CheckpointRef, old: u64, text: &str) -> R<u64> {
        let size: u64 = text.trim().parse().map_err(|_| self.refused("its conflict names no size"))?;
        if size > head.size {
            // Another process of this service may have pushed a newer head than the one at hand.
            let own = app.registry.head()?.size;
            app.registry.set_witnessed(&CheckpointRef { size, root: UNKNOWN })?;
            return Err(self.refused(&format!("it has cosigned size {size}, this log has {own}")));
        }
        if size == old {
            app.registry.set_witnessed(&CheckpointRef { size, root: UNKNOWN })?;
            return Err(self.refused(&format!("it has cosigned another root of size {size}")));
        }
        Ok(size)
    }

    fn refused(&self, why: &str) -> Refusal {
        Refusal::new(Code::WitnessConflict, format!("{}: {why}", self.peer.name))
    }

    fn ask(&self, app: &App, client: &Client, old: u64, note: &Checkpoint) -> R<(u16, String)> {
        let size = note.head.size;
        let proof = if old == 0 || old == size { Vec::new() } else { app.registry.consistency(old, size)? };
        let body = AddCheckpoint { old, proof, note: note.clone() }.text();
        let silent = |_| Refusal::new(Code::PeerUnreachable, format!("{} does not answer", self.peer.name));
        let response = client.post(format!("{}/add-checkpoint", self.peer.url)).body(body).send().map_err(silent)?;
        let status = response.status().as_u16();
        let mut text = String::new();
        response.take(ANSWER_LIMIT).read_to_string(&mut text).map_err(fault)?;
        Ok((status, text))
    }

    /// Keeps the cosignature once it verifies with the witness's configured key.
    fn keep(&mut self, app: &App, note: &Checkpoint, lines: &str) -> R<()> {
        let cosigned = Checkpoint::parse(&format!("{}\n{lines}", note.body))?;
        signing::note::verify_cosignature(&cosigned, &self.peer.name, &self.peer.jwk)?;
        let now = app.now();
        if let Some(line) = cosigned.signatures.iter().find(|line| line.name == self.peer.name) {
            app.registry.put_cosignature(note.head.size, line)?;
            app.cosigned.add(note, line, now)?;
        }
        self.seen = Some((note.head.size, now));
        Ok(())
    }
}

fn fresh(at: Timestamp, now: Timestamp) -> bool {
    (0..RENEW_SECONDS * 1_000_000).contains(&(now.micros() - at.micros()))
}
