//! Changes of the keys of the SRO's own people: drafted by one, signed by two.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::keys::{self, events};
use schemas::Envelope;
use schemas::R;
use schemas::id::Did;
use schemas::party::{KeyAct, KeyUse};

use super::Global;
use super::sro::write;
use crate::output::Answer;

/// Whose key, why, and where the draft goes.
#[derive(Args)]
pub struct Common {
    /// The person of the SRO.
    #[arg(value_parser = super::id::<Did>)]
    person: Did,
    /// One sentence of reason.
    #[arg(long)]
    reason: String,
    /// The draft: a new file.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Draft a further key of a person, made with: depa keys new --did PERSON.
    #[command(
        after_help = "Example:\n  depa sro key add did:key:z6Mk… second.key --reason 'yearly change' --out add.json --trust trust.json"
    )]
    Add {
        #[command(flatten)]
        common: Common,
        /// The new key's file: it signs its own coming.
        new: PathBuf,
    },
    /// Draft the end of a key: it signs nothing new, what it signed stays. It does not sign its own end.
    #[command(
        after_help = "Example:\n  depa sro key retire did:key:z6Mk… THUMBPRINT --reason 'yearly change' --out retire.json --trust trust.json"
    )]
    Retire {
        #[command(flatten)]
        common: Common,
        /// Its RFC 7638 thumbprint (depa keys list PERSON).
        thumbprint: String,
    },
    /// Draft the end of a key for a cause: lost, or wrongly issued.
    #[command(
        after_help = "Example:\n  depa sro key revoke did:key:z6Mk… THUMBPRINT --reason 'lost' --out revoke.json --trust trust.json"
    )]
    Revoke {
        #[command(flatten)]
        common: Common,
        /// Its RFC 7638 thumbprint.
        thumbprint: String,
    },
    /// Draft the report that somebody else may have signed with a key: what it signed since is in doubt, and is named.
    #[command(
        after_help = "Example:\n  depa sro key compromise did:key:z6Mk… THUMBPRINT --since-index 5310 --reason 'stolen' --out report.json --trust trust.json"
    )]
    Compromise {
        #[command(flatten)]
        common: Common,
        /// Its RFC 7638 thumbprint.
        thumbprint: String,
        /// The first entry whose signature is in doubt.
        #[arg(long)]
        since_index: u64,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let (trust, now) = (global.trust()?, depa::edge::now());
    let (common, act) = match verb {
        Verb::Add { common, new } => {
            let uses = vec![KeyUse::Document, KeyUse::Api];
            (common, events::add(&keys::open(&new)?, uses, &trust, now)?)
        }
        Verb::Retire { common, thumbprint } => (common, KeyAct::Retire { thumbprint }),
        Verb::Revoke { common, thumbprint } => (common, KeyAct::Revoke { thumbprint }),
        Verb::Compromise { common, thumbprint, since_index } => {
            (common, KeyAct::Compromise { thumbprint, since_index })
        }
    };
    depa::sro::is_person(&common.person, &trust)?;
    let event = events::event(&common.person, act, &common.reason, &trust, now)?;
    write(&Envelope::draft(&event)?, &common.out)
}
