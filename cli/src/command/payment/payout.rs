//! `depa payment payout`.

use std::path::PathBuf;

use clap::Subcommand;
use depa::edge;
use depa::payment::amount;
use depa::payment::payout::{self, BatchFile};
use schemas::id::DatasetId;
use schemas::money::Currency;
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Show how the payouts of one of your datasets stand.
    #[command(after_help = "Example:\n  depa payment payout show dst_… --key tdp.key --registry URL")]
    Show {
        /// The dataset.
        #[arg(value_parser = super::super::id::<DatasetId>)]
        dataset: DatasetId,
        /// Its version.
        #[arg(long, default_value_t = 1)]
        dataset_version: u32,
    },
    /// Split what was settled since the last batch among the data principals, and enter the batch.
    ///
    /// The file holds every line and is for nobody else. The next batch is made from it (--before). Should the answer of
    /// the service be lost, `depa payment payout enter FILE` enters the same batch again.
    #[command(
        after_help = "Examples:\n  depa payment payout new dst_… --currency INR --weights weights.csv --out batch-1.json --key tdp.key --trust trust.json --registry URL\n  depa payment payout new dst_… --currency INR --before batch-1.json --out batch-2.json --key tdp.key --trust trust.json --registry URL\n\nweights.csv has a line principal,weight for each principal, by pseudonyms of yours."
    )]
    New {
        /// The dataset.
        #[arg(value_parser = super::super::id::<DatasetId>)]
        dataset: DatasetId,
        /// Its version.
        #[arg(long, default_value_t = 1)]
        dataset_version: u32,
        /// The currency.
        #[arg(long)]
        currency: String,
        /// Principals and their weights, for the first batch.
        #[arg(long, conflicts_with = "before", required_unless_present = "before")]
        weights: Option<PathBuf>,
        /// The file of the batch before.
        #[arg(long)]
        before: Option<PathBuf>,
        /// The batch with its lines: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Enter a batch that was made before; one that stands already changes nothing.
    #[command(after_help = "Example:\n  depa payment payout enter batch-1.json --key tdp.key --registry URL")]
    Enter {
        /// The file of the batch.
        file: PathBuf,
    },
    /// Write the proof of one principal's line, for that principal.
    #[command(
        after_help = "Example:\n  depa payment payout prove batch-1.json --principal p-0017 --out p-0017.json --key tdp.key --registry URL"
    )]
    Prove {
        /// The file of the batch.
        file: PathBuf,
        /// The principal.
        #[arg(long)]
        principal: String,
        /// The proof: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Verify a principal's proof, offline; or with --lines a whole batch, as its provider or an auditor.
    #[command(
        after_help = "Examples:\n  depa payment payout verify p-0017.json --trust trust.json\n  depa payment payout verify batch-2.json --lines --before batch-1.json --registry URL"
    )]
    Verify {
        /// The proof, or the file of the batch.
        file: PathBuf,
        /// It is the file of a batch.
        #[arg(long)]
        lines: bool,
        /// The file of the batch before.
        #[arg(long, requires = "lines")]
        before: Option<PathBuf>,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Show { dataset, dataset_version } => {
            Ok(Answer::value(&payout::show(&global.desk_as()?.0, &dataset, dataset_version)?))
        }
        Verb::New { dataset, dataset_version, currency, weights, before, out } => {
            let (desk, key) = global.desk_as()?;
            let people = match (weights, before) {
                (Some(weights), _) => {
                    let text = String::from_utf8(edge::read(&weights)?);
                    let text = text.map_err(|_| edge::file_fault(&weights, "not UTF-8"))?;
                    payout::weights(&text, signing::signer::random)?
                }
                (None, Some(before)) => payout::carried(&edge::read_json::<BatchFile>(&before)?),
                (None, None) => return Err(Refusal::new(Code::ConfigInvalid, "--weights or --before is needed")),
            };
            let view = payout::show(&desk, &dataset, dataset_version)?;
            let made = (&global.trust()?, edge::now());
            let file = payout::new(&view, Currency::parse(&currency)?, &people, &key, made)?;
            // Kept before it is entered: without its lines a batch could never be followed.
            let bytes = serde_json::to_vec_pretty(&file).map_err(|e| edge::file_fault(&out, e))?;
            edge::write_private(&out, &bytes)?;
            say(&format!("wrote {}: keep it, the next batch is made from it", out.display()));
            entered(&payout::enter(&desk, &file)?, &file)
        }
        Verb::Enter { file } => {
            let file: BatchFile = edge::read_json(&file)?;
            entered(&payout::enter(&global.desk_as()?.0, &file)?, &file)
        }
        Verb::Prove { file, principal, out } => {
            let file: BatchFile = edge::read_json(&file)?;
            let batch = file.batch.read_unverified()?;
            let view = payout::show(&global.desk_as()?.0, &batch.dataset_id, batch.version)?;
            let missing = || Refusal::new(Code::NotFound, "the batch is not entered: depa payment payout enter FILE");
            let receipt = payout::receipt_of(&view, &file.batch).ok_or_else(missing)?;
            let proof = payout::prove(&file, &principal, receipt)?;
            let bytes = serde_json::to_vec_pretty(&proof).map_err(|e| edge::file_fault(&out, e))?;
            edge::write_private(&out, &bytes)?;
            Ok(Answer::new(&json!({"principal": principal, "seq": batch.seq}), format!("wrote {}", out.display())))
        }
        Verb::Verify { file, lines: false, .. } => {
            let proved = payout::verify(&edge::read_json(&file)?, &global.trust()?)?;
            let text = format!(
                "verified: batch {} of {} stands as entry {}; {} is paid {}, {} carried forward",
                proved.seq,
                proved.dataset_id,
                proved.index,
                proved.principal,
                amount(proved.paid_minor, proved.currency),
                amount(proved.carried_out_minor, proved.currency)
            );
            Ok(Answer::new(&proved, text))
        }
        Verb::Verify { file, before, .. } => {
            let file: BatchFile = edge::read_json(&file)?;
            let before = before.map(|before| edge::read_json::<BatchFile>(&before)).transpose()?;
            let named = file.batch.read_unverified()?;
            let offer = global.desk()?.dataset(&named.dataset_id)?.offer;
            let none = || Refusal::new(Code::PayoutPool, "the offer has no principals' pool");
            let terms = offer.principal_pool.as_ref().ok_or_else(none)?;
            let batch = payout::verify_lines(&file, before.as_ref(), terms)?;
            Ok(Answer::new(&batch, format!("verified: {} lines of batch {}", batch.principals, batch.seq)))
        }
    }
}

fn entered(receipt: &schemas::log::Receipt, file: &BatchFile) -> R<Answer> {
    let batch = file.batch.read_unverified()?;
    let text = format!(
        "batch {} entered as entry {}: {} to {} of {} principals, {} carried forward",
        batch.seq,
        receipt.index,
        amount(batch.paid_minor, batch.currency),
        batch.paid_principals,
        batch.principals,
        amount(batch.carried_out_minor, batch.currency)
    );
    Ok(Answer::new(&batch, text))
}
