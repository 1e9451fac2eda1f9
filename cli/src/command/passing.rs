//! Acts that one person signs, or several one after the other: a file goes from hand to hand.

use std::path::PathBuf;

use clap::Args;
use contract_client::{Acted, Client};
use depa::{edge, paper};
use schemas::desk::{Receipted, TwoPeople};
use schemas::{Document, Envelope, R, Timestamp};
use serde_json::json;
use signing::Trust;

use super::Global;
use crate::output::{Answer, say};

/// How an act is passed on.
#[derive(Args)]
pub struct Passing {
    /// Write the signed act here instead of handing it in, for others to sign.
    #[arg(long)]
    out: Option<PathBuf>,
    /// An act that others have signed; your signature is added, and it is handed in unless --out is given.
    #[arg(long)]
    draft: Option<PathBuf>,
}

impl Passing {
    /// Signs a new act or the draft of another; hands it in, or writes it for the next.
    pub fn pass<T: Document>(
        &self,
        global: &Global,
        make: impl FnOnce(&Trust, Timestamp) -> R<T>,
        hand_in: impl FnOnce(&Client, &Envelope<T>) -> R<Answer>,
    ) -> R<Answer> {
        let (key, now) = (global.key()?, edge::now());
        let unsigned: Envelope<T> = match &self.draft {
            Some(draft) => edge::read_json(draft)?,
            None => Envelope::draft(&make(&global.trust()?, now)?)?,
        };
        let signed = paper::add_signature(&unsigned, &key, now)?;
        let Some(out) = &self.out else { return hand_in(&global.desk_as()?.0, &signed) };
        edge::write_json(out, &signed)?;
        say(&format!("wrote {}; the next person signs it with --draft", out.display()));
        let answer = json!({"sha256": signed.digest(), "signatures": signed.signatures.len()});
        Ok(Answer::new(&answer, format!("signed by {}; {} signatures", key.did()?, signed.signatures.len())))
    }
}

/// An act that was entered, or waits for a second person.
pub fn entered(acted: &Acted<Receipted>) -> Answer {
    match acted {
        Acted::Entered(answer) => Answer::new(acted, format!("entered; entry {} of the log", answer.receipt.index)),
        Acted::Waiting(answer) => waiting(answer),
    }
}

/// An act that waits for a second person of the SRO.
pub fn waiting(answer: &TwoPeople) -> Answer {
    two_people(answer, "entered")
}

/// What became of a document that two people of the SRO sign: done, in this word, or waiting for the second one.
pub fn two_people(answer: &TwoPeople, done: &str) -> Answer {
    let text = match &answer.receipt {
        Some(receipt) => format!("{done}; entry {} of the log", receipt.index),
        None => format!("{} of 2 people have signed", answer.signatures),
    };
    Answer::new(answer, text)
}
