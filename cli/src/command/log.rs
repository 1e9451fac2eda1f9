use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::{edge, log};
use schemas::{Digest, R, canonical};
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Fetch the newest checkpoint, verified; with --earlier it is proved to continue one seen before.
    #[command(
        after_help = "Examples:\n  depa log checkpoint --trust trust.json --registry URL > checkpoint.txt\n  depa log checkpoint --earlier checkpoint.txt --trust trust.json --registry URL"
    )]
    Checkpoint {
        /// A checkpoint note seen earlier.
        #[arg(long)]
        earlier: Option<PathBuf>,
    },
    /// Anchor the digest of a file of yours: it existed at this point of the log. Nothing of the file is sent.
    #[command(
        after_help = "Examples:\n  depa log anchor report.pdf --key tdp.key --registry URL\n  depa log anchor 9f86d081… --key tdp.key --registry URL"
    )]
    Anchor {
        /// A file, or a SHA-256 digest in hex.
        what: String,
    },
    /// Keep beside the trust file how the log's key in use follows from the pinned one; every command then reads it.
    #[command(after_help = "Example:\n  depa log keys --trust trust.json --registry URL")]
    Keys {
        /// The file; `trust.log-keys.json` beside `trust.json` if not given. One that is there is replaced.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Fetch the receipt of an entry that concerns you.
    #[command(
        after_help = "Example:\n  depa log receipt 5310 --form tlog-proof --out proof.tlog-proof --key tdp.key --registry URL"
    )]
    Receipt {
        /// The entry.
        index: u64,
        /// Its form.
        #[arg(long, value_parser = ["tlog-proof", "cose", "bundle"], default_value = "tlog-proof")]
        form: String,
        /// Of COSE the tree: 1 the main one, 2 the second one.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
        tree: Option<u8>,
        /// A new file. Beside one of COSE comes the public record that it is about, as `.record.json`.
        #[arg(long)]
        out: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let earlier = match verb {
        Verb::Checkpoint { earlier } => earlier,
        Verb::Anchor { what } => return anchor(&what, global),
        Verb::Keys { out } => return keys(out, global),
        Verb::Receipt { index, form, tree, out } => {
            return receipt(index, &form, tree, &out, global);
        }
    };
    let (desk, trust) = (global.desk()?, global.trust()?);
    let note = match earlier {
        Some(path) => {
            let text = String::from_utf8(edge::read(&path)?).map_err(|_| edge::file_fault(&path, "not UTF-8"))?;
            let note = log::continued(&desk, &trust, &text)?;
            say("it continues the earlier checkpoint");
            note
        }
        None => log::checkpoint(&desk, &trust)?,
    };
    let text = note.text();
    Ok(Answer::new(&json!({"size": note.head.size, "root": note.head.root, "note": text}), text))
}

fn anchor(what: &str, global: &Global) -> R<Answer> {
    let sha256: Digest = match serde_json::from_value(json!(what)) {
        Ok(digest) => digest,
        Err(_) => Digest::of(&edge::read(what.as_ref())?),
    };
    let receipt = global.desk_as()?.0.anchor(sha256)?;
    let text = format!("{sha256}\nanchored; entry {} of the log", receipt.index);
    Ok(Answer::new(&json!({"sha256": sha256, "receipt": receipt}), text))
}

fn keys(out: Option<PathBuf>, global: &Global) -> R<Answer> {
    let trust = global.trust()?;
    let lineage = depa::trust::lineage(&global.desk()?, &trust)?;
    let out = out.map_or_else(|| global.trust_path().map(|path| signing::Trust::lineage_file(&path)), Ok)?;
    std::fs::write(&out, canonical::to_bytes(&lineage)?).map_err(|e| edge::file_fault(&out, e))?;
    let changes = lineage.links.len();
    let in_use = trust.following(&lineage)?.key_in_use().thumbprint();
    let text = format!("{changes} changes of key; in use: {in_use}\nwrote {}", out.display());
    Ok(Answer::new(&json!({"changes": changes, "in_use": in_use, "out": out}), text))
}

fn receipt(index: u64, form: &str, tree: Option<u8>, out: &Path, global: &Global) -> R<Answer> {
    let desk = global.desk_as()?.0;
    edge::write_new(out, &desk.receipt_as(index, form, tree)?)?;
    let mut check = format!("depa audit verify-receipt {}", out.display());
    if form == "cose" {
        // A COSE receipt does not carry what it is about.
        let about = out.with_extension("record.json");
        edge::write_new(&about, &canonical::to_bytes(&desk.receipt(index)?.record)?)?;
        check += &format!(" --about {}", about.display());
    }
    if tree == Some(2) {
        check += " --receipt-key FILE (the ES256 key of the registry's /jwks)";
    }
    let text = format!("wrote {}; check it: {check}", out.display());
    Ok(Answer::new(&json!({"index": index, "out": out}), text))
}
