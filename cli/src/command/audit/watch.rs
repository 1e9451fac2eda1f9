//! A standing watch over a log, and two checkpoints side by side.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use depa::audit::compare::{self, Relation};
use depa::audit::monitor::Monitor;
use depa::edge;
use schemas::R;
use serde_json::json;

use super::super::Global;
use super::text;
use crate::output::{Answer, say, stream};

#[derive(Subcommand)]
pub enum Verb {
    /// Watch a log: each pass proves that it continues what was seen before, replays what is new and keeps a mirror in the
    /// state folder. With a key, of an SRO person or auditor, bodies are read and every state recomputed.
    ///
    /// Exit code 10 leaves its evidence in the folder.
    #[command(
        after_help = "Examples:\n  depa audit monitor https://registry.example --state mirror --trust trust.json\n  depa audit monitor https://registry.example --state mirror --key auditor.key --trust trust.json --every 60"
    )]
    Monitor {
        /// The service.
        url: String,
        /// The state folder; made if it is not there.
        #[arg(long)]
        state: PathBuf,
        /// Seconds between passes; one pass only if not given.
        #[arg(long)]
        every: Option<u64>,
        /// Check public tiles and records only, also where a key is given.
        #[arg(long)]
        tiles_only: bool,
    },
    /// Compare two checkpoints: the same, one a prefix of the other, or a fork (exit code 10).
    #[command(
        after_help = "Example:\n  depa audit diff mine.txt theirs.txt --trust trust.json --registry https://registry.example"
    )]
    Diff {
        /// A checkpoint note.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Monitor { url, state, every, tiles_only } => {
            let bodies = !tiles_only && global.has_key();
            let mut desk = global.desk_at(&url)?;
            if bodies {
                desk = desk.acting_for(global.key()?);
            }
            let mut monitor = Monitor::new(desk, bodies, global.trust()?, &state);
            loop {
                let pass = monitor.pass(edge::now());
                let (Some(seconds), Ok(pass)) = (every, &pass) else {
                    let pass = pass?;
                    return Ok(Answer::new(&pass, pass.text()));
                };
                if global.json {
                    stream(&json!(pass));
                } else {
                    say(&pass.text());
                }
                std::thread::sleep(Duration::from_secs(seconds.max(1)));
            }
        }
        Verb::Diff { one, other } => {
            let desk = global.url().map(|url| global.desk_at(&url)).transpose()?;
            let found = compare::checkpoints(&text(&one)?, &text(&other)?, desk.as_ref(), &global.trust()?)?;
            let sizes = format!("{} and {} entries", found.first.size, found.second.size);
            let (exit, words) = match found.relation {
                Relation::Same => (depa::exit::OK, format!("the same: {} entries", found.first.size)),
                Relation::Prefix => (depa::exit::OK, format!("one log, {sizes}: the first is a prefix of the second")),
                Relation::Fork => {
                    (depa::exit::VERIFICATION, format!("FORK: {sizes} of two histories, both signed by the log"))
                }
                Relation::NotProved => {
                    (depa::exit::OTHER, format!("not proved: {sizes}; pass --registry for the proof"))
                }
            };
            let mut answer = Answer::new(&found, words);
            answer.exit = exit;
            Ok(answer)
        }
    }
}
