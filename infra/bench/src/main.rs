//! Measures the contract service as its users meet it: a process of its own, real HTTP, durable commits, the load
//! generator on the same machine; beside it, in the same run, peers that do a comparable thing.
//!
//! Figures are rows with a goal and whether it was met. A row that is not met is a figure like any other: nothing here
//! asserts a time.

mod house;
mod http;
mod load;
mod papers;
mod peers;
mod process;
mod rows;
mod scenes;

use std::process::ExitCode;

use clap::Parser;
use schemas::R;

use crate::rows::Row;

const EXAMPLES: &str = "\
Examples:
  sh infra/bench.sh contract-service
  sh infra/bench.sh contract-service --json | tail -n 1
  sh infra/bench.sh contract-service --only append,signature --seconds 5";

/// Measures the contract service; talk on stderr, figures on stdout.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about, after_help = EXAMPLES)]
struct Cli {
    /// Print the rows as one JSON document on the last line.
    #[arg(long)]
    json: bool,
    /// Seconds of load for each figure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these scenes, by name, separated by commas: append, signature, single, reads, bundle, audit, restart,
    /// connections, peers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Entries of the audited log, and of the one that is restarted.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Connections held open in the mixed load.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(rows) => {
            if cli.json {
                println!("{}", rows::json(&rows));
            } else {
                print!("{}", rows::table(&rows));
            }
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("bench: {refusal}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> R<Vec<Row>> {
    let wanted = |name: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == name);
    let plan = scenes::Plan { seconds: cli.seconds, entries: cli.entries, connections: cli.connections };
    let mut rows = Vec::new();
    let peers = if wanted("peers") || wanted("append") { peers::measure(&plan)? } else { peers::Peers::default() };
    for (name, scene) in scenes::ALL {
        if wanted(name) {
            eprintln!("bench: {name}");
            rows.extend(scene(&plan, &peers)?);
        }
    }
    rows.extend(peers.rows());
    Ok(rows)
}
