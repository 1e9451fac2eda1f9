//! Where a sealed object goes, of a table or of weights.

use std::path::PathBuf;

/// The places of a sealed object.
#[derive(clap::Args)]
pub struct Places {
    /// The sealed object: a new file; its manifest comes beside it.
    #[arg(long)]
    pub out: PathBuf,
    /// Where the room will fetch it from; file:// of --out otherwise.
    #[arg(long)]
    pub url: Option<String>,
    /// What offer or job need to know of it: a new file.
    #[arg(long)]
    pub record: PathBuf,
}
