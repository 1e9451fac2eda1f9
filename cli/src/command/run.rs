use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use depa::run::{self, Watched};
use depa::{edge, job};
use schemas::id::RunId;
use schemas::{Code, Digest, R, Refusal};

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Show what a run of a bundle would cost, in privacy and money. Offline.
    #[command(after_help = "Example:\n  depa run estimate job.bundle.json --trust trust.json")]
    Estimate {
        /// The bundle.
        bundle: PathBuf,
    },
    /// Order a run.
    #[command(after_help = "Example:\n  depa run start job.bundle.json --registry URL")]
    Start {
        /// The bundle.
        bundle: PathBuf,
    },
    /// Watch an order or a run until it ends; each change of state, and steps and ε while it trains, go to stderr.
    #[command(
        after_help = "Examples:\n  depa run watch run_… --key tdc.key --registry URL\n  depa run watch JOB_SHA256 --timeout 3600 --key tdc.key --registry URL"
    )]
    Watch {
        /// A run id, or the SHA-256 of an ordered job.
        watched: String,
        /// Seconds after which watching ends (exit code 9); the run goes on.
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
    },
    /// Stop a run, as its TDC or a TDP of its contracts.
    #[command(
        after_help = "Example:\n  depa run abort run_… --reason 'wrong columns' --key tdc.key --trust trust.json --registry URL"
    )]
    Abort {
        /// The run.
        #[arg(value_parser = super::id::<RunId>)]
        run: RunId,
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Estimate { bundle } => {
            let bundle = edge::read_json_of(&bundle, edge::BUNDLE)?;
            let estimate = job::estimate(&bundle, None, &global.trust()?, edge::now())?;
            Ok(Answer::new(&estimate, super::job::cost(&estimate)))
        }
        Verb::Start { bundle } => {
            let answer = run::start(&global.desk()?, &edge::read_json_of(&bundle, edge::BUNDLE)?)?;
            let text = format!(
                "ordered {}, entry {} of the log\nfollow it: depa run watch {}",
                answer.job_sha256, answer.receipt.index, answer.job_sha256
            );
            Ok(Answer::new(&answer, text))
        }
        Verb::Watch { watched, timeout } => {
            let unknown = |_| Refusal::new(Code::ConfigInvalid, "a run id or the SHA-256 of a job is expected");
            let watched = match RunId::parse(&watched) {
                Ok(id) => Watched::Run(id),
                Err(_) => Watched::Order(Digest::parse(&watched).map_err(unknown)?),
            };
            let (desk, timeout) = (global.desk_as()?.0, Duration::from_secs(timeout));
            let mut followed = false;
            let tell = &mut |change: &run::Change| {
                let run = change.run_id.as_ref().map_or("order".to_owned(), ToString::to_string);
                say(&format!("{run}: {}", change.state));
                if let (Some(run), false) = (&change.run_id, followed) {
                    followed = true;
                    super::progress::follow(desk.clone(), run.clone(), timeout);
                }
            };
            let view = run::watch(&desk, &watched, timeout, tell)?;
            let simulated =
                if view.assurance == schemas::contract::Assurance::Software { " (SIMULATED evidence)" } else { "" };
            let text = format!(
                "{id} is {}{simulated}\nmodel: depa model download {id} --bundle FILE --open-with KEY --out FILE",
                view.state,
                id = view.run_id
            );
            Ok(Answer::new(&view, text))
        }
        Verb::Abort { run: id, reason } => {
            let (desk, key) = global.desk_as()?;
            let acted = run::abort(&desk, &id, &reason, &key, &global.trust()?, edge::now())?;
            Ok(super::passing::entered(&acted))
        }
    }
}
