//! A key changes: the new one is added by the old one, then ends the old one.

use std::path::PathBuf;

use clap::Subcommand;
use contract_client::Acted;
use depa::{edge, keys};
use schemas::party::{KeyAct, KeyUse};
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Put a new key in the place of your own: made here, added by the old one, which it then retires.
    ///
    /// What the old key signed stays valid. For a did:web its document must name the new key first: make it with
    /// `depa keys new --did`, publish it, then `depa keys add` and `depa keys retire`.
    #[command(
        after_help = "Example:\n  depa keys rotate --out tdp-2027.key --reason 'yearly' --key tdp.key --trust trust.json --registry URL"
    )]
    Rotate {
        /// The new key: a new file, or pkcs11:… to make it on a token.
        #[arg(long)]
        out: PathBuf,
        /// One sentence of reason.
        #[arg(long, default_value = "none given")]
        reason: String,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Rotate { out, reason } = verb;
    let (desk, old) = global.desk_as()?;
    let (trust, did, now) = (global.trust()?, old.did()?, edge::now());
    if signing::did::is_web(&did) {
        let sentence = "the document of a did:web must name the new key first; see depa keys rotate --help";
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("key"));
    }
    let keys::Made { key: new, place } = keys::make(&out, Some(&did))?;
    let add = keys::events::add(&new, vec![KeyUse::Document, KeyUse::Api], &trust, now)?;
    let added = entered(desk.change_key(&signing::sign(
        &keys::events::event(&did, add, &reason, &trust, now)?,
        &old,
        now,
    )?)?)?;
    say(&format!("{} counts from entry {added} on", place.display()));
    let former = keys::view(&old).thumbprint;
    let retire = KeyAct::Retire { thumbprint: former.clone() };
    let event = keys::events::event(&did, retire, &reason, &trust, edge::now())?;
    let retired = entered(desk.change_key(&signing::sign(&event, &new, edge::now())?)?)?;
    let view = keys::view(&new);
    let answer =
        json!({"did": did, "thumbprint": view.thumbprint, "former": former, "added": added, "retired": retired});
    Ok(Answer::new(&answer, format!("{did} signs with {} now\n{former} ended with entry {retired}", view.thumbprint)))
}

fn entered(acted: Acted<schemas::desk::Receipted>) -> R<u64> {
    match acted {
        Acted::Entered(answer) => Ok(answer.receipt.index),
        Acted::Waiting(_) => Err(Refusal::new(Code::PeerFault, "a participant's own act waits for a second person")),
    }
}
