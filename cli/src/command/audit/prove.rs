//! One receipt, one contract: verified offline.

use std::path::PathBuf;

use clap::Subcommand;
use depa::audit::policy::Policy;
use depa::audit::receipt::{self, With};
use depa::keys::published;
use depa::{contract, edge};
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::super::Global;
use super::text;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Verify offline that something stands in the log: a document or contract with its receipt (JSON), a tlog-proof, a
    /// COSE receipt or a transparent statement.
    #[command(
        after_help = "Examples:\n  depa audit verify-receipt offer-with-receipt.json --trust trust.json\n  depa audit verify-receipt proof.tlog-proof --policy witnesses.policy --trust trust.json\n  depa audit verify-receipt statement.cose --receipt-key registry.es256.jwk --trust trust.json"
    )]
    VerifyReceipt {
        /// The file.
        file: PathBuf,
        /// Whose cosignatures are asked for: a C2SP tlog-policy file.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// The file that a COSE receipt is about: the entry's public record (JSON) or a signed statement.
        #[arg(long)]
        about: Option<PathBuf>,
        /// The registry's ES256 key, for receipts over the second tree: a JWK, or the registry's /jwks as it is.
        #[arg(long)]
        receipt_key: Option<PathBuf>,
    },
    /// Verify a contract offline, from a bundle or its self-sufficient receipt: parties, all signatures, all receipts.
    #[command(after_help = "Example:\n  depa audit verify-contract contract.bundle.json --trust trust.json")]
    VerifyContract {
        /// The bundle (`depa contract bundle`).
        bundle: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::VerifyReceipt { file, policy, about, receipt_key } => {
            let with = With {
                policy: policy.map(|path| Policy::parse(&text(&path)?)).transpose()?,
                about: about.map(|path| edge::read(&path)).transpose()?,
                receipt_key: receipt_key.map(|path| published::receipt_key(&edge::read(&path)?)).transpose()?,
            };
            let proved = receipt::verify_with(&edge::read(&file)?, &with, &global.trust()?)?;
            let of = proved.log.as_ref().map_or(String::new(), |log| format!(" of {}", log.size));
            let at = proved.at.map_or(String::new(), |at| format!(", made {at}"));
            let witnesses = proved.cosigned.len();
            let text = format!("verified: {} is entry {}{of}{at}; {witnesses} cosignatures", proved.kind, proved.index);
            Ok(Answer::new(&proved, text))
        }
        Verb::VerifyContract { bundle } => {
            let verified = contract::bundle::verify_file(&edge::read(&bundle)?, &global.trust()?).map_err(failed)?;
            let ids: Vec<String> =
                verified.contracts.iter().map(|c| format!("{} {}", c.contract_id, c.digest())).collect();
            let answer = json!({
                "verified": true, "contracts": ids, "offers": verified.offers, "cosigned": verified.cosigned,
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
