mod events;
mod rotate;

use std::path::PathBuf;

use clap::Subcommand;
use depa::keys;
use schemas::R;
use schemas::id::Did;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Make a signing key (Ed25519) in a new file that you alone may read.
    #[command(
        after_help = "Examples:\n  depa keys new --out tdp.key\n  depa keys new --out tdc.key --did did:web:tdc.example\n  \
                      depa keys new --out second.key --did did:key:z6Mk…"
    )]
    New {
        /// The new file.
        #[arg(long)]
        out: PathBuf,
        /// Under whose name the key signs: a did:web, or for a further key of yours the DID that you have; its own
        /// did:key otherwise. A further key counts once `depa keys add` has entered it.
        #[arg(long, value_parser = super::id::<Did>)]
        did: Option<Did>,
    },
    /// Make a key to which models are encrypted (X25519).
    #[command(after_help = "Example:\n  depa keys new-encryption --out models.key")]
    NewEncryption {
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    #[command(flatten)]
    Event(events::Verb),
    #[command(flatten)]
    Rotation(rotate::Verb),
    /// Show the public half of a key file.
    #[command(after_help = "Example:\n  depa keys show tdp.key --json")]
    Show {
        /// The key file.
        file: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let view = match verb {
        Verb::New { out, did } => {
            let key = keys::new(&out, did.as_ref())?;
            say(&format!("wrote {}; keep it, it cannot be made again", out.display()));
            keys::view(&key)
        }
        Verb::NewEncryption { out } => {
            let key = keys::new_encryption(&out)?;
            say(&format!("wrote {}; without it no model made for it can be opened", out.display()));
            keys::enc_view(&key)
        }
        Verb::Show { file } => keys::show(&file)?,
        Verb::Event(verb) => return events::run(verb, global),
        Verb::Rotation(verb) => return rotate::run(verb, global),
    };
    let name = view.did.as_ref().map_or_else(|| view.thumbprint.clone(), ToString::to_string);
    Ok(Answer::new(&view, format!("{name}\nthumbprint {}", view.thumbprint)))
}
