mod events;
mod rotate;

use std::path::PathBuf;

use clap::Subcommand;
use depa::keys;
use schemas::id::Did;
use schemas::{Code, R, Refusal};

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Make a signing key (Ed25519) in a new file that you alone may read, or on a token that never gives it out.
    #[command(
        after_help = "Examples:\n  depa keys new --out tdp.key\n  depa keys new --out tdc.key --did did:web:tdc.example\n  \
                      depa keys new --out second.key --did did:key:z6Mk…\n  \
                      depa keys new 'pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/MODULE.so&pin-source=file:/PIN'"
    )]
    New {
        /// A key on a token: pkcs11:token=NAME;object=LABEL?module-path=/…&pin-source=file:/….
        #[arg(conflicts_with = "out", required_unless_present = "out")]
        token: Option<String>,
        /// The new file.
        #[arg(long)]
        out: Option<PathBuf>,
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
    /// Show the public half of a key: of a file, or on a token.
    #[command(after_help = "Example:\n  depa keys show tdp.key --json")]
    Show {
        /// The key file, or pkcs11:… for a key on a token.
        file: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let view = match verb {
        Verb::New { token: Some(token), did, .. } => {
            let keys::Made { key, place } = keys::make_on_token(&token, did.as_ref())?;
            say(&format!("made; sign with it: --key '{}'", place.display()));
            keys::view(&key)
        }
        Verb::New { token: None, out, did } => {
            let needed = || Refusal::new(Code::ConfigInvalid, "--out or a key on a token is needed").at("out");
            let keys::Made { key, place } = keys::make(&out.ok_or_else(needed)?, did.as_ref())?;
            say(&format!("wrote {}; keep it, it cannot be made again", place.display()));
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
