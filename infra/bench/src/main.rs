//! Measures the contract service as its users meet it: a process of its own, real HTTP, durable commits, the load
//! generator on the same machine; beside it, in the same run, peers that do a comparable thing. And the way to a data
//! key: appraisal, release, opening.
//!
//! Figures are rows with a goal and whether it was met. A row that is not met is a figure like any other: nothing here
//! asserts a time.

mod attested;
mod database;
mod hooks;
mod house;
mod http;
mod load;
mod papers;
mod peers;
mod process;
mod rows;
mod scenes;
/// The world around a key service, as the key service's own tests make it.
#[path = "../../../kms-adapter/tests/kms/support/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use schemas::R;

use crate::rows::Row;

const EXAMPLES: &str = "\
Examples:
  sh infra/bench.sh contract-service
  sh infra/bench.sh contract-service --json | tail -n 1
  sh infra/bench.sh contract-service --only append,signature --seconds 5
  sh infra/bench.sh attestation --only appraisal,release
  sh infra/bench.sh webhooks --seconds 20";

/// Measures one area; talk on stderr, figures on stdout.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about, after_help = EXAMPLES)]
struct Cli {
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Area::ContractService)]
    area: Area,
    /// Print the rows as one JSON document on the last line.
    #[arg(long)]
    json: bool,
    /// Seconds of load for each figure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these scenes, by name, separated by commas: append, signature, single, reads, bundle, audit, restart,
    /// connections, peers; of the area attestation: stream, appraisal, opening, release; of the area webhooks: fanout, slow.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Entries of the audited log, and of the one that is restarted.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Connections held open in the mixed load.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Runs that reserve and release.
    #[arg(long, default_value_t = 200)]
    runs: usize,
    /// Bytes of the dataset that is opened as a stream; it lies beside the binary meanwhile.
    #[arg(long, default_value_t = 10_000_000_000)]
    stream: u64,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Area {
    ContractService,
    Attestation,
    Webhooks,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(measured) => {
            if cli.json {
                println!("{}", rows::json(&measured.rows));
            } else {
                print!("{}", rows::table(&measured.rows));
            }
            if measured.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(refusal) => {
            eprintln!("bench: {refusal}");
            ExitCode::FAILURE
        }
    }
}

/// The figures there are, and whether a scene gave none.
#[derive(Default)]
struct Measured {
    rows: Vec<Row>,
    failed: bool,
}

impl Measured {
    /// One scene's rows; a scene that fails takes no other's figures with it.
    fn scene(&mut self, name: &str, scene: impl FnOnce() -> R<Vec<Row>>) {
        eprintln!("bench: {name}");
        match scene() {
            Ok(rows) => self.rows.extend(rows),
            Err(refusal) => {
                eprintln!("bench: {name} failed: {refusal}");
                self.failed = true;
            }
        }
    }
}

fn run(cli: &Cli) -> R<Measured> {
    let wanted = |name: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == name);
    let plan = scenes::Plan { seconds: cli.seconds, entries: cli.entries, connections: cli.connections };
    let mut measured = Measured::default();
    if cli.area == Area::Attestation {
        let plan = attested::Plan { seconds: cli.seconds, runs: cli.runs, stream: cli.stream };
        for (name, scene) in attested::ALL.iter().filter(|(name, _)| wanted(name)) {
            measured.scene(name, || scene(&plan));
        }
        return Ok(measured);
    }
    if cli.area == Area::Webhooks {
        let plan = hooks::Plan { seconds: cli.seconds };
        for (name, scene) in hooks::ALL.iter().filter(|(name, _)| wanted(name)) {
            measured.scene(name, || scene(&plan));
        }
        return Ok(measured);
    }
    let peers = if wanted("peers") || wanted("append") { peers::measure(&plan)? } else { peers::Peers::default() };
    for (name, scene) in scenes::ALL.iter().filter(|(name, _)| wanted(name)) {
        measured.scene(name, || scene(&plan, &peers));
    }
    measured.rows.extend(peers.rows());
    Ok(measured)
}
