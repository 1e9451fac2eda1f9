mod list;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use depa::edge;
use depa::party::{self, Applicant};
use schemas::R;
use schemas::id::Did;
use schemas::party::{Decision, Kind};
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// Training data provider.
    Tdp,
    /// Training data consumer.
    Tdc,
    /// Clean-room provider.
    Ccrp,
    /// Payment service provider.
    Psp,
    /// Auditor: reads what the SRO reads; each reading is entered in the log.
    Auditor,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Word {
    /// May act.
    Verified,
    /// May not act.
    Rejected,
    /// May not act for now.
    Suspended,
    /// Gone for good.
    Withdrawn,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Apply for registration, signed by your own key.
    #[command(
        after_help = "Example:\n  depa party apply --role tdp --name 'Acme Labs' --jurisdiction IN --key tdp.key --trust trust.json --registry URL"
    )]
    Apply {
        /// As what.
        #[arg(long)]
        role: Role,
        /// Legal name.
        #[arg(long)]
        name: String,
        /// ISO 3166 country code.
        #[arg(long)]
        jurisdiction: String,
    },
    /// Print the document that the host of your did:web must serve before you apply.
    #[command(after_help = "Example:\n  depa party web-document --key tdc.key > did.json")]
    WebDocument,
    /// Sign a decision as a person of the SRO. The first person drafts with --out, the second signs that file.
    #[command(
        after_help = "Examples:\n  depa party decide DID --decision verified --reason 'papers seen' --out decision.json --key a.key --trust trust.json --registry URL\n  depa party decide --draft decision.json --key b.key --registry URL"
    )]
    Decide {
        /// About whom.
        #[arg(value_parser = super::id::<Did>, conflicts_with = "draft", required_unless_present = "draft")]
        participant: Option<Did>,
        /// What is decided.
        #[arg(long, conflicts_with = "draft", required_unless_present = "draft")]
        decision: Option<Word>,
        /// One sentence of reason.
        #[arg(long, default_value = "decided by the SRO", conflicts_with = "draft")]
        reason: String,
        /// Keep the drafted bytes here, for the second person.
        #[arg(long, conflicts_with = "draft")]
        out: Option<PathBuf>,
        /// The draft that another person made.
        #[arg(long)]
        draft: Option<PathBuf>,
    },
    /// Leave the registry for good. What you signed stays valid; contracts in force are suspended.
    #[command(
        after_help = "Example:\n  depa party withdraw --reason 'closing down' --key tdp.key --trust trust.json --registry URL"
    )]
    Withdraw {
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
    },
    #[command(flatten)]
    List(list::Verb),
    /// Show a participant.
    #[command(after_help = "Example:\n  depa party show did:key:z6Mk… --registry URL")]
    Show {
        /// The participant.
        #[arg(value_parser = super::id::<Did>)]
        participant: Did,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Apply { role, name, jurisdiction } => {
            let (desk, key) = global.desk_as()?;
            let applicant = Applicant { kind: kind(role), legal_name: name, jurisdiction };
            let receipt = party::apply(&desk, &applicant, &key, &global.trust()?, edge::now())?;
            let text = format!("applied as {}; entry {} of the log", key.did()?, receipt.index);
            say("next: two people of the SRO decide; look with: depa party show DID");
            Ok(Answer::new(&json!({"did": key.did()?, "receipt": receipt}), text))
        }
        Verb::WebDocument => Ok(Answer::value(&party::web_document(&global.key()?)?)),
        Verb::Decide { participant, decision, reason, out, draft } => {
            let (desk, key) = global.desk_as()?;
            let drafted = draft.is_some();
            let document = match (draft, participant, decision) {
                (Some(path), ..) => party::read_decision(&path)?,
                (None, Some(did), Some(decision)) => {
                    let view = party::show(&desk, &did)?;
                    party::decision(&view, word(decision), &reason, &global.trust()?, edge::now())?
                }
                _ => {
                    return Err(schemas::Refusal::new(
                        schemas::Code::ConfigInvalid,
                        "a participant and a decision, or --draft, are needed",
                    ));
                }
            };
            let passed_on = drafted || out.is_some();
            if let Some(out) = out {
                edge::write_json(&out, &document)?;
                say(&format!("wrote {}; a second person signs it with --draft", out.display()));
            }
            let answer = party::decide(&desk, &document, &key, edge::now())?;
            if answer.receipt.is_none() && !passed_on {
                say("next: a second person signs the same bytes; decide again with --out to have them in a file");
            }
            Ok(super::passing::two_people(&answer, "decided"))
        }
        Verb::Withdraw { reason } => {
            let (desk, key) = global.desk_as()?;
            let receipt = party::withdraw(&desk, &reason, &key, &global.trust()?, edge::now())?;
            let text = format!("{} has left; entry {} of the log", key.did()?, receipt.index);
            Ok(Answer::new(&json!({"did": key.did()?, "receipt": receipt}), text))
        }
        Verb::List(verb) => list::run(verb, global),
        Verb::Show { participant } => {
            let view = party::show(&global.desk()?, &participant)?;
            let application = view.application.read_unverified()?;
            let kind = crate::output::word(&application.kind);
            let text = format!("{} ({kind}) {}: {}", application.legal_name, application.did, view.state);
            let answer = json!({
                "did": application.did, "kind": application.kind, "legal_name": application.legal_name,
                "jurisdiction": application.jurisdiction, "state": view.state,
                "application": view.application, "decision": view.decision,
            });
            Ok(Answer::new(&answer, text))
        }
    }
}

fn kind(role: Role) -> Kind {
    match role {
        Role::Tdp => Kind::Tdp,
        Role::Tdc => Kind::Tdc,
        Role::Ccrp => Kind::Ccrp,
        Role::Psp => Kind::Psp,
        Role::Auditor => Kind::Auditor,
    }
}

fn word(word: Word) -> Decision {
    match word {
        Word::Verified => Decision::Verified,
        Word::Rejected => Decision::Rejected,
        Word::Suspended => Decision::Suspended,
        Word::Withdrawn => Decision::Withdrawn,
    }
}
