use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;

use clap::Subcommand;
use depa::audit::{self, Options};
use depa::{contract, edge};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Export the whole log with bodies, as a person of the SRO.
    #[command(
        after_help = "Example:\n  depa audit export --out log.jsonl --key sro-a.key --trust trust.json --registry URL"
    )]
    Export {
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Verify an export offline: every signature, every leaf, the root, and all states, budgets and payments recomputed.
    ///
    /// Exit code 10 names the entry at fault.
    #[command(
        after_help = "Examples:\n  depa audit verify log.jsonl --trust trust.json\n  depa audit verify log.jsonl --trust trust.json --earlier checkpoint.txt --json"
    )]
    Verify {
        /// The export.
        export: PathBuf,
        /// A checkpoint note seen earlier, which the log must continue.
        #[arg(long)]
        earlier: Option<PathBuf>,
        /// Name of a witness whose cosignature the checkpoint must carry.
        #[arg(long, requires = "witness_key")]
        witness: Option<String>,
        /// The witness's Ed25519 key, base64url.
        #[arg(long, requires = "witness")]
        witness_key: Option<String>,
    },
    /// Verify offline that a document stands in the log: a file with the document and its receipt.
    #[command(after_help = "Example:\n  depa audit verify-receipt offer-with-receipt.json --trust trust.json")]
    VerifyReceipt {
        /// The file.
        file: PathBuf,
    },
    /// Verify a contract bundle offline: parties, offers, image sets, all signatures, all receipts.
    #[command(after_help = "Example:\n  depa audit verify-contract contract.bundle.json --trust trust.json")]
    VerifyContract {
        /// The bundle (`depa contract bundle`).
        bundle: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Export { out } => {
            let (desk, trust) = (global.desk_as()?.0, global.trust()?);
            // Bodies are for the SRO. An export that broke off would only be in the way of the next.
            let file = edge::create_private(&out)?;
            let head = audit::export(&desk, &trust, &mut BufWriter::new(file)).inspect_err(|_| {
                let _ = std::fs::remove_file(&out);
            })?;
            Ok(Answer::new(&head, format!("{} entries\ncheck them: depa audit verify {}", head.size, out.display())))
        }
        Verb::Verify { export, earlier, witness, witness_key } => {
            let text = |path: &PathBuf| {
                let utf8 = |_| edge::file_fault(path, "not UTF-8");
                edge::read(path).and_then(|bytes| String::from_utf8(bytes).map_err(utf8))
            };
            let witness = match (witness, witness_key) {
                (Some(name), Some(key)) => Some((name, jwk(&key)?)),
                _ => None,
            };
            let options = Options { earlier: earlier.as_ref().map(text).transpose()?, witness };
            let file = File::open(&export).map_err(|e| edge::file_fault(&export, e))?;
            let report = audit::verify(&mut BufReader::new(file), &global.trust()?, &options, edge::now())?;
            Ok(Answer::new(&report, report.text()))
        }
        Verb::VerifyReceipt { file } => {
            let proved = audit::receipt::verify(&edge::read(&file)?, &global.trust()?)?;
            let text = format!(
                "verified: {} is entry {} of {}, made {}",
                proved.kind, proved.index, proved.log.size, proved.at
            );
            Ok(Answer::new(&proved, text))
        }
        Verb::VerifyContract { bundle } => {
            let verified = contract::verify_bundle(&edge::read_json(&bundle)?, &global.trust()?).map_err(failed)?;
            let ids: Vec<String> =
                verified.contracts.iter().map(|c| format!("{} {}", c.contract_id, c.digest())).collect();
            let answer = json!({
                "verified": true, "contracts": ids, "offers": verified.offers,
                "participants": verified.participants, "image_sets": verified.image_sets,
            });
            let text = format!(
                "verified: {}\nwith {} offers, {} participants, {} image sets; whether it was revoked later only the status list says",
                ids.join(", "),
                verified.offers,
                verified.participants,
                verified.image_sets
            );
            Ok(Answer::new(&answer, text))
        }
    }
}

/// Whatever does not hold in a bundle is a failed verification.
fn failed(refusal: Refusal) -> Refusal {
    if depa::exit::of(&refusal) == depa::exit::VERIFICATION {
        return refusal;
    }
    Refusal::new(Code::ReceiptMismatch, format!("{}: {}", refusal.code, refusal.sentence))
}

fn jwk(text: &str) -> R<Jwk> {
    let point = Bytes::parse(text)?.0.try_into();
    point.map(Jwk::ed25519).map_err(|_| Refusal::new(Code::KeyForm, "a witness key has 32 bytes"))
}
