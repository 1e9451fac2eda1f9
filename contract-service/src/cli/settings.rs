//! `config show`: what the service is set to, and who said so.

use std::path::PathBuf;

use clap::Subcommand;
use schemas::R;

use crate::config::Config;

/// Commands on the configuration.
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// Print what counts: file, environment and defaults as one. Secrets stand in files of their own and are never shown.
    #[command(
        after_help = "Example:\n  contract-service config show --config sro/config.toml --origin\n\nWith --origin each \
                            line ends with who said so: default, FILE:LINE, or the variable of the environment."
    )]
    Show {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
        /// One JSON document, origins included.
        #[arg(long)]
        json: bool,
    },
}

/// Carries out the command.
pub fn run(asked: Settings) -> R<()> {
    let Settings::Show { config, origin, json } = asked;
    let shown = Config::shown(&config, std::env::vars())?;
    match json {
        true => println!("{:#}", shown.json()),
        false => print!("{}", shown.text(origin)),
    }
    Ok(())
}
