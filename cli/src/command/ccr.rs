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
    /// Take queued runs and start a room for each. One JSON object per line on stdout.
    ///
    /// SIGTERM stops after the runs that go on, a second one at once: rooms are told to stop, and what was charged for
    /// runs that had begun to train stays. A room whose run is aborted by TDC, TDP or SRO is stopped within seconds.
    /// An agent that is killed leaves its rooms running; the next one with the same --work takes them up again. An order
    /// whose room has not checked in goes back to the queue after a minute.
    ///
    /// Where a job asks for several rooms, one leads and the others are its members (`ccr member`). Those named by --member
    /// wait on other machines and are asked first, each by one run at a time; the missing ones are started on this machine.
    /// They end with their run. A room whose evidence names its boot needs a machine of its own.
    #[command(after_help = "Examples:\n  \
                      depa ccr agent --ccr /usr/bin/ccr --config ccr.toml --work /var/lib/depa-agent --key ccrp.key --registry URL\n  \
                      depa ccr agent … --rooms 4       four runs at once; hardware evidence allows one for each boot\n  \
                      depa ccr agent … --runs 1        one run, then return\n  \
                      depa ccr agent … --member 10.0.0.2:7000     a room of another machine, where a loop or service manager starts\n  \
                      \u{20}                                           `ccr member --config ccr.toml --listen 10.0.0.2:7000`\n\n\
                      Events: agent_ready, agent_found (a room of an earlier agent), agent_took, agent_member (waits for its leader),\n\
                      agent_member_said, agent_member_ended, agent_stops_room, agent_room_died, agent_ended, agent_failed,\n\
                      agent_waiting, agent_stopped, and the lines of the rooms that lead, with their job.")]
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
        /// Runs at once.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(agent::MOST_ROOMS)))]
        rooms: u32,
        /// Address of a member room on another machine, for jobs that ask for several rooms; once for each.
        #[arg(long = "member", value_name = "HOST:PORT")]
        members: Vec<String>,
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
        Verb::Agent { ccr, config, work, runs, rooms, members } => {
            let stop = Stop::default();
            let ask = stop.clone();
            let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("signals cannot be handled: {e}"));
            let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(fault)?;
            std::thread::spawn(move || signals.forever().for_each(|_| ask.ask()));
            let agent = Agent { ccr, config, work, wait_seconds: 20, runs, rooms, members };
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
