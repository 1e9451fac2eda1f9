//! The privacy ledger of a provider's own key service, as its owner reads it.

use std::fmt::Write as _;

use schemas::own_release::ReleasedKind;
use schemas::privacy::DatasetCharge;
use schemas::{Digest, R, Timestamp};
use serde::{Deserialize, Serialize};
use signing::Signer;
use uuid::Uuid;

use crate::dataset::kms::{Kms, call};

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
        let mut out = String::new();
        for ledger in &self.ledgers {
            let spent = match (ledger.epsilon_micro, &ledger.delta) {
                _ if ledger.without_differential_privacy > 0 => "no ε bounds what is spent".to_owned(),
                (Some(micro), Some(delta)) => format!("ε {} spent at δ {delta}", decimal(micro)),
                _ => "nothing counts".to_owned(),
            };
            let whose = if ledger.scope == "*" { "everyone" } else { &ledger.scope };
            let _ = writeln!(out, "{} for {whose}: {spent}", ledger.family);
            for Event { run_id, state, contract_id, kept, at, charge } in &ledger.events {
                let _ = writeln!(out, "  {at} {state} {run_id} under {contract_id}: {}", cost(charge, kept));
            }
            for Release { kind, file_sha256, kept, at, charge } in &ledger.releases {
                let kind = serde_json::to_value(kind).unwrap_or_default();
                let kind = kind.as_str().unwrap_or_default();
                let _ = writeln!(out, "  {at} {kind} {file_sha256} outside any run: {}", cost(charge, kept));
            }
        }
        out.trim_end().to_owned()
    }
}

fn cost(charge: &DatasetCharge, kept: &str) -> String {
    let alone = decimal(charge.epsilon_micro);
    format!("{} version {}, ε {alone} alone, {kept}", charge.dataset_id, charge.version)
}

/// 10⁻⁶ as a decimal; of what nothing bounds no number is told.
fn decimal(micro: u64) -> String {
    if micro >= policies::accountant::RdpVector::INFINITE {
        return "without bound".to_owned();
    }
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}
