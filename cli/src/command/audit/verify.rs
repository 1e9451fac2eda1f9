//! The complete check of a log, and its measure.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use depa::audit::money as audit_money;
use depa::audit::period::Period;
use depa::audit::printed::Printed;
use depa::audit::source::{Folder, Lines, Service, Source};
use depa::audit::{Depth, Options, Report, bench, verify_from};
use depa::edge;
use depa::payment::export::Export;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use signing::Trust;

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
        #[command(flatten)]
        asked: Asked,
        /// Check tiles, chains and states only: a quick look, no audit.
        #[arg(long)]
        no_signatures: bool,
    },
    /// Print one document of a complete verification: heads, entries by kind, budgets of ε, money, and what is at fault.
    ///
    /// Markdown for people, or its tables as CSV; with --json the same for programs. A log that does not verify gets a
    /// report too, with the code and the sentence of its first fault, and exit code 10.
    #[command(
        after_help = "Examples:\n  depa audit report log.jsonl --trust trust.json > audit.md\n  depa audit report log.jsonl --trust trust.json --format csv > audit.csv\n  depa audit report log.jsonl --trust trust.json --period 2026-Q3 > quarter.md\n  depa audit report log.jsonl --trust trust.json --earlier checkpoint.txt --books books.json --json > audit.json"
    )]
    Report {
        #[command(flatten)]
        asked: Asked,
        /// The form of the document.
        #[arg(long, value_enum, default_value_t = Format::Md)]
        format: Format,
        /// Tell also what happened in a year (2026), a quarter (2026-Q3), a month (2026-09) or a stretch of days
        /// (2026-07-01..2026-09-30, both included), in UTC.
        #[arg(long, value_name = "PERIOD", value_parser = crate::command::id::<Period>)]
        period: Option<Period>,
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

/// Forms of a report.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// Markdown.
    Md,
    /// A line for each value: section, row, column, value.
    Csv,
}

/// What is audited, and beside what.
#[derive(Args)]
pub struct Asked {
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
}

impl Asked {
    /// The books that somebody showed.
    fn books(&self) -> R<Option<Export>> {
        self.books.as_deref().map(edge::read_json).transpose()
    }

    /// Verifies what is asked for, from where it lies.
    fn verify(&self, depth: Depth, period: Option<Period>, trust: &Trust, global: &Global) -> R<Report> {
        let witness = match (&self.witness, &self.witness_key) {
            (Some(name), Some(key)) => Some((name.clone(), jwk(key)?)),
            _ => None,
        };
        let (earlier, now) = (self.earlier.as_deref().map(text).transpose()?, edge::now());
        let options = Options { earlier, witness, period };
        let check = |source: &mut dyn Source| verify_from(source, trust, &options, depth, now);
        match (&self.export, &self.from) {
            (Some(export), _) => {
                let file = File::open(export).map_err(|e| edge::file_fault(export, e))?;
                check(&mut Lines::new(&mut BufReader::new(file)))
            }
            (None, Some(from)) if from.contains("://") => {
                let desk = global.desk_at(from)?.acting_for(global.key()?);
                check(&mut Service::new(desk))
            }
            (None, Some(from)) => check(&mut Folder::new(from.as_ref())),
            (None, None) => Err(Refusal::new(Code::ConfigInvalid, "an export or --from is needed")),
        }
    }
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Verify { asked, no_signatures } => {
            let depth = if no_signatures { Depth::NoSignatures } else { Depth::Everything };
            let report = asked.verify(depth, None, &global.trust()?, global)?;
            let mut text = report.text();
            if let Some(books) = asked.books()? {
                let compared = audit_money::compare(&report, &books)?;
                let ((shown, all), (owed, obligations)) = (compared.transfers, compared.obligations);
                text.push_str(&format!(
                    "{shown} of {all} transfers and {owed} of {obligations} obligations are the log's\n"
                ));
            }
            Ok(Answer::new(&report, text))
        }
        Verb::Report { asked, format, period } => {
            let (trust, books) = (global.trust()?, asked.books()?);
            let audited = asked.verify(Depth::Everything, period, &trust, global);
            let compare = |report: &Report| books.map(|books| audit_money::compare(report, &books));
            let printed = Printed::of(&trust, edge::now(), audited, compare)?;
            let text = match format {
                Format::Md => printed.markdown(),
                Format::Csv => printed.csv(),
            };
            Ok(Answer { exit: printed.exit(), ..Answer::new(&printed, text) })
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
