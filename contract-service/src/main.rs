//! `contract-service`: see `--help`.

use std::process::ExitCode;

use clap::Parser as _;
use contract_service::cli::{Cli, run};
use schemas::Code;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("contract-service: {refusal}");
            match refusal.code {
                Code::ConfigInvalid | Code::ProductionRefused => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
