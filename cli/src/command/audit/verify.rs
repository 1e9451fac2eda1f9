//! The complete check of a log, and its measure.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Subcommand;
use depa::audit::money as audit_money;
use depa::audit::source::{Folder, Lines, Service};
use depa::audit::{Depth, Options, bench, verify_from};
use depa::edge;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};

use super::super::Global;
use super::text;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Verify a whole log: every signature, leaf and published tile, both roots, and all states, budgets and payments
    /// recomputed. From an export, a mirror folder, or the service itself.
    ///
    /// Exit code 10 names the entry at fault.
    #[command(
        after_help = "Examples:\n  depa audit verify log.jsonl --trust trust.json\n  depa audit verify log.jsonl --trust trust.json --earlier checkpoint.txt --json\n  depa audit verify --from mirror --trust trust.json\n  depa audit verify --from https://registry.example --key sro-a.key --trust trust.json"
    )]
    Verify {
        /// The export (`depa audit export`).
        #[arg(conflicts_with = "from", required_unless_present = "from")]
        export: Option<PathBuf>,
        /// A mirror folder (`depa audit monitor`), or the address of the service, read as a person of the SRO or an auditor.
        #[arg(long, value_name = "DIR or URL")]
        from: Option<String>,
        /// A checkpoint note seen earlier, which the log must continue.
        #[arg(long)]
        earlier: Option<PathBuf>,
        /// Name of a witness whose cosignature the checkpoint must carry.
        #[arg(long, requires = "witness_key")]
        witness: Option<String>,
        /// The witness's Ed25519 key, base64url.
        #[arg(long, requires = "witness")]
        witness_key: Option<String>,
        /// Books that somebody exported (`depa payment export --format json`): each transfer and obligation must be the log's.
        #[arg(long, value_name = "FILE")]
        books: Option<PathBuf>,
        /// Check tiles, chains and states only: a quick look, no audit.
        #[arg(long)]
        no_signatures: bool,
    },
    /// Measure how long the audit of a made-up log takes, or of a contract bundle.
    #[command(
        hide = true,
        after_help = "Examples:\n  depa audit bench --entries 1000000 --json\n  depa audit bench --bundle contract.bundle.json --trust trust.json --json"
    )]
    Bench {
        /// Entries of the log.
        #[arg(long, default_value_t = 100_000)]
        entries: u64,
        /// A contract bundle to verify many times instead.
        #[arg(long)]
        bundle: Option<PathBuf>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Verify { export, from, earlier, witness, witness_key, books, no_signatures } => {
            let witness = match (witness, witness_key) {
                (Some(name), Some(key)) => Some((name, jwk(&key)?)),
                _ => None,
            };
            let options = Options { earlier: earlier.as_deref().map(text).transpose()?, witness };
            let depth = if no_signatures { Depth::NoSignatures } else { Depth::Everything };
            let (trust, now) = (global.trust()?, edge::now());
            let report = match (export, from) {
                (Some(export), _) => {
                    let file = File::open(&export).map_err(|e| edge::file_fault(&export, e))?;
                    let mut reader = BufReader::new(file);
                    verify_from(&mut Lines::new(&mut reader), &trust, &options, depth, now)?
                }
                (None, Some(from)) if from.contains("://") => {
                    let desk = global.desk_at(&from)?.acting_for(std::sync::Arc::new(global.key()?));
                    verify_from(&mut Service::new(desk), &trust, &options, depth, now)?
                }
                (None, Some(from)) => verify_from(&mut Folder::new(from.as_ref()), &trust, &options, depth, now)?,
                (None, None) => return Err(Refusal::new(Code::ConfigInvalid, "an export or --from is needed")),
            };
            let mut text = report.text();
            if let Some(books) = books {
                let compared = audit_money::compare(&report, &edge::read_json(&books)?)?;
                let ((shown, all), (owed, obligations)) = (compared.transfers, compared.obligations);
                text.push_str(&format!(
                    "{shown} of {all} transfers and {owed} of {obligations} obligations are the log's\n"
                ));
            }
            Ok(Answer::new(&report, text))
        }
        Verb::Bench { bundle: Some(bundle), .. } => {
            let measured = bench::bundle(&edge::read(&bundle)?, &global.trust()?)?;
            let text = format!("{:.3} ms per verification", measured.milliseconds);
            Ok(Answer::new(&measured, text))
        }
        Verb::Bench { entries, bundle: None } => {
            let file = std::env::temp_dir().join(format!("depa-bench-{}.jsonl", edge::fresh()));
            say("making up a log; it is removed afterwards");
            let measured = bench::run(entries, &file, edge::now());
            let _ = std::fs::remove_file(&file);
            let measured = measured?;
            let text = format!(
                "{} entries: tiles and states in {:.1} s, everything in {:.1} s with {} signatures, on {} threads",
                measured.entries,
                measured.states_seconds,
                measured.everything_seconds,
                measured.signatures,
                measured.threads
            );
            Ok(Answer::new(&measured, text))
        }
    }
}

fn jwk(text: &str) -> R<Jwk> {
    let point = Bytes::parse(text)?.0.try_into();
    point.map(Jwk::ed25519).map_err(|_| Refusal::new(Code::KeyForm, "a witness key has 32 bytes"))
}
