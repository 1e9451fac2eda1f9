//! The command line: `init`, `serve`, `healthy`, `verify-log`, `config show`, and what [`keep`] adds.

mod keep;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, Digest, R, Refusal, canonical};
use serde_json::json;
use telemetry::health::{self, Door};

use crate::config::{Config, Profile};
use crate::service::Service;

const EXAMPLES: &str = "Examples:
  kms-adapter init --dir /var/lib/depa-kms --provider did:key:z6Mk… --url https://kms.tdp.example --trust trust.json
  kms-adapter serve --config /var/lib/depa-kms/kms.toml
  kms-adapter verify-log --config /var/lib/depa-kms/kms.toml
  kms-adapter backup --config /var/lib/depa-kms/kms.toml --to recovery.jwk --out kms.backup

The service speaks plain HTTP on a loopback address; a proxy in front of it ends TLS.
Every key of the configuration can be overridden: DEPA_KMS__LEASE_SECONDS=20 kms-adapter serve …
Exit codes: 0 ok, 1 other failure, 2 wrong arguments or configuration, 10 a journal that does not verify; of healthy
0 and 1 alone.";

/// One training data provider's key service: keeps its data keys and opens them for approved clean rooms only.
#[derive(Parser)]
#[command(name = "kms-adapter", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Makes the folder of a new key service: root key, signing key, import key, configuration.
    #[command(after_help = "Example:
  kms-adapter init --dir kms --provider did:key:z6Mk… --url http://127.0.0.1:8451 --trust trust.json")]
    Init(Box<InitArgs>),
    /// Answers requests until it is told to stop; prints its address as one line of JSON once it listens.
    #[command(after_help = "Example:\n  kms-adapter serve --config kms/kms.toml")]
    Serve {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
    },
    /// Asks the service on this machine whether it is ready; exit code 0 or 1, with one sentence.
    #[command(
        after_help = "Example:\n  kms-adapter healthy --config kms/kms.toml\n\nFor containers, whose images hold no \
                            shell. It reads the configuration that serve reads, asks /readyz where the service listens, and \
                            waits two seconds."
    )]
    Healthy {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
    },
    #[command(flatten)]
    Keep(keep::Keep),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(settings::Settings),
    /// Checks every receipt of the journal, its chain, its checkpoints, and the ledger against it.
    #[command(after_help = "Example:\n  kms-adapter verify-log --config kms/kms.toml")]
    VerifyLog {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// Checkpoints that were kept elsewhere; those of the folder without it.
        #[arg(long)]
        checkpoints: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct InitArgs {
    /// Folder to make; mode 0700.
    #[arg(long)]
    dir: PathBuf,
    /// DID of the training data provider.
    #[arg(long)]
    provider: Did,
    /// The provider's public signing key as JWK file; needed for a did:web.
    #[arg(long)]
    provider_jwk: Option<PathBuf>,
    /// Base URL by which clean rooms reach the service.
    #[arg(long)]
    url: String,
    /// Trust file: registry, its key, origin of the log, SRO people.
    #[arg(long)]
    trust: PathBuf,
    /// Loopback address to bind.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// `production` accepts genuine hardware evidence only.
    #[arg(long, value_enum, default_value = "production")]
    profile: ProfileArg,
    /// Pin of a software attester's root (demo only); may be given more than once.
    #[arg(long)]
    software_root: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileArg {
    Demo,
    Production,
}

/// Runs the command line; the exit code is 0, 1, 2 for a wrong configuration, or 10 for a journal that does not verify.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // No core dump, and no other process of this user reads this one's memory (ptrace, /proc/PID/mem).
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
                Code::RootKeyMissing | Code::RootKeyExposed | Code::RootKeyForm => 2,
                Code::LogTampered | Code::RowTampered => 10,
                _ => 1,
            })
        }
    }
}

fn act(act: Act) -> R<()> {
    match act {
        Act::Init(args) => init(*args),
        Act::Serve { config } => {
            let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
            tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_env_filter(filter).init();
            let config = Config::load(&config)?;
            if config.profile == Profile::Demo {
                tracing::warn!("demo profile: SIMULATED evidence is accepted where its root is pinned");
            }
            let running = Service::start_with_signals(config, crate::system_clock())?;
            println!("{}", json!({"event": "listening", "url": running.url()}));
            running.wait();
            Ok(())
        }
        Act::Healthy { config } => {
            let door = Config::load(&config).map(|c| Door { bind: c.listen, tls: false, path: "/readyz" });
            println!("{}", health::ask(door)?);
            Ok(())
        }
        Act::Config(asked) => settings::run(asked),
        Act::Keep(asked) => {
            println!("{}", keep::act(asked)?);
            Ok(())
        }
        Act::VerifyLog { config, checkpoints } => {
            let report = crate::verify_log(Config::load(&config)?, checkpoints.as_deref())?;
            println!(
                "{}",
                json!({"receipts": report.receipts, "runs": report.runs, "head": report.head, "verified": true})
            );
            Ok(())
        }
    }
}

fn init(args: InitArgs) -> R<()> {
    let profile = match args.profile {
        ProfileArg::Demo => Profile::Demo,
        ProfileArg::Production => Profile::Production,
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
    };
    let trust: signing::Trust = canonical::parse(&read(&args.trust)?)?;
    let absolute =
        |path: &PathBuf| std::path::absolute(path).map_err(|e| Refusal::new(Code::ConfigInvalid, e.to_string()));
    let mut config = Config::new(profile, &args.url, &absolute(&args.dir)?, &args.provider, &absolute(&args.trust)?);
    if let Some(path) = &args.provider_jwk {
        config.provider_jwk = Some(canonical::parse::<Jwk>(&read(path)?)?);
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    config.software_roots = args.software_root.iter().map(|pin| Digest::parse(pin)).collect::<R<_>>()?;
    let made = crate::init(&config)?;
    let report = json!({
        "config": made.config_file, "provider": args.provider, "kms": args.url, "registry": trust.registry,
        "sign_jwk": made.sign_jwk, "import_jwk": made.import_jwk,
    });
    println!("{report:#}");
    Ok(())
}
