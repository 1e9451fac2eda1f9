//! The command line: `serve`, `healthy`, `import`, `status`, `backup`, `check`, `restore`, `config show`.

mod keep;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use schemas::{Code, R, Refusal};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use telemetry::health::{self, Door};

use crate::config::{Config, Profile};
use crate::engine::Engine;
use crate::status::Status;

const EXAMPLES: &str = "Examples:
  payment-adapter serve --config /etc/depa/payment-adapter.toml
  payment-adapter import --config /etc/depa/payment-adapter.toml statements/2026-12-01.camt053.xml
  payment-adapter status --config /etc/depa/payment-adapter.toml --json
  payment-adapter backup --config /etc/depa/payment-adapter.toml --out 2026-12-01.backup

The adapter speaks plain HTTP on a loopback address; a proxy in front of it ends TLS. The contract service posts to
/webhooks, the payment system to /events.
Every key of the configuration can be overridden as DEPA_PAYMENTS__KEY (nested: __A__B).
Exit codes: 0 ok, 1 other failure, 2 wrong arguments or configuration, 10 a file that is refused; of healthy 0 and 1 alone.";

/// A payment service provider's adapter: takes the contract service's instructions, has them paid, answers.
#[derive(Parser)]
#[command(name = "payment-adapter", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Pays and answers until it is told to stop; prints its address as one line of JSON once it listens.
    #[command(after_help = "Example:\n  payment-adapter serve --config payment-adapter.toml")]
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Asks the adapter on this machine whether it is ready; exit code 0 or 1, with one sentence.
    #[command(
        after_help = "Example:\n  payment-adapter healthy --config payment-adapter.toml\n\nFor containers, whose images hold no \
                            shell. It reads the configuration that serve reads, asks /readyz where the adapter listens, and \
                            waits two seconds."
    )]
    Healthy {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Reads files of a bank (pain.002, camt.052, camt.053, camt.054), each once; also while the adapter serves.
    #[command(
        after_help = "Example:\n  payment-adapter import --config payment-adapter.toml statement.xml\n\nWhat is read is \
                            kept at once; a serving adapter sends the answers that follow. The same file again changes \
                            nothing. Money that belongs to no instruction is told to the contract service, which puts it \
                            in suspense."
    )]
    Import {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object for each file.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Keep(keep::Keep),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(settings::Settings),
    /// Shows where instructions stand, what is still to be answered, and money that belongs to no instruction.
    #[command(after_help = "Example:\n  payment-adapter status --config payment-adapter.toml")]
    Status {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// All of it as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // No core dump, and no other process of this user reads this one's memory.
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0).and_then(|()| set_dumpable(false)) {
        eprintln!("core dumps cannot be switched off: {error}");
        return ExitCode::FAILURE;
    }
    match act(cli.act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::from(match refusal.code {
                Code::ConfigInvalid | Code::ProductionRefused => 2,
                Code::PaymentFile | Code::BodyTooLarge | Code::RequestReplayed | Code::RecoveryRefused => 10,
                _ => 1,
            })
        }
    }
}

fn act(act: Act) -> R<()> {
    match act {
        Act::Config(asked) => settings::run(asked),
        Act::Keep(asked) => keep::act(asked),
        Act::Serve { config } => serve(&load(&config)?),
        Act::Healthy { config } => {
            let door = load(&config).map(|c| Door { bind: c.bind, tls: false, path: "/readyz" });
            println!("{}", health::ask(door)?);
            Ok(())
        }
        Act::Import { config, files, json } => import(&load(&config)?, &files, json),
        Act::Status { config, json } => {
            let status = Engine::open(&load(&config)?, contract_client::system_clock())?.status()?;
            show(&status, json)
        }
    }
}

fn load(path: &Path) -> R<Config> {
    Config::load(path, std::env::vars())
}

fn serve(config: &Config) -> R<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_env_filter(filter).init();
    if config.profile == Profile::Demo {
        tracing::warn!("demo profile: a payment system that pays nothing may be used");
    }
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    let running = crate::serve::start(config, contract_client::system_clock())?;
    println!("{}", json!({"event": "listening", "url": running.url()}));
    signals.forever().next();
    running.stop();
    Ok(())
}

fn import(config: &Config, files: &[PathBuf], json: bool) -> R<()> {
    let engine = Engine::open(config, contract_client::system_clock())?;
    for file in files {
        let imported = engine.import(file)?;
        if json {
            println!("{}", serde_json::to_string(&imported).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?);
        } else if imported.known {
            println!("{}: {} {} was read before", file.display(), imported.kind, imported.message);
        } else {
            println!(
                "{}: {} {}: {} moved on, {} known, {} unmatched, {} out of order",
                file.display(),
                imported.kind,
                imported.message,
                imported.moved,
                imported.repeated,
                imported.unmatched,
                imported.refused
            );
        }
    }
    Ok(())
}

fn show(status: &Status, json: bool) -> R<()> {
    if json {
        println!("{}", serde_json::to_string(status).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?);
        return Ok(());
    }
    for (state, count) in &status.states {
        println!("{state:<10} {count}");
    }
    println!("answers    {} to be taken, {} refused for good", status.answers_open, status.answers_refused);
    for a in &status.answers {
        let then = if a.refused { "refused for good" } else { "is sent again" };
        println!("answer {} {then} after {} {}", a.subject, a.attempts, a.code.as_deref().unwrap_or_default());
    }
    for i in
        status.instructions.iter().filter(|i| i.note.is_some() || !matches!(i.state.as_str(), "settled" | "failed"))
    {
        let note = i.note.as_deref().unwrap_or_default();
        println!("{} {} {} {} {} {note}", i.instruction_id, i.state, i.amount_minor, i.currency, i.since);
    }
    for u in &status.unmatched {
        println!("unmatched {} {} {} {} {}", u.reference, u.direction, u.amount_minor, u.currency, u.why);
    }
    Ok(())
}
