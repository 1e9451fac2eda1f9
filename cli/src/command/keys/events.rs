//! Changes of a participant's keys.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use depa::keys::{self, events};
use depa::table::Table;
use schemas::desk::KeyView;
use schemas::id::Did;
use schemas::party::{KeyAct, KeyUse};
use schemas::{Code, R, Refusal};

use super::super::Global;
use super::super::passing::{Passing, entered};
use crate::output::{Answer, word};

/// What a key may be used for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Use {
    /// Signing documents.
    Document,
    /// Asking for access tokens.
    Api,
}

/// Whose key, and why.
#[derive(Args)]
pub struct Common {
    /// The participant, where two people of the SRO sign in its place; your own key's holder otherwise.
    #[arg(long, value_parser = super::super::id::<Did>, conflicts_with = "draft")]
    participant: Option<Did>,
    /// One sentence of reason.
    #[arg(long, default_value = "none given", conflicts_with = "draft")]
    reason: String,
    #[command(flatten)]
    passing: Passing,
}

/// A key that stands.
#[derive(Args)]
pub struct Standing {
    /// Its RFC 7638 thumbprint (`depa keys show`).
    #[arg(conflicts_with = "draft", required_unless_present = "draft")]
    thumbprint: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Add a further key, signed by one that counts. Of a did:web, its document must name the new key first.
    #[command(
        after_help = "Examples:\n  depa keys new --out second.key --did did:key:z6Mk…\n  depa keys add second.key --use document --use api --key tdp.key --trust trust.json --registry URL"
    )]
    Add {
        /// The new key, made for your DID: its file, or pkcs11:… for one on a token.
        #[arg(conflicts_with = "draft", required_unless_present = "draft")]
        new: Option<PathBuf>,
        /// What it may be used for; everything if not given.
        #[arg(long = "use", conflicts_with = "draft")]
        uses: Vec<Use>,
        #[command(flatten)]
        common: Common,
    },
    /// List the keys of a participant.
    #[command(after_help = "Example:\n  depa keys list did:key:z6Mk… --registry URL")]
    List {
        /// The participant.
        #[arg(value_parser = super::super::id::<Did>)]
        participant: Did,
    },
    /// End a key: it signs nothing new, what it signed stays valid.
    #[command(
        after_help = "Example:\n  depa keys retire THUMBPRINT --reason 'changed' --key second.key --trust trust.json --registry URL"
    )]
    Retire(Standing),
    /// End a key for a cause: lost, or wrongly issued.
    #[command(
        after_help = "Examples:\n  depa keys revoke THUMBPRINT --reason 'lost' --key second.key --trust trust.json --registry URL\n  depa keys revoke THUMBPRINT --participant DID --reason 'lost' --out revoke.json --key sro-a.key --trust trust.json\n  depa keys revoke --draft revoke.json --key sro-b.key --registry URL"
    )]
    Revoke(Standing),
    /// Say that somebody else may have signed with a key: signatures from an entry on are contested, and the contracts
    /// that it touches are suspended.
    #[command(
        after_help = "Example:\n  depa keys compromise THUMBPRINT --since-index 5310 --reason 'laptop stolen' --key second.key --trust trust.json --registry URL"
    )]
    Compromise {
        #[command(flatten)]
        standing: Standing,
        /// The first entry whose signature is in doubt.
        #[arg(long, conflicts_with = "draft", required_unless_present = "draft")]
        since_index: Option<u64>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Add { new, uses, common } => {
            let uses = if uses.is_empty() { vec![Use::Document, Use::Api] } else { uses };
            let act = new.map(|new| {
                let uses = uses.iter().map(|u| match u {
                    Use::Document => KeyUse::Document,
                    Use::Api => KeyUse::Api,
                });
                events::add(&keys::open(&new)?, uses.collect(), &global.trust()?, depa::edge::now())
            });
            change(common, act.transpose()?, global)
        }
        Verb::List { participant } => {
            let list = global.desk()?.participant_keys(&participant)?;
            Ok(Answer::new(&list, table(&list.keys).text()))
        }
        Verb::Retire(s) => change(s.common, s.thumbprint.map(|thumbprint| KeyAct::Retire { thumbprint }), global),
        Verb::Revoke(s) => change(s.common, s.thumbprint.map(|thumbprint| KeyAct::Revoke { thumbprint }), global),
        Verb::Compromise { standing, since_index } => {
            let act = standing.thumbprint.zip(since_index);
            let act = act.map(|(thumbprint, since_index)| KeyAct::Compromise { thumbprint, since_index });
            change(standing.common, act, global)
        }
    }
}

fn change(common: Common, act: Option<KeyAct>, global: &Global) -> R<Answer> {
    let Common { participant, reason, passing } = common;
    let own = match participant {
        Some(participant) => participant,
        None => global.key()?.did()?,
    };
    passing.pass(
        global,
        |trust, now| {
            let needed = || Refusal::new(Code::ConfigInvalid, "a key or --draft is needed");
            events::event(&own, act.ok_or_else(needed)?, &reason, trust, now)
        },
        |desk, event| Ok(entered(&desk.change_key(event)?)),
    )
}

/// A key counts from one entry of the log on, and up to another where it was ended.
fn table(keys: &[KeyView]) -> Table<6> {
    let entry = |index: Option<u64>| index.map_or_else(|| "–".to_owned(), |index| index.to_string());
    let rows = keys.iter().map(|key| {
        let (ended, doubt) = (entry(key.ended), entry(key.compromised_since));
        let uses = key.uses.iter().map(word).collect::<Vec<_>>().join(", ");
        [key.thumbprint.clone(), key.state.clone(), key.active_from.to_string(), ended, doubt, uses]
    });
    Table::new(["thumbprint", "state", "from entry", "to entry", "in doubt from", "for"], rows).numbers(&[
        "from entry",
        "to entry",
        "in doubt from",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_from_which_entry_to_which_it_counts_and_since_when_it_is_in_doubt() {
        let jwk =
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let keys: Vec<KeyView> = serde_json::from_value(serde_json::json!([
            {"thumbprint": "one", "jwk": jwk, "uses": ["document", "api"], "state": "compromised", "active_from": 7,
             "ended": 5310, "compromised_since": 88},
            {"thumbprint": "another", "jwk": jwk, "uses": ["api"], "state": "active", "active_from": 5309,
             "ended": null, "compromised_since": null},
        ]))
        .unwrap();
        let expected = "thumbprint  state        from entry  to entry  in doubt from  for\n\
                        one         compromised           7      5310             88  document, api\n\
                        another     active             5309         –              –  api";
        assert_eq!(table(&keys).text(), expected);
    }
}
