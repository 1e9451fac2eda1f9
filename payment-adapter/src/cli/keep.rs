//! Commands that look after the adapter's database: backup, check, restore.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use schemas::{Code, R, Refusal};

use crate::backup::{self, Checked};

/// What can be asked.
#[derive(Subcommand)]
pub(super) enum Keep {
    /// Writes a checked copy of the database into a new file that its owner alone may read. The adapter may serve
    /// meanwhile.
    #[command(
        after_help = "Example:\n  payment-adapter backup --config payment-adapter.toml --out 2026-12-01.backup\n\nIt names \
                            payers, payees and amounts: encrypt it where it lies. Keys, secrets and the bank's files are not \
                            in it."
    )]
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Checks a backup: that it is whole, a payment adapter's, and of no newer build. Nothing is changed.
    #[command(after_help = "Example:\n  payment-adapter check 2026-12-01.backup")]
    Check {
        /// The backup.
        file: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Puts a backup back into a data_dir that holds no database. The adapter must not run.
    #[command(
        after_help = "Example:\n  payment-adapter restore --config payment-adapter.toml --backup 2026-12-01.backup\n\nHave what \
                            was instructed since sent once more before you serve: depa webhook replay --endpoint ID --since TIME"
    )]
    Restore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The backup.
        #[arg(long)]
        backup: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Does what was asked and says what came of it.
pub(super) fn act(asked: Keep) -> R<()> {
    let (did, file, checked, json) = match asked {
        Keep::Backup { config, out, json } => {
            ("wrote", out.clone(), backup::backup(&super::load(&config)?, &out)?, json)
        }
        Keep::Check { file, json } => ("whole:", file.clone(), backup::check(&file)?, json),
        Keep::Restore { config, backup, json } => {
            let config = super::load(&config)?;
            let checked = backup::restore(&config, &backup, &contract_client::system_clock())?;
            ("put back", backup, checked, json)
        }
    };
    show(did, &file, &checked, json)
}

fn show(did: &str, file: &Path, checked: &Checked, json: bool) -> R<()> {
    if json {
        println!("{}", serde_json::to_string(checked).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?);
        return Ok(());
    }
    let Checked { provider, registry, instructions, answers_open } = checked;
    let of = provider.as_deref().zip(registry.as_deref());
    let of = of.map_or_else(|| "nobody yet".to_owned(), |(provider, registry)| format!("{provider} at {registry}"));
    println!("{did} {}: {instructions} instructions, {answers_open} answers to be taken, of {of}", file.display());
    Ok(())
}
