//! The service's side: every new checkpoint goes to every witness, and their cosignatures are published with it.

use std::io::Read as _;
use std::time::Duration;

use reqwest::blocking::Client;
use schemas::log::Checkpoint;
use schemas::{Code, R, Refusal};

use super::request::AddCheckpoint;
use crate::app::App;
use crate::config::WitnessPeer;
use crate::error::fault;

/// How long entries may gather before a checkpoint is pushed.
const DEBOUNCE: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A witness answers a few lines.
const ANSWER_LIMIT: u64 = 16 * 1024;
/// Pauses after a failure, in rounds.
const PAUSE: u32 = 10;

/// Pushes until the service stops. A silent or refusing witness holds up nobody.
pub fn push_forever(app: &App) {
    let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    let client = match client {
        Ok(client) => client,
        Err(e) => return tracing::error!(cause = %e, "no checkpoint can be pushed"),
    };
    let mut pushes: Vec<Push> = app.config.witnesses.iter().map(|peer| Push { peer, seen: None, pause: 0 }).collect();
    while !app.stopping() {
        for push in &mut pushes {
            push.round(app, &client);
        }
        std::thread::sleep(DEBOUNCE);
    }
}

/// What is known of one witness.
struct Push<'a> {
    peer: &'a WitnessPeer,
    /// The size that it cosigned last; none before its first answer.
    seen: Option<u64>,
    pause: u32,
}

impl Push<'_> {
    fn round(&mut self, app: &App, client: &Client) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        if let Err(refusal) = self.push(app, client) {
            self.pause = PAUSE;
            if refusal.code == Code::WitnessConflict {
                tracing::error!(
                    witness = self.peer.name,
                    cause = refusal.sentence,
                    "a witness saw another history of this log"
                );
            } else {
                tracing::warn!(witness = self.peer.name, code = %refusal.code, "a witness did not cosign");
            }
        }
    }

    fn push(&mut self, app: &App, client: &Client) -> R<()> {
        let mut note = app.registry.checkpoint()?;
        let cosigned = note.signatures.iter().any(|line| line.name == self.peer.name);
        if note.head.size == 0 || (cosigned && self.seen == Some(note.head.size)) {
            return Ok(());
        }
        note.signatures.retain(|line| line.name == note.origin);
        let old = match self.seen {
            Some(size) => size,
            None => app.registry.cosigned_size(&self.peer.name)?,
        };
        let answer = match self.ask(app, client, old, &note)? {
            // The witness knows better what it cosigned last.
            (409, text) => {
                let conflict = |why: &str| Refusal::new(Code::WitnessConflict, format!("{}: {why}", self.peer.name));
                let size: u64 = text.trim().parse().map_err(|_| conflict("its conflict names no size"))?;
                if size > note.head.size || size == old {
                    return Err(conflict(&format!("it has cosigned size {size}, this log has {}", note.head.size)));
                }
                self.ask(app, client, size, &note)?
            }
            other => other,
        };
        match answer {
            (200, lines) => self.keep(app, &note, &lines),
            (409 | 422, text) => {
                Err(Refusal::new(Code::WitnessConflict, format!("{}: {}", self.peer.name, text.trim())))
            }
            (status, _) => {
                Err(Refusal::new(Code::PeerFault, format!("{} answers with status {status}", self.peer.name)))
            }
        }
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
        let own = cosigned.signatures.iter().find(|line| line.name == self.peer.name);
        if let Some(line) = own {
            app.registry.put_cosignature(note.head.size, line)?;
        }
        self.seen = Some(note.head.size);
        Ok(())
    }
}
