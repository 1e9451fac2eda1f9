//! The privacy ledger of a provider's own key service, as its owner reads it.

use schemas::own_release::ReleasedKind;
use schemas::privacy::DatasetCharge;
use schemas::{Digest, R, Timestamp};
use serde::{Deserialize, Serialize};
use signing::Signer;
use uuid::Uuid;

use crate::dataset::kms::{Kms, call};
use crate::table::Table;

/// Every ledger of a key service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ledgers {
    /// One per family and scope.
    pub ledgers: Vec<Ledger>,
}

/// The ledger of a family in one scope.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// The family.
    pub family: String,
    /// The consumer, `global`, or `*` where no consumer is known.
    pub scope: String,
    /// ε spent by what counts, in 10⁻⁶; none where nothing counts, or nothing bounds it.
    pub epsilon_micro: Option<u64>,
    /// Events that count and are without differential privacy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_differential_privacy: usize,
    /// The δ of that ε.
    pub delta: Option<String>,
    /// All events in the order of their entry.
    pub events: Vec<Event>,
    /// What was let out outside any run; each counts in every ledger of the family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Release>,
}

/// A file that the provider let out itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// What it is.
    pub kind: ReleasedKind,
    /// SHA-256 of it.
    pub file_sha256: Digest,
    /// What keeps the offer's cap, in words.
    pub kept: String,
    /// When it was entered.
    pub at: Timestamp,
    /// What it costs.
    pub charge: DatasetCharge,
}

/// An event of a ledger.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The run.
    pub run_id: String,
    /// `reserved`, `charged`, `committed`, `expired` or `refunded`; the last two do not count.
    pub state: String,
    /// The contract.
    pub contract_id: String,
    /// What keeps the contract's clause, in words.
    pub kept: String,
    /// When it was entered.
    pub at: Timestamp,
    /// What it costs.
    pub charge: DatasetCharge,
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Reads the ledgers of the provider's own key service, by an assertion that its key signs.
///
/// # Errors
/// `FORBIDDEN` where the service serves another provider; what the service answers.
pub fn read(kms: &Kms, key: &dyn Signer, (jti, now): (Uuid, Timestamp)) -> R<Ledgers> {
    kms.info(&key.did()?)?;
    let token = signing::token::assertion(key, kms.url(), jti.simple().to_string(), now)?;
    call(kms.get("/v1/budget").bearer_auth(token), kms.url())
}

impl Ledgers {
    /// For people: what is spent of each ledger, and below it every event.
    pub fn text(&self) -> String {
        if self.ledgers.is_empty() {
            return "nothing was charged yet".to_owned();
        }
        self.ledgers.iter().map(Ledger::text).collect::<Vec<_>>().join("\n\n")
    }
}

impl Ledger {
    fn text(&self) -> String {
        let spent = match (self.epsilon_micro, &self.delta) {
            _ if self.without_differential_privacy > 0 => "no ε bounds what is spent".to_owned(),
            (Some(micro), Some(delta)) => format!("ε {} spent at δ {delta}", decimal(micro)),
            _ => "nothing counts".to_owned(),
        };
        let whose = if self.scope == "*" { "everyone" } else { &self.scope };
        let runs = self.events.iter().map(|Event { run_id, state, contract_id, kept, at, charge }| {
            line(*at, [state.clone(), run_id.clone(), contract_id.clone()], charge, kept)
        });
        let files = self.releases.iter().map(|Release { kind, file_sha256, kept, at, charge }| {
            let kind = serde_json::to_value(kind).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default().to_owned();
            line(*at, [kind, file_sha256.to_string(), "outside any run".to_owned()], charge, kept)
        });
        let heads = ["at", "event", "run or file", "contract", "dataset", "version", "ε alone", "kept by"];
        let charged = Table::new(heads, runs.chain(files)).numbers(&["version", "ε alone"]);
        format!("{} for {whose}: {spent}\n{}", self.family, charged.text())
    }
}

/// What was charged: when, what with its run and contract, and what it costs.
fn line(at: Timestamp, what: [String; 3], charge: &DatasetCharge, kept: &str) -> [String; 8] {
    let [event, of, contract] = what;
    let (dataset, version) = (charge.dataset_id.to_string(), charge.version.to_string());
    [at.to_string(), event, of, contract, dataset, version, decimal(charge.epsilon_micro), kept.to_owned()]
}

/// 10⁻⁶ as a decimal; of what nothing bounds no number is told.
fn decimal(micro: u64) -> String {
    if micro >= policies::accountant::RdpVector::INFINITE {
        return "without bound".to_owned();
    }
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

#[cfg(test)]
mod tests {
    use schemas::id::{DatasetId, FamilyId};
    use schemas::text::Real;

    use super::*;

    #[test]
    fn each_ledger_is_a_line_and_a_table_of_what_was_charged() {
        let id = "0190a000-0000-7000-8000-000000000001";
        let charge = |epsilon_micro| DatasetCharge {
            dataset_id: DatasetId::parse(&format!("dst_{id}")).unwrap(),
            version: 2,
            family: FamilyId::parse(&format!("fam_{id}")).unwrap(),
            factor: 1,
            level: 2,
            mechanisms: vec![],
            epsilon_micro,
            delta: Real::parse("0.00001").unwrap(),
        };
        let event = |state: &str, epsilon| Event {
            run_id: format!("run_{id}"),
            state: state.into(),
            contract_id: format!("ctr_{id}"),
            kept: "a machine".into(),
            at: Timestamp::from_seconds(1_800_000_000),
            charge: charge(epsilon),
        };
        let release = Release {
            kind: ReleasedKind::Profile,
            file_sha256: Digest([7; 32]),
            kept: "a machine".into(),
            at: Timestamp::from_seconds(1_800_000_001),
            charge: charge(100_000),
        };
        let ledger = Ledger {
            family: format!("fam_{id}"),
            scope: "did:web:tdc.example".into(),
            epsilon_micro: Some(1_250_000),
            without_differential_privacy: 0,
            delta: Some("0.00001".into()),
            events: vec![event("committed", 1_150_000), event("expired", 12_000_000)],
            releases: vec![release],
        };
        let empty =
            Ledger { scope: "*".into(), epsilon_micro: None, events: vec![], releases: vec![], ..ledger.clone() };
        let text = Ledgers { ledgers: vec![ledger, empty] }.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("fam_{id} for did:web:tdc.example: ε 1.250000 spent at δ 0.00001"));
        assert!(lines[1].starts_with("at ") && lines[1].ends_with("ε alone  kept by"), "{text}");
        assert!(lines[2].contains("committed") && lines[2].ends_with("        2   1.150000  a machine"), "{text}");
        assert!(lines[3].contains("expired") && lines[3].ends_with("        2  12.000000  a machine"), "{text}");
        assert!(lines[4].contains("profile") && lines[4].contains("outside any run"), "{text}");
        assert_eq!(lines[5..], ["", &format!("fam_{id} for everyone: nothing counts"), "none"]);
    }
}
