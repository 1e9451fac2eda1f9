//! A training data provider: owns one table in the clear, seals it, offers it, and alone holds its key.

use std::fs;
use std::path::{Path, PathBuf};

use depa::dataset::form::{Cap, ColumnForm, Description, PriceForm, UsageForm};
use depa::dataset::kms::Kms;
use depa::dataset::{self, SealedDataset};
use schemas::contract::{Assurance, TermKind, Trigger};
use schemas::dataset::{ColumnType, DataCard, DatasetOffer};
use schemas::log::Receipt;
use schemas::money::{Currency, Minor};
use schemas::privacy::Scope;
use schemas::text::Real;
use schemas::{Code, Envelope, R, Refusal};
use serde_json::Value;

use super::Person;
use crate::data::{ROWS, TARGET, Table, TableKind};
use crate::house::wire;

/// δ of offers, contracts and runs of the demo: below 1/(10 · 2,119).
pub const DELTA: &str = "0.0000472";
/// ε that a provider grants at most to all contracts of one consumer together.
pub const CAP: &str = "3.0";

/// A provider of one of the three tables.
#[derive(Debug)]
pub struct Tdp {
    /// Who it is.
    pub person: Person,
    /// Which table it owns.
    pub kind: TableKind,
    /// Base URL of its own key service.
    pub kms: String,
    /// Folder for its ciphertext.
    pub storage: PathBuf,
}

/// A table that was sealed and offered.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Which.
    pub kind: TableKind,
    /// Where the sealed object lies, its manifest root, its key's name.
    pub sealed: SealedDataset,
    /// The sealed object as a file.
    pub file: PathBuf,
    /// The signed offer.
    pub offer: Envelope<DatasetOffer>,
    /// Receipt of the offer's entry.
    pub receipt: Receipt,
}

impl Tdp {
    /// The description that this provider writes of its table: columns with public bounds, use, cap, price, data card.
    pub fn description(&self) -> R<Description> {
        let rows = ROWS as u64;
        let key = self.kind.key();
        let target = (TARGET.0 == self.kind).then_some(TARGET.1);
        let text = |name: &str| ColumnForm {
            name: name.to_owned(),
            source: None,
            column_type: ColumnType::Text,
            lower: None,
            upper: None,
        };
        let mut columns = vec![text(key)];
        columns.extend(target.map(text));
        for feature in self.kind.features() {
            columns.push(ColumnForm {
                column_type: ColumnType::Number,
                lower: Some(Real::parse(feature.lower)?),
                upper: Some(Real::parse(feature.upper)?),
                ..text(feature.column)
            });
        }
        Ok(Description {
            reference: None,
            name: format!("{} ({})", self.kind.title(), self.kind.name()),
            dataset_id: None,
            family: None,
            version: 1,
            offer_version: 1,
            kms: self.kms.clone(),
            min_assurance: Assurance::Software,
            public_rows: rows,
            columns,
            usage: UsageForm {
                purposes: vec!["TRAINING".into()],
                allowed_columns: self.kind.features().map(|f| f.column.to_owned()).collect(),
                join_keys: vec![key.to_owned()],
                target_columns: target.map(str::to_owned).into_iter().collect(),
                rules: Vec::new(),
            },
            cap: Cap {
                epsilon: Real::parse(CAP)?,
                renewable_to: None,
                delta: Real::parse(DELTA)?,
                scope: Scope::PerTdc,
                level: 1,
                without_differential_privacy: false,
            },
            price: vec![PriceForm {
                term_id: "per-run".into(),
                kind: TermKind::PerRun,
                payees: Vec::new(),
                currency: Currency::parse("INR")?,
                amount_minor: Minor::new(self.price())?,
                trigger: Trigger::Completed,
                pricing: None,
            }],
            discounts: Vec::new(),
            principal_pool: None,
            card: DataCard {
                description: format!("Synthetic {}, one row per person.", self.kind.title()),
                collection: "Generated; nobody was asked for anything.".into(),
                limitations: "Synthetic: good for rehearsals, not for conclusions.".into(),
                personal_data: "A made-up mobile number per row; names and addresses are not sealed.".into(),
                licence: "CC0-1.0".into(),
            },
        })
    }

    /// What one completed run costs, in paise.
    pub fn price(&self) -> i64 {
        match self.kind {
            TableKind::Icmr => 500_000,
            TableKind::Cowin => 300_000,
            TableKind::Statewarroom => 400_000,
        }
    }

    /// The ledger of its own key service, as its operator sees it.
    pub fn budget(&self) -> R<Value> {
        let jti = depa::edge::fresh().to_string();
        let token = signing::token::assertion(&*self.person.key, &self.kms, jti, self.person.now())?;
        let bearer = format!("Bearer {token}");
        let answer = wire::send(&self.kms, "GET", "/v1/budget", &[("authorization", &bearer)], b"")?;
        match answer.status {
            200 => Ok(answer.json()),
            status => Err(Refusal::new(Code::PeerFault, format!("{} answered with {status}", self.kms))),
        }
    }

    /// The events of its ledger that count: run and state (`reserved`, `charged`, `committed`).
    pub fn charges(&self) -> R<Vec<(String, String)>> {
        let budget = self.budget()?;
        let ledgers = budget.get("ledgers").and_then(Value::as_array).into_iter().flatten();
        let events = ledgers.filter_map(|l| l.get("events").and_then(Value::as_array)).flatten();
        let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let all = events.map(|e| (text(e, "run_id"), text(e, "state")));
        Ok(all.filter(|(_, state)| state != "expired" && state != "refunded").collect())
    }

    /// Seals the table, hands its key to its own key service, signs an offer and registers it.
    pub fn offers(&self, table: &Table) -> R<Offered> {
        self.offers_with(table, |_| {})
    }

    /// The same with a changed description.
    pub fn offers_with(&self, table: &Table, change: impl FnOnce(&mut Description)) -> R<Offered> {
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", self.storage.display()));
        fs::create_dir_all(&self.storage).map_err(fault)?;
        let mut description = self.description()?;
        change(&mut description);
        let csv = self.person.dir.join(self.kind.file());
        if !csv.exists() {
            depa::edge::write_private(&csv, &table.csv()?)?;
        }
        let file = self.storage.join(format!("{}-v{}.depa", self.kind.name(), description.version));
        let (sealed, offer, receipt) = self.registers(&description, &csv, &file)?;
        Ok(Offered { kind: self.kind, sealed, file, offer, receipt })
    }

    /// Seals any table as it is described, under a name among this provider's objects, and registers the offer.
    pub fn seals(
        &self,
        name: &str,
        description: &Description,
        table: &Path,
    ) -> R<(SealedDataset, Envelope<DatasetOffer>, Receipt)> {
        crate::house::make_dir(&self.storage)?;
        self.registers(description, table, &self.storage.join(format!("{name}-v{}.depa", description.version)))
    }

    fn registers(
        &self,
        description: &Description,
        table: &Path,
        out: &Path,
    ) -> R<(SealedDataset, Envelope<DatasetOffer>, Receipt)> {
        let job = dataset::seal::Job { description, csv: table, out, url: None };
        let (person, trust) = (&self.person, self.person.trust()?);
        let kms = Kms::new(&self.kms)?;
        let sealed = dataset::seal(&job, &kms, &person.key, trust, &mut depa::edge::fresh, person.now())?;
        let offer = dataset::offer(description, &sealed, &person.key, trust, person.now())?;
        let receipt = dataset::publish(person.desk()?, &offer)?;
        Ok((sealed, offer, receipt))
    }
}
