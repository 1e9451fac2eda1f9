//! `demo run`: the main job in one command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demo::data::{self, Tables};
use demo::house::House;
use demo::narrate::Narrator;
use demo::scenario;
use demo::steps;
use scenarios::{Order, Scenario};
use schemas::{Code, R, Refusal};
use serde::Serialize;

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
    #[command(after_help = RUN_HELP)]
    Run(Box<Run>),
}

const RUN_HELP: &str = "\
Examples:
  demo run
  demo run --data DIR --json > report.json
  demo run --keep --dir /tmp/house
  demo run --scenario mnist --rows 1000

The JSON document: contract{id,sha256,state}, run{id,state,evidence,assurance,simulated},
privacy{epsilon,delta,noise_multiplier,steps,sample_rate,metrics_noise_multiplier},
model{sha256,auc,accuracy,test_rows,computed_outside_the_room,noised_metrics}, joined_rows,
payments[{payee,name,amount_minor,currency,state}], webhooks_received, log{size,root,cosigned_at},
audit{verified,command}, room{seconds,parts[{part,seconds,share}]}, seconds{of every step, total}. With `simulated`
true nobody vouches for the machine. With --scenario: scenario, published_tables, public_rows, and model{sha256,
held_out_computed_outside_the_room,noised_metrics} in place of model, joined_rows and webhooks_received.

A temporary folder is removed at the end but for the files of the audit; after a failure, but for the logs.
It holds tables and private keys while the demo runs; --keep and --dir leave them there.

Exit codes: those of depa (depa --help); 128 and the signal's number where a signal ended it.";

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
    /// Another of the reference scenarios, as `depa scenario new` writes it: covid, credit-risk, brats, mnist or cifar10.
    #[arg(long, value_name = "NAME", conflicts_with = "epsilon")]
    scenario: Option<String>,
    /// People to generate for the scenario.
    #[arg(long, requires = "scenario")]
    rows: Option<u64>,
    /// ε contracted per dataset and asked by the run.
    #[arg(long, default_value = "1.0", value_parser = epsilon, allow_hyphen_values = true)]
    epsilon: String,
    /// Folder of the house, kept afterwards; a temporary one otherwise.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Only the form: whether it is within bounds, the rules say.
fn epsilon(text: &str) -> Result<String, String> {
    schemas::text::Real::parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| "a decimal number is expected, without sign or exponent, like 0.5".to_owned())
}

fn main() -> ExitCode {
    let Command::Run(run) = Cli::parse().command;
    match perform(&run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            demo::house::process::wait_if_ending();
            eprintln!("\ndemo: {refusal}");
            eprintln!("next: {}", next_step(&refusal));
            ExitCode::from(depa::exit::of(&refusal))
        }
    }
}

fn perform(run: &Run) -> R<()> {
    let mut narrator = Narrator::new();
    if let Some(name) = &run.scenario {
        let order = Order { scenario: Scenario::parse(name)?, rows: run.rows, seed: None, tables: run.data.clone() };
        return in_a_house(run, &mut narrator, |house, narrator| scenario::walk(house, &order, narrator));
    }
    let tables = match &run.data {
        Some(dir) => Tables::read(dir)?,
        None => data::generate(data::SEED, data::ROWS),
    };
    let from = run.data.as_ref().map_or("generated (seeded)".to_owned(), |d| d.display().to_string());
    narrator.line(&format!("Tables: {from}. Attestation is SIMULATED; nothing leaves this machine; no money moves."));
    narrator.lap("tables");
    in_a_house(run, &mut narrator, |house, narrator| steps::walk(house, &tables, &run.epsilon, narrator))
}

/// Starts a house, does what is to be done in it, reports, and takes it down as asked.
fn in_a_house<T: Serialize>(
    run: &Run,
    narrator: &mut Narrator,
    walk: impl FnOnce(&mut House, &mut Narrator) -> R<T>,
) -> R<()> {
    watch_signals()?;
    let mut house = House::start(run.dir.as_deref())?;
    narrator.lap("start");
    let report = walk(&mut house, narrator).map_err(|r| with_logs(&mut house, r))?;
    house.leave_audit();
    if run.json {
        print_json(&report)?;
    }
    if run.keep {
        keep(&mut house, narrator);
    } else if run.dir.is_none() {
        narrator.line(
            "\nThe house is taken down but for the files of the audit. To look around in it: --keep, or --dir DIR.",
        );
    }
    Ok(())
}

fn print_json(report: &impl Serialize) -> R<()> {
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
        if let Some(signal) = signals.forever().next() {
            demo::house::process::end_all();
            demo::house::remove_temporary();
            eprintln!(
                "\ndemo: interrupted; every role is ended, and the temporary folder, if there was one, is removed"
            );
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Adds the end of the log concerned, where a role has ended, and leaves all logs where they are: no table and no key.
fn with_logs(house: &mut House, refusal: Refusal) -> Refusal {
    house.leave_logs();
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
    portal(house, narrator);
    let ids: Vec<String> = addresses.iter().map(|(_, id, _)| id.to_string()).collect();
    narrator.line(&format!("End them with: kill {}", ids.join(" ")));
}

/// Says where the portal is, and how each role gets in.
fn portal(house: &House, narrator: &mut Narrator) {
    if !contract_service::portal::is_built() {
        narrator.line("The portal is not in this build: sh infra/portal.sh, then run the demo again.");
        return;
    }
    match demo::links::links(house) {
        Ok(links) => {
            narrator.part(&format!("The portal: {}/portal/", house.url));
            narrator.line("One link for each role, once, for a day. To sign: Keys > Use a key file, with its file.");
            for link in links {
                narrator.line(&format!("  {}\n    {}\n    key file {}", link.name, link.url, link.key.display()));
            }
            let psp = &house.psp.person.name;
            narrator.line(&format!("  {psp}\n    a payment system: it has no people here and works through webhooks"));
            narrator.line("");
        }
        Err(refusal) => narrator.line(&format!("No enrolment links: {refusal}")),
    }
}

fn next_step(refusal: &Refusal) -> String {
    match refusal.code {
        Code::TableForm => "give --data a folder with the three DEPA COVID tables, or leave it out".to_owned(),
        Code::EpsilonOutOfRange => {
            format!("ask for an --epsilon above 0, and at most {} in all: what the providers grant", demo::actors::CAP)
        }
        Code::ConfigInvalid => "choose another --dir, or leave it out; see demo run --help".to_owned(),
        _ => depa::next_step::of(refusal).unwrap_or("read the log of the role concerned").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_epsilon_is_checked_before_anything_starts() {
        let parse = |text: &str| Cli::try_parse_from(["demo", "run", "--epsilon", text]).is_ok();
        assert!(["0.5", "1", "3.0"].iter().all(|text| parse(text)));
        assert!(["-1", "abc", "nan", "1e3", ""].iter().all(|text| !parse(text)));
    }
}
