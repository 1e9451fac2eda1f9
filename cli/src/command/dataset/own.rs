//! What a provider does with a table of its own: describe it, profile it, leave a person out of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::dataset::charge::Outgoing;
use depa::dataset::forget::{self, Places};
use depa::dataset::init::{self, Columns, Wish};
use depa::dataset::profile;
use depa::dataset::{self, DatasetLine, Description};
use depa::edge;
use schemas::id::DatasetId;
use schemas::own_release::ReleasedKind;
use schemas::statistics::{Histogram, StatisticsTerms};
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{Global, id};
use super::charge::{self, Ledger, charging};
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Begin the description of a dataset: columns and types are read from the table, bounds and the number of people are not.
    #[command(
        after_help = "Example:\n  depa dataset init table.csv --name 'Test results 2026' --kms https://kms.hospital.example --people 2119 --join-key mobile --target result --bound ct_value=10:40 --bound result=0:1 --out dataset.toml"
    )]
    Init(Box<Init>),
    /// Make statistics of a table that are differentially private before they leave: a noised histogram of every column.
    ///
    /// One row is one person; --principal refuses a table in which somebody stands twice. It costs ε of every person in the
    /// table, again each time: the ledger of the dataset's family at your own key service is charged first, as it is for
    /// training. Nothing else is sent. Before there is an offer, --record names the family, and the description its cap.
    #[command(
        after_help = "Examples:\n  depa dataset profile dataset.toml --csv table.csv --epsilon 0.1 --principal mobile --record sealed.json --kms https://kms.tdp.example --key tdp.key --trust trust.json --out profile.json\n  depa dataset profile dataset.toml --csv table.csv --epsilon 0.1 --offer offer.json --kms https://kms.tdp.example --key tdp.key --out profile.json"
    )]
    Profile {
        /// The description (TOML, or JSON).
        description: PathBuf,
        /// The table: a CSV file, or a file that ends in .parquet.
        #[arg(long, visible_alias = "table")]
        csv: PathBuf,
        /// ε of one person for the whole profile.
        #[arg(long, value_parser = real)]
        epsilon: Real,
        /// Bins of a number, between its public bounds.
        #[arg(long, default_value_t = 10)]
        bins: u32,
        /// The column that names the person.
        #[arg(long)]
        principal: Option<String>,
        /// What sealing left behind, in place of an offer.
        #[arg(long, value_name = "FILE", conflicts_with = "offer", requires = "kms")]
        record: Option<PathBuf>,
        #[command(flatten)]
        ledger: Ledger,
        /// The profile: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Leave people out who withdrew their consent: a new version in the same budget family; the former one is withdrawn.
    ///
    /// Every party of a contract over the former version is told by the registry, and no new run begins under it. What was
    /// spent of the family's ε stays spent. Models that were trained before cannot forget.
    #[command(
        after_help = "Example:\n  depa dataset forget dataset.toml --csv table.csv --record sealed.json --people withdrawn.txt --column mobile --dir . --key tdp.key --trust trust.json --registry URL\n\nThe list has one id in a line, as the column spells it; destroy it afterwards."
    )]
    Forget {
        /// The description of the version that is registered.
        description: PathBuf,
        /// Its table (CSV).
        #[arg(long)]
        csv: PathBuf,
        /// What sealing it left behind.
        #[arg(long)]
        record: PathBuf,
        /// The people: one id in a line.
        #[arg(long)]
        people: PathBuf,
        /// The column that names the person.
        #[arg(long)]
        column: String,
        /// Where table, description, sealed object, record and offer of the new version go, as new files.
        #[arg(long)]
        dir: PathBuf,
        /// Where the room will fetch the new sealed object from; file:// otherwise.
        #[arg(long)]
        url: Option<String>,
    },
    /// List the versions of a dataset, the oldest first.
    #[command(after_help = "Example:\n  depa dataset versions dst_… --registry URL")]
    Versions {
        /// The dataset.
        #[arg(value_parser = id::<DatasetId>)]
        id: DatasetId,
    },
}

/// What is said of the table.
#[derive(Args)]
pub struct Init {
    /// The table: a CSV file, or a file that ends in .parquet.
    table: PathBuf,
    /// A name for people.
    #[arg(long)]
    name: String,
    /// Base URL of your own key service.
    #[arg(long)]
    kms: String,
    /// The public count of people in it.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    people: u64,
    /// A column that others may join on.
    #[arg(long = "join-key")]
    join_keys: Vec<String>,
    /// A column that may be learned.
    #[arg(long = "target")]
    targets: Vec<String>,
    /// Public bounds of a number, as COLUMN=LOWER:UPPER.
    #[arg(long = "bound", value_parser = bound)]
    bounds: Vec<(String, (Real, Real))>,
    /// The most ε that all contracts of one consumer may spend together.
    #[arg(long, default_value = "3.0", value_parser = real)]
    epsilon: Real,
    /// The description: a new file.
    #[arg(long)]
    out: PathBuf,
}

fn real(text: &str) -> Result<Real, String> {
    Real::parse(text).map_err(|e| e.sentence)
}

fn bound(text: &str) -> Result<(String, (Real, Real)), String> {
    let form = || "COLUMN=LOWER:UPPER is expected, like ct_value=10:40".to_owned();
    let (column, range) = text.split_once('=').ok_or_else(form)?;
    let (lower, upper) = range.split_once(':').ok_or_else(form)?;
    Ok((column.to_owned(), (real(lower)?, real(upper)?)))
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Init(asked) => begin(*asked),
        Verb::Profile { description, csv, epsilon, bins, principal, record, ledger, out } => {
            let description: Description = edge::read_form(&description)?;
            let terms = StatisticsTerms { epsilon, bins };
            let drafted = || {
                let Some(record) = &record else { return Ok(None) };
                let sealed = dataset::record::read(record)?;
                dataset::offer(&description, &sealed, &global.key()?, &global.trust()?, edge::now()).map(Some)
            };
            let account = ledger.account(drafted, global)?;
            account.iter().try_for_each(|account| account.is_of(&description))?;
            let mut made = profile::profile(&description, &csv, &terms, principal.as_deref(), &mut edge::words())?;
            made.ledger = charging(account.as_ref());
            let file = edge::json(&made)?;
            let outgoing = Outgoing { kind: ReleasedKind::Profile, file: &file, mechanism: &made.charge };
            charge::out(&outgoing, account.as_ref(), &out)?;
            let line = |c: &Histogram| {
                let mean = c.mean.as_ref().map_or(String::new(), |mean| format!(", mean about {mean}"));
                format!("{}: {:?}, missing {}{mean}", c.name, c.counts, c.missing)
            };
            let mut lines: Vec<String> = made.columns.iter().map(line).collect();
            lines.push(format!("costs every person ε = {}, no δ; noised counts may be negative", terms.epsilon));
            Ok(Answer::new(&made, lines.join("\n")))
        }
        Verb::Forget { description, csv, record, people, column, dir, url } => {
            let description: Description = edge::read_form(&description)?;
            let former = dataset::record::read(&record)?;
            let table = forget::table(&csv, &former)?;
            let people = forget::people(&Zeroizing::new(edge::read(&people)?))?;
            let (desk, key) = global.desk_as()?;
            let done = forget::forget(
                (&description, &former),
                (&table, &column, &people),
                Places { dir: &dir, url },
                (&desk, &key, &global.trust()?),
                edge::now(),
            )?;
            say(&format!(
                "delete the former table, the former sealed object and the list; the ledger of {} stays",
                former.family
            ));
            let mut text = format!(
                "{} v{} without {} rows is registered, v{} is withdrawn (entries {} and {})",
                done.dataset_id, done.version, done.rows_left_out, done.former, done.registered, done.withdrawn
            );
            for contract in &done.open_contracts {
                text.push_str(&format!(
                    "\n{} stands over v{}: its parties were told; amend it",
                    contract.id, done.former
                ));
            }
            Ok(Answer::new(&done, text))
        }
        Verb::Versions { id } => {
            let all = global.desk()?.dataset_versions(&id)?;
            let shown: Vec<_> = all.versions.into_iter().map(DatasetLine::of).collect();
            Ok(Answer::new(&shown, DatasetLine::table(&shown).text()))
        }
    }
}

fn begin(asked: Init) -> R<Answer> {
    let Init { table, name, kms, people, join_keys, targets, bounds, epsilon, out } = asked;
    let Columns { seen, left_out } = init::columns(&table)?;
    let twice =
        bounds.iter().enumerate().any(|(at, (name, _))| bounds.iter().skip(at + 1).any(|(other, _)| other == name));
    if twice {
        return Err(Refusal::new(Code::ConfigInvalid, "bounds of a column are given twice").at("bound"));
    }
    let bounds = bounds.into_iter().collect();
    let wish = Wish { name, kms, people, join_keys, targets, bounds, epsilon };
    edge::write_new(&out, init::form(&seen, &wish)?.as_bytes())?;
    let line = |c: &init::Seen| {
        let key = if wish.join_keys.contains(&c.name) { " (join key)" } else { "" };
        format!("  {} {}{key}", c.name, crate::output::word(&init::described(c, &wish)))
    };
    let mut text = format!("wrote {}; {} columns:\n", out.display(), seen.len());
    text.push_str(&seen.iter().map(line).collect::<Vec<_>>().join("\n"));
    if !left_out.is_empty() {
        text.push_str(&format!("\nleft out, for they are neither text nor numbers nor bytes: {}", left_out.join(", ")));
    }
    text.push_str("\nread it and complete it: what it lists is sealed, all else is dropped");
    Ok(Answer::new(&json!({"out": out, "columns": seen, "left_out": left_out}), text))
}
