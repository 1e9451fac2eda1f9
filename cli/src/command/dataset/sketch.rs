//! How many people two tables share, before anyone signs.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::dataset::charge::Outgoing;
use depa::dataset::sketch::{self, Sketch, Terms};
use depa::edge;
use schemas::R;
use schemas::own_release::{Charging, ReleasedKind};
use schemas::privacy::Mechanism;
use schemas::text::Real;
use serde_json::json;

use super::super::Global;
use super::charge::{self, Ledger, charging};
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Make a private sketch of a table's join keys, for an estimate of the overlap with another provider's table.
    ///
    /// Noise is added here, before anything leaves; the sketch holds no key and no hash of one. It costs ε of every person
    /// in the table, again each time: the ledger of the dataset's family at your own key service is charged first, as it is for
    /// training. Both providers use the same session and buckets.
    #[command(
        after_help = "Example:\n  depa dataset sketch --csv table.csv --column phone --session 'tdp-a and tdp-b, 2026-11-21' --epsilon 0.5 --kms https://kms.tdp.example --offer offer.json --key tdp.key --out sketch.json"
    )]
    Sketch {
        /// The table: a CSV file (of Parquet write the one column out).
        #[arg(long)]
        csv: PathBuf,
        /// The column of the keys: one key per person.
        #[arg(long)]
        column: String,
        /// The text both providers agreed on, public, at least 16 characters.
        #[arg(long)]
        session: String,
        /// A power of two, the same for both; about rows · ε² / 2.
        #[arg(long, default_value_t = 1024)]
        buckets: u32,
        /// ε of one person.
        #[arg(long, value_parser = real)]
        epsilon: Real,
        #[command(flatten)]
        ledger: Ledger,
        /// The sketch: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Estimate how many people two sketched tables share.
    #[command(after_help = "Example:\n  depa dataset overlap a-sketch.json b-sketch.json")]
    Overlap {
        /// One provider's sketch.
        one: PathBuf,
        /// The other's.
        other: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Sketch { csv, column, session, buckets, epsilon, ledger, out } => {
            let account = ledger.account(|| Ok(None), global)?;
            account.iter().try_for_each(|account| account.has_key(&column))?;
            let terms = Terms { session, buckets, epsilon };
            let table = edge::read(&csv).map(zeroize::Zeroizing::new)?;
            let keys = sketch::keys(&table, &column).map_err(|e| edge::about(&csv, e))?;
            let mut sketch = sketch::sketch(keys.iter().map(String::as_str), &terms, &mut edge::words())?;
            sketch.ledger = charging(account.as_ref());
            let file = edge::json(&sketch)?;
            let outgoing = Outgoing { kind: ReleasedKind::Sketch, file: &file, mechanism: &sketch.charge };
            charge::out(&outgoing, account.as_ref(), &out)?;
            let answer = json!({"terms": terms, "charge": sketch.charge, "ledger": sketch.ledger});
            let counted = match (&sketch.charge, sketch.ledger) {
                (Mechanism::Gaussian { noise_multiplier }, Some(Charging::Charged)) => {
                    format!("counted in the ledger as Gaussian noise of {noise_multiplier}")
                }
                (_, Some(Charging::Charged)) => format!("counted in the ledger as {}", answer["charge"]),
                _ => "no ledger was charged".to_owned(),
            };
            let text = format!("{} buckets; costs every person ε = {}, no δ\n{counted}", terms.buckets, terms.epsilon);
            Ok(Answer::new(&answer, text))
        }
        Verb::Overlap { one, other } => {
            let sketched = |file: &Path| edge::read_json_of::<Sketch>(file, edge::SKETCH);
            let (one, other) = (sketched(&one)?, sketched(&other)?);
            let found = sketch::overlap(&one, &other)?;
            let text = format!(
                "about {:.0} people in both, 95 % between {:.0} and {:.0}",
                found.estimate.max(0.0),
                found.low,
                found.high
            );
            Ok(Answer::new(&found, text))
        }
    }
}

fn real(text: &str) -> Result<Real, String> {
    Real::parse(text).map_err(|refusal| refusal.sentence)
}
