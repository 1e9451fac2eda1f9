use std::path::PathBuf;

use clap::Subcommand;
use depa::ccr;
use depa::ccr::agent::{self, Agent, Stop};
use schemas::{Code, R, Refusal};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Global;
use crate::output::{Answer, say, stream};

#[derive(Subcommand)]
pub enum Verb {
    /// Take queued runs, one at a time, and start a room for each. One JSON object per line on stdout.
    ///
    /// SIGTERM stops after the run that goes on, a second one at once (the run then fails; its charge stands).
    #[command(
        after_help = "Example:\n  depa ccr agent --ccr /usr/bin/ccr --config ccr.toml --work /var/lib/depa-agent --key ccrp.key --registry URL"
    )]
    Agent {
        /// The room's binary.
        #[arg(long)]
        ccr: PathBuf,
        /// The room's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Folder for the bundles of runs.
        #[arg(long)]
        work: PathBuf,
        /// Return after this many runs.
        #[arg(long)]
        runs: Option<u32>,
    },
    /// Print what a room measures to, for `depa image-set new`.
    #[command(after_help = "Example:\n  depa ccr measure --ccr /usr/bin/ccr --config ccr.toml --json > measured.json")]
    Measure {
        /// The room's binary.
        #[arg(long)]
        ccr: PathBuf,
        /// The room's configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a SIMULATED attestation root for demos and tests: whoever holds it can claim to be any room.
    #[command(after_help = "Example:\n  depa ccr software-root --dir simulated-root")]
    SoftwareRoot {
        /// A new folder.
        #[arg(long)]
        dir: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Agent { ccr, config, work, runs } => {
            let stop = Stop::default();
            let ask = stop.clone();
            let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("signals cannot be handled: {e}"));
            let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(fault)?;
            std::thread::spawn(move || signals.forever().for_each(|_| ask.ask()));
            let agent = Agent { ccr, config, work, wait_seconds: 20, runs };
            agent::serve(&global.desk_as()?.0, &agent, &stop, &mut |event| stream(event))?;
            Ok(Answer::new(&json!(null), ""))
        }
        Verb::Measure { ccr: binary, config } => {
            let measured = ccr::measure(&binary, &config)?;
            if measured.simulated {
                say("SIMULATED: digests of binaries, libraries and configuration; no hardware vouches for them");
            }
            Ok(Answer::value(&measured))
        }
        Verb::SoftwareRoot { dir } => software_root(&dir),
    }
}

#[cfg(feature = "software-attester")]
fn software_root(dir: &std::path::Path) -> R<Answer> {
    let pin = ccr::software_root(dir, depa::edge::now())?;
    say("SIMULATED: pin this root in demo profiles only");
    Ok(Answer::new(&json!({"simulated": true, "pin": pin}), format!("SIMULATED root, pin {pin}")))
}

#[cfg(not(feature = "software-attester"))]
fn software_root(_: &std::path::Path) -> R<Answer> {
    Err(Refusal::new(Code::ProductionRefused, "this build has no software attester"))
}
