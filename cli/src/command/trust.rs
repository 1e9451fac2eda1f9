use std::path::PathBuf;

use clap::Subcommand;
use depa::trust;
use schemas::R;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Fetch what the registry says about itself and pin it in a new file. Compare the fingerprints out of band.
    #[command(after_help = "Example:\n  depa trust fetch --registry https://registry.example --out trust.json")]
    Fetch {
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Show the fingerprints of a trust file.
    #[command(after_help = "Example:\n  depa trust show --trust trust.json")]
    Show,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let pinned = match verb {
        Verb::Fetch { out } => {
            let fetched = trust::fetch(&global.desk()?)?;
            trust::save(&fetched, &out)?;
            say("compare these fingerprints with what the SRO published elsewhere before you rely on them");
            fetched
        }
        Verb::Show => global.trust()?,
    };
    let prints = trust::fingerprints(&pinned)?;
    let people: Vec<String> = prints.sro.iter().map(|(name, key)| format!("SRO person {name}: {key}")).collect();
    let text = format!(
        "registry {}: {}\nlog {}\n{}\nall of it: {}",
        prints.registry,
        prints.registry_key,
        prints.origin,
        people.join("\n"),
        prints.sha256
    );
    Ok(Answer::new(&prints, text))
}
