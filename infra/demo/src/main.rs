//! `demo run`: the main job in one command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demo::data::{self, Tables};
use demo::house::House;
use demo::narrate::Narrator;
use demo::report::Report;
use demo::steps;
use schemas::{Code, R, Refusal};

#[derive(Parser)]
#[command(
    name = "demo",
    version,
    about = "Plays three data providers, a data consumer, a clean-room provider, a payment system and two SRO people",
    after_help = "Examples:\n  demo run\n  demo run --data DIR --json\n  demo run --keep --dir /tmp/house\n\n\
                  Attestation is SIMULATED (software evidence) and money is not moved."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Do the main job once, from keys to audit.
    Run(Box<Run>),
}

#[derive(clap::Args)]
struct Run {
    /// Folder with the three DEPA COVID tables; without it, tables of the same schema are generated.
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON document on stdout, talk on stderr.
    #[arg(long)]
    json: bool,
    /// Leave the services running and print their addresses.
    #[arg(long)]
    keep: bool,
    /// ε contracted per dataset and asked by the run.
    #[arg(long, default_value = "1.0")]
    epsilon: String,
    /// Folder of the house, kept afterwards; a temporary one otherwise.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Command::Run(run) = Cli::parse().command;
    match perform(&run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("\ndemo: {refusal}");
            eprintln!("next: {}", next_step(&refusal));
            ExitCode::from(depa::exit::of(&refusal))
        }
    }
}

fn perform(run: &Run) -> R<()> {
    let mut narrator = Narrator::new();
    let tables = match &run.data {
        Some(dir) => Tables::read(dir)?,
        None => data::generate(data::SEED, data::ROWS),
    };
    let from = run.data.as_ref().map_or("generated (seeded)".to_owned(), |d| d.display().to_string());
    narrator.line(&format!("Tables: {from}. Attestation is SIMULATED; nothing leaves this machine; no money moves."));
    narrator.lap("tables");
    watch_signals()?;
    let mut house = House::start(run.dir.as_deref())?;
    narrator.lap("start");
    let report = steps::walk(&mut house, &tables, &run.epsilon, &mut narrator).map_err(|r| with_logs(&mut house, r))?;
    house.leave_audit();
    if run.json {
        print_json(&report)?;
    }
    if run.keep {
        keep(&mut house, &mut narrator);
    } else if run.dir.is_none() {
        narrator.line(
            "\nThe house is taken down but for the files of the audit. To look around in it: --keep, or --dir DIR.",
        );
    }
    Ok(())
}

fn print_json(report: &Report) -> R<()> {
    let text = serde_json::to_string_pretty(report);
    println!("{}", text.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?);
    Ok(())
}

/// Ends the processes when the demo is told to end: they have process groups of their own.
fn watch_signals() -> R<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("signals cannot be watched: {e}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(fault)?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            demo::house::process::end_all();
            std::process::exit(130);
        }
    });
    Ok(())
}

/// Adds the end of the log concerned, where a role has ended, and leaves all logs where they are.
fn with_logs(house: &mut House, refusal: Refusal) -> Refusal {
    house.leave_files();
    let ended = match house.processes().map(|p| p.alive()) {
        Some(Err(ended)) => format!("\n{}", ended.sentence),
        _ => String::new(),
    };
    let sentence = format!("{}{ended}\nThe log of every role is in {}", refusal.sentence, house.dir.display());
    Refusal { sentence, ..refusal }
}

fn keep(house: &mut House, narrator: &mut Narrator) {
    house.keep();
    narrator.part("Still running");
    let addresses = house.processes().map(|p| p.addresses()).unwrap_or_default();
    for (name, id, url) in &addresses {
        narrator.line(&format!("  {name:<18} process {id:<8} {}", url.as_deref().unwrap_or("")));
    }
    narrator.line(&format!("  folder             {}", house.dir.display()));
    let ids: Vec<String> = addresses.iter().map(|(_, id, _)| id.to_string()).collect();
    narrator.line(&format!("End them with: kill {}", ids.join(" ")));
}

fn next_step(refusal: &Refusal) -> String {
    match refusal.code {
        Code::TableForm => "give --data a folder with the three DEPA COVID tables, or leave it out".to_owned(),
        Code::EpsilonOutOfRange => {
            format!("ask for an --epsilon above 0, and at most {} in all: what the providers grant", demo::actors::CAP)
        }
        _ => depa::exit::next_step(refusal).unwrap_or("read the log of the role concerned").to_owned(),
    }
}
