//! What an audit found, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policies::lifecycle::{PaymentState, State};
use schemas::contract::{Assurance, ContractState};
use schemas::desk::JournalLine;
use schemas::id::{ContractId, Did, FamilyId, RunId};
use schemas::log::CheckpointRef;
use schemas::money::{Currency, Minor};
use schemas::privacy::{DatasetCharge, WITHOUT_PRIVACY, epsilon_words};
use schemas::rules::LogSucceeded;
use schemas::text::Real;
use schemas::{Digest, Timestamp};
use serde::Serialize;

use super::budget::{Ledger, LedgerKey};
use super::quorum::Cosigned;
use super::within::{Tally, Within};
use crate::payment::{amount, hledger::decimal};

/// What was counted on the way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counted {
    /// Keys that were asked for to verify signatures.
    pub signatures: Option<u64>,
    /// Entries by kind.
    pub entries: BTreeMap<&'static str, u64>,
    /// Entries whose body was erased.
    pub erased: u64,
    /// Statements of the second tree's root.
    pub twin_roots: u64,
    /// Published tiles.
    pub tiles: Option<u64>,
    /// Pinned witnesses that cosigned.
    pub cosigned: Vec<Cosigned>,
    /// The log that this one continues.
    pub succeeds: Option<LogSucceeded>,
    /// What is counted of the period that was asked for.
    pub tally: Option<Tally>,
}

/// The result of a verified log. There is no report of a log that does not verify.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Always true.
    pub verified: bool,
    /// Size and root of the log.
    pub log: CheckpointRef,
    /// The earlier checkpoint of which the log is a continuation.
    pub continues: Option<CheckpointRef>,
    /// When the witness cosigned; none if no witness was given.
    pub cosigned_at: Option<Timestamp>,
    /// The pinned witnesses whose cosignatures hold.
    pub cosigned: Vec<Cosigned>,
    /// Signatures that were verified; none where the audit left them out.
    pub signatures: Option<u64>,
    /// Published tiles that were compared; none where the source has none.
    pub tiles: Option<u64>,
    /// Roots of the second tree that were recomputed.
    pub twin_roots: u64,
    /// Entries by kind, as the public record names it.
    pub entries: BTreeMap<&'static str, u64>,
    /// Entries whose bodies two SRO people had erased: their leaves were checked, their content cannot be.
    pub erased: u64,
    /// The log that this one goes on from, as two SRO people said.
    pub succeeds: Option<LogSucceeded>,
    /// When the last entry was made.
    pub last_entry_at: Timestamp,
    /// Participants that are verified now.
    pub participants: usize,
    /// Contracts.
    pub contracts: Vec<ContractLine>,
    /// Runs by state.
    pub runs: BTreeMap<String, usize>,
    /// Runs in rooms that were shown by SIMULATED evidence alone.
    pub runs_simulated: usize,
    /// Privacy budgets.
    pub budgets: Vec<BudgetLine>,
    /// Payments.
    pub payments: Vec<PaymentLine>,
    /// Per currency: owed and settled in minor units, as the books say; they balance.
    pub books: BTreeMap<Currency, (i128, i128)>,
    /// Every transfer of the books, in the order of the log.
    #[serde(skip)]
    pub transfers: Vec<JournalLine>,
    /// What happened in the period that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Within>,
}

/// A contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ContractLine {
    /// The contract.
    pub id: ContractId,
    /// Its digest.
    pub sha256: Digest,
    /// Its state at the time of the audit.
    pub state: ContractState,
    /// Signatures, of how many parties.
    pub signatures: (usize, usize),
    /// Index of the entry that holds all of them.
    pub executed: Option<u64>,
}

/// A privacy budget.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BudgetLine {
    /// Whose data.
    pub provider: Did,
    /// The family.
    pub family: FamilyId,
    /// The consumer; none where the budget is shared by all.
    pub tdc: Option<Did>,
    /// Runs charged.
    pub charges: usize,
    /// ε spent in 10^-6 at the cap's δ; none where no ε bounds it.
    pub epsilon_micro: Option<u64>,
    /// Runs among them that trained without differential privacy.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_differential_privacy: usize,
    /// The cap.
    pub cap_epsilon: Real,
    /// Its δ.
    pub cap_delta: Real,
    /// What keeps the cap, in words; `legal only` bounds no sum by machine.
    pub kept: String,
}

/// A payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PaymentLine {
    /// The instruction.
    pub instruction_id: String,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Who pays.
    #[serde(skip)]
    pub payer: Did,
    /// Who is paid.
    pub payee: Did,
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units.
    pub amount_minor: Minor,
    /// The state.
    pub state: PaymentState,
}

impl Report {
    /// The report of a state that was verified.
    pub(super) fn of(
        state: &State,
        log: &CheckpointRef,
        cosigned_at: Option<Timestamp>,
        continues: Option<CheckpointRef>,
        counted: Counted,
        ledgers: BTreeMap<LedgerKey, Ledger>,
        now: Timestamp,
    ) -> Report {
        let contracts = state.contracts().map(|row| ContractLine {
            id: row.contract.contract_id.clone(),
            sha256: row.sha256,
            state: row.state(now),
            signatures: (row.signatures.len(), row.contract.parties.len()),
            executed: row.executed,
        });
        let payments: Vec<PaymentLine> = state
            .payments()
            .map(|row| PaymentLine {
                instruction_id: row.obligation.instruction_id.clone(),
                run_id: row.obligation.run_id.clone().or(row.run.clone()),
                payer: row.obligation.payer.clone(),
                payee: row.obligation.payee.clone(),
                currency: row.obligation.currency,
                amount_minor: row.obligation.amount_minor,
                state: row.state,
            })
            .collect();
        let mut books: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
        for line in &payments {
            let sums = books.entry(line.currency).or_default();
            let amount = i128::from(line.amount_minor.get());
            sums.0 += amount;
            sums.1 += if line.state == PaymentState::Settled { amount } else { 0 };
        }
        let mut runs: BTreeMap<String, usize> = BTreeMap::new();
        for run in state.runs() {
            *runs.entry(word(&run.state)).or_default() += 1;
        }
        let runs_simulated = state.runs().filter(|run| run.assurance == Assurance::Software).count();
        let line = |(place, transfer): (&_, &_)| {
            policies::money::line(place, transfer, state.transfer_contract(transfer)).ok()
        };
        let verified = policies::lifecycle::ParticipantState::Verified;
        Report {
            verified: true,
            log: log.clone(),
            continues,
            cosigned_at,
            cosigned: counted.cosigned,
            signatures: counted.signatures,
            tiles: counted.tiles,
            twin_roots: counted.twin_roots,
            entries: counted.entries,
            erased: counted.erased,
            succeeds: counted.succeeds,
            last_entry_at: state.last_at(),
            participants: state.participants().filter(|(_, p)| p.state == verified).count(),
            contracts: contracts.collect(),
            runs,
            runs_simulated,
            period: counted.tally.map(|tally| tally.told(state, &ledgers)),
            budgets: ledgers.into_iter().map(|(key, ledger)| budget(key, &ledger)).collect(),
            payments,
            books,
            transfers: state.books().transfers().filter_map(line).collect(),
        }
    }

    /// The report in words.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "verified: {} entries, root {}", self.log.size, self.log.root);
        match self.signatures {
            Some(n) => drop(writeln!(out, "{n} signatures verified")),
            None => drop(writeln!(out, "SIGNATURES WERE NOT CHECKED: this is no complete audit")),
        }
        if let Some(n) = self.tiles {
            let _ = writeln!(out, "{n} published tiles are those of the entries");
        }
        if self.twin_roots > 0 {
            let _ = writeln!(out, "{} roots of the second tree recomputed", self.twin_roots);
        }
        if self.erased > 0 {
            let _ = writeln!(out, "{} entries erased by two SRO people; their leaves stand", self.erased);
        }
        if let Some(old) = &self.succeeds {
            let _ = writeln!(
                out,
                "goes on from {} after its entry {} ({}): what came after it there is lost",
                old.old_origin,
                old.kept.saturating_sub(1),
                old.reason
            );
        }
        for witness in &self.cosigned {
            let _ = writeln!(out, "cosigned by {} at {}", witness.witness, witness.at);
        }
        if let Some(earlier) = &self.continues {
            let _ = writeln!(out, "continues the earlier checkpoint of {} entries", earlier.size);
        }
        if let Some(at) = self.cosigned_at {
            let _ = writeln!(out, "cosigned by the witness at {at}");
        }
        let runs: Vec<String> = self.runs.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let _ = writeln!(
            out,
            "last entry {}; {} participants; runs: {}",
            self.last_entry_at,
            self.participants,
            list(&runs)
        );
        if self.runs_simulated > 0 {
            let _ = writeln!(out, "SIMULATED: {} of these runs showed software evidence only", self.runs_simulated);
        }
        for c in &self.contracts {
            let (n, of) = c.signatures;
            let _ = writeln!(out, "contract {} {} {}, {n} of {of} signatures", c.id, c.sha256.short(), word(&c.state));
        }
        for b in &self.budgets {
            let whom = b.tdc.as_ref().map_or("all consumers".to_owned(), ToString::to_string);
            let epsilon = epsilon_words(b.epsilon_micro.unwrap_or(DatasetCharge::UNBOUNDED));
            let open = match b.without_differential_privacy {
                0 => String::new(),
                n => format!(", {n} of them {}", WITHOUT_PRIVACY.to_uppercase()),
            };
            let _ = writeln!(
                out,
                "budget {} for {whom}: ε {epsilon} of {} spent at δ {} in {} runs{open}",
                b.family, b.cap_epsilon, b.cap_delta, b.charges
            );
        }
        for p in &self.payments {
            let _ = writeln!(
                out,
                "payment {} {} to {}: {}",
                p.instruction_id,
                amount(p.amount_minor, p.currency),
                p.payee,
                word(&p.state)
            );
        }
        for (currency, (owed, settled)) in &self.books {
            let (owed, settled) = (decimal(*owed, *currency), decimal(*settled, *currency));
            let _ = writeln!(out, "books in {currency}: {owed} owed, {settled} settled, debits equal credits");
        }
        out
    }
}

fn budget(key: LedgerKey, ledger: &Ledger) -> BudgetLine {
    let charges: Vec<_> = ledger.charges.iter().map(|one| one.charge.clone()).collect();
    // `recompute` has converted these charges before; what cannot be converted would have been refused there.
    let delta = ledger.cap.delta.scaled_up(18).and_then(|d| u64::try_from(d).ok()).unwrap_or(0);
    let spent = policies::budget::spent(&charges).ok().map(|v| v.epsilon_micro(delta));
    let epsilon_micro = spent.filter(|micro| *micro < DatasetCharge::UNBOUNDED);
    BudgetLine {
        provider: key.provider,
        family: key.family,
        tdc: key.tdc,
        charges: charges.len(),
        epsilon_micro,
        without_differential_privacy: charges.iter().filter(|charge| !charge.is_private()).count(),
        cap_epsilon: ledger.cap.epsilon.clone(),
        cap_delta: ledger.cap.delta.clone(),
        kept: schemas::privacy::level_words(ledger.cap.level).to_owned(),
    }
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A state in the words of the one table.
pub(super) fn word<T: Serialize>(state: &T) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(text)) => text,
        _ => "?".into(),
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}
