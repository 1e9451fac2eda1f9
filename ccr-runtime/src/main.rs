//! `ccr`: carries out one job in this room, or prints what this room measures to.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ccr_runtime::group::member::{self as group, Told};
use ccr_runtime::second_gate::{Agent, SecondGate};
use ccr_runtime::{Config, Progress, Room};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, setrlimit};
use schemas::{Code, Refusal};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Parser)]
#[command(
    name = "ccr",
    version,
    about = "The warden of a confidential clean room: one job, one run",
    after_help = "Examples:\n  ccr run --config ccr.toml --bundle job.bundle.json\n  ccr member --config ccr.toml --listen 10.0.0.2:7000\n  ccr measure --config ccr.toml\n\n\
                  Progress goes to stdout, one JSON object per line; it holds public figures only.\n\
                  SIGTERM and SIGINT stop a run: keys are wiped, and the log is told how far it got.\n\
                  Exit codes: 0 ok, 1 other failure, 2 arguments or configuration, 5 conflict, 6 policy denied, 7 attestation \
                  failed,\n8 privacy budget exhausted, 9 timeout, 10 verification failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Carry out the job in a bundle: admit, attest, get keys, train, seal, commit, upload, report.
    #[command(after_help = "Example:\n  ccr run --config ccr.toml --bundle job.bundle.json")]
    Run {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Job bundle (`depa job bundle`).
        #[arg(long)]
        bundle: PathBuf,
        /// Address of a member room (`ccr member`), once for each that the job asks for beside this one.
        #[arg(long = "member", value_name = "HOST:PORT")]
        members: Vec<String>,
    },
    /// Be a member of one run over several rooms: wait for the room that leads it, which has this same configuration and
    /// proves itself as this one does.
    #[command(after_help = "Example:\n  ccr member --config ccr.toml --listen 10.0.0.2:7000")]
    Member {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Address to wait at.
        #[arg(long, value_name = "HOST:PORT")]
        listen: String,
        /// Give up where no room that leads was met within so many seconds; else it waits for as long as it takes.
        #[arg(long, value_name = "SECONDS")]
        within: Option<u64>,
    },
    /// Print what this room is, as values for an image set: PCRs and measurements of the machine, or, SIMULATED, digests
    /// of the binaries, libtorch and configuration. Only of a room that is known to be good.
    #[command(after_help = "Example:\n  ccr measure --config ccr.toml")]
    Measure {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Settings),
}

#[derive(Subcommand)]
enum Settings {
    /// Print what counts. Secrets stand in files of their own and are never shown.
    #[command(after_help = "Example:\n  ccr config show --config ccr.toml --origin")]
    Show {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Say where each value comes from: default, FILE:LINE, or the variable of the environment.
        #[arg(long)]
        origin: bool,
        /// One JSON document, origins included.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    // A core dump would hold keys and rows.
    if setrlimit(Resource::RLIMIT_CORE, 0, 0).is_err() {
        eprintln!("ccr: core dumps cannot be switched off; refusing to start");
        return ExitCode::FAILURE;
    }
    let result = match Cli::parse().command {
        Command::Run { config, bundle, members } => run(&config, &bundle, members),
        Command::Member { config, listen, within } => member(&config, &listen, within.map(Duration::from_secs)),
        Command::Measure { config } => measure(&config),
        Command::Config(Settings::Show { config, origin, json }) => show(&config, origin, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let refusal = error.downcast_ref::<Refusal>();
    let code = refusal.map_or(Code::Internal, |r| r.code);
    tell(&json!({"event": "refused", "code": code.as_str(), "sentence": format!("{error:#}")}));
    eprintln!("ccr: {error:#}");
    ExitCode::from(exit_code(code))
}

/// Exit codes of the house: 2 wrong arguments or configuration, 5 conflict, 6 policy, 7 attestation, 8 budget,
/// 9 time-out, 10 verification, 1 the rest.
fn exit_code(code: Code) -> u8 {
    match code {
        Code::ConfigInvalid | Code::DeviceUnavailable => 2,
        Code::BudgetExceeded => 8,
        Code::Timeout => 9,
        Code::EvidenceRefused | Code::EvidenceNotAllowed | Code::EvidenceForm | Code::TranscriptMismatch => 7,
        Code::AttesterFailed | Code::AttesterStale | Code::BootUsed | Code::CertificatesUnavailable => 7,
        Code::GroupPlaceMismatch | Code::GroupRunMismatch | Code::MeasurementNotAllowed => 7,
        Code::SignatureInvalid | Code::ReceiptMismatch | Code::InclusionInvalid | Code::SealedTampered => 10,
        Code::GroupTampered => 10,
        Code::TrainingDiverged => 1,
        other if other.status() == 422 || other.status() == 403 => 6,
        other if other.status() == 409 => 5,
        _ => 1,
    }
}

fn tell(value: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}");
    let _ = out.flush();
}

fn run(config: &Path, bundle: &Path, members: Vec<String>) -> anyhow::Result<()> {
    let missing = |e| Refusal::new(Code::ConfigInvalid, format!("the bundle {} cannot be read: {e}", bundle.display()));
    let bytes = std::fs::read(bundle).map_err(missing)?;
    let bundle = schemas::canonical::parse(&bytes)?;
    // The claim on the queued order is a secret of the provider's agent: never an argument, which every process may read.
    let room = room(config, std::env::var("DEPA_CCR_LEASE_TOKEN").ok(), members)?;
    let done = ccr_runtime::run(bundle, &room, &mut |progress| tell(&words(&progress)))?;
    tell(&json!({
        "event": "completed", "run_id": done.run_id, "output_sha256": done.output, "url": done.url,
        "receipt_index": done.receipt.index,
    }));
    Ok(())
}

fn member(config: &Path, listen: &str, within: Option<Duration>) -> anyhow::Result<()> {
    let room = room(config, None, Vec::new())?;
    let fault = |e| Refusal::new(Code::ConfigInvalid, format!("{listen} cannot be listened at: {e}"));
    let listener = TcpListener::bind(listen).map_err(fault)?;
    tell(&json!({"event": "listening", "address": listener.local_addr().map_err(fault)?.to_string()}));
    group::serve(&listener, &room, within, &mut |told| {
        tell(&match told {
            Told::Refused(refusal) => json!({"event": "caller_refused", "code": refusal.code.as_str()}),
            Told::Met { run, place } => {
                json!({"event": "met", "run_id": run, "place": place.index, "rooms": place.rooms})
            }
            Told::Over => json!({"event": "over"}),
        });
    })?;
    Ok(())
}

fn room(path: &Path, lease_token: Option<String>, members: Vec<String>) -> anyhow::Result<Room> {
    let (config, _) = Config::load(path)?;
    ccr_runtime::worker::device::check(&config)?;
    let trust = Room::load_trust(&config)?;
    // A slip in it is noticed here, not at the first meeting.
    config.platform.load(&trust)?;
    let attester = ccr_runtime::attester::open(&config, path)?;
    let hook = ccr_runtime::trace::hook();
    let desk = contract_client::Client::new(&config.contract_service, Some(hook.clone()))?;
    let second_gate = match &config.maa {
        Some(maa) => Some(Box::new(Agent::new(maa, None)?) as Box<dyn SecondGate>),
        None => None,
    };
    let clock = contract_client::system_clock();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(Room { config, trust, attester, clock, desk, members, lease_token, second_gate, hook: Some(hook), stop })
}

fn measure(path: &Path) -> anyhow::Result<()> {
    let (config, _) = Config::load(path)?;
    tell(&ccr_runtime::attester::reference_values(&config, path)?);
    Ok(())
}

fn show(path: &Path, origin: bool, json: bool) -> anyhow::Result<()> {
    let shown = Config::shown(path)?;
    match json {
        true => tell(&shown.json()),
        false => print!("{}", shown.text(origin)),
    }
    Ok(())
}

fn words(progress: &Progress) -> Value {
    match progress {
        Progress::Admitted { job } => json!({"event": "admitted", "job_sha256": job}),
        Progress::CheckedIn { run } => json!({"event": "checked_in", "run_id": run}),
        Progress::Reserved { kms } => json!({"event": "reserved", "kms": kms}),
        Progress::Weights { kms } => json!({"event": "weights", "kms": kms}),
        Progress::Released { kms } => json!({"event": "released", "kms": kms}),
        Progress::Opened { objects } => json!({"event": "opened", "objects": objects}),
        Progress::Training { step, steps, epsilon } if epsilon.is_finite() => {
            json!({"event": "training", "step": step, "steps": steps, "epsilon": format!("{epsilon:.4}")})
        }
        Progress::Training { step, steps, .. } => {
            json!({"event": "training", "step": step, "steps": steps, "privacy": schemas::privacy::WITHOUT_PRIVACY})
        }
        Progress::Committed { output } => json!({"event": "committed", "output_sha256": output}),
        Progress::Uploaded { url } => json!({"event": "uploaded", "url": url}),
    }
}
