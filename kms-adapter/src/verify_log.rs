//! The journal checked: chain and signatures of every receipt, and the state of every run against what it says.

use std::collections::BTreeMap;
use std::path::Path;

use diesel::prelude::*;
use schemas::envelope::Usage;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::{Code, Digest, KeyBook, R, Refusal, Signer as _};
use signing::FileKey;

use crate::budget;
use crate::config::Config;
use crate::journal::{Row, kind};
use crate::kms::Kms;
use crate::ledger;
use crate::own_release;
use crate::run::{RunRow, State};
use crate::store::Tx;
use crate::tables::{journal, run};

/// The service's own signing key.
pub(crate) struct OwnKey<'a> {
    kid: &'a KeyId,
    jwk: &'a Jwk,
}

impl OwnKey<'_> {
    /// The key that signs this service's statements.
    pub fn of(signer: &FileKey) -> OwnKey<'_> {
        OwnKey { kid: signer.kid(), jwk: signer.jwk() }
    }
}

impl KeyBook for OwnKey<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        (usage == Usage::Service && kid == self.kid).then(|| self.jwk.clone())
    }
}

/// What a check of the journal found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogReport {
    /// Receipts in the journal.
    pub receipts: u64,
    /// Digest of the newest; all zero without one.
    pub head: Digest,
    /// Runs whose state was compared.
    pub runs: u64,
}

fn tampered(why: String) -> Refusal {
    Refusal::new(Code::LogTampered, why)
}

/// Opens the folder of a service that does not run and checks its journal completely.
///
/// `beside` is a file of checkpoints that was kept elsewhere; without it, the one in the folder is taken.
pub fn verify_log(config: Config, beside: Option<&Path>) -> R<LogReport> {
    let own = config.checkpoints_file();
    let kms = Kms::open(config, crate::system_clock())?;
    let report = kms.check_journal()?;
    if let Some(head) = kms.newest_checkpoint(beside.unwrap_or(&own))? {
        kms.store.transact(|c| kms.holds(c, &head))?;
    }
    Ok(report)
}

impl Kms {
    /// Checks every receipt and every run's state. Done at each start.
    pub(crate) fn check_journal(&self) -> R<LogReport> {
        self.store.transact(|c| {
            let rows = journal::table.order(journal::seq.asc()).select(Row::as_select()).load(c)?;
            let mut states: BTreeMap<String, Said> = BTreeMap::new();
            let mut head = Digest([0; 32]);
            let mut last = 0;
            for row in &rows {
                let chained = if row.seq == last + 1 { Some(head) } else { None };
                if chained.is_none() && !self.cupboard.is_gap(c, last, row.seq)? {
                    return Err(tampered(format!("receipts are missing before {}", row.seq)).into());
                }
                let receipt = self.check_row(row, chained)?;
                last = row.seq;
                head = Digest::parse(&row.sha256)?;
                let state = match receipt.statement {
                    KmsStatement::Reserved { .. } => State::Reserved,
                    KmsStatement::Released { .. } => State::Charged,
                    KmsStatement::Committed { .. } => State::Committed,
                    KmsStatement::Refunded { .. } => State::Refunded,
                };
                states.insert(row.run_id.clone(), Said { state, seq: row.seq, receipt });
            }
            let runs = run::table.select(RunRow::as_select()).load(c)?;
            for row in &runs {
                let said = check_run(row, states.remove(&row.run_id))?;
                budget::check_run(c, row, &said)?;
            }
            ledger::check(c)?;
            own_release::check(c)?;
            if let Some(run_id) = states.keys().next() {
                return Err(tampered(format!("{run_id} stands in the journal and has no row")).into());
            }
            Ok(LogReport { receipts: rows.len() as u64, head, runs: runs.len() as u64 })
        })
    }

    /// Checks one row; after a gap of the journal nobody knows what was before it.
    fn check_row(&self, row: &Row, prev: Option<Digest>) -> Tx<KmsReceipt> {
        let bad = |why: &str| tampered(format!("journal row {}: {why}", row.seq));
        let envelope = row.receipt()?;
        if envelope.digest().to_string() != row.sha256 {
            return Err(bad("the digest differs").into());
        }
        let book = OwnKey::of(&self.signer);
        let holder = self.config.provider.as_str();
        let signed = signing::verify_by(envelope, &self.trust.registry, &book, holder);
        let receipt = signed.map_err(|e| bad(&e.to_string()))?;
        let placed = receipt.seq == row.seq.unsigned_abs()
            && row.prev == receipt.prev.to_string()
            && prev.is_none_or(|prev| receipt.prev == prev);
        if !placed {
            return Err(bad("the chain is broken").into());
        }
        if receipt.run_id.as_str() != row.run_id || kind(&receipt.statement) != row.kind {
            return Err(bad("its columns differ from the receipt").into());
        }
        Ok((*receipt).clone())
    }
}

/// What the journal last said about a run.
struct Said {
    state: State,
    seq: i64,
    receipt: KmsReceipt,
}

impl Said {
    fn fits(&self, row: &RunRow) -> bool {
        let state = match self.state {
            // A reservation that ran out has no statement of its own.
            State::Reserved if row.lost == 1 => row.state == "charged",
            State::Reserved => matches!(row.state.as_str(), "reserved" | "expired"),
            state => row.state == state.as_str(),
        };
        // A run that is known from the log alone may have no key.
        let key = match row.run_jwk.as_str() {
            "" => row.lost == 1,
            _ => row.run_jwk().is_ok_and(|jwk| jwk.thumbprint() == self.receipt.run_jwk_thumbprint),
        };
        state && key && self.seq == row.last_seq
    }
}

/// Requires that a run's row is what the journal last said about it, and gives that.
fn check_run(row: &RunRow, journal: Option<Said>) -> R<KmsReceipt> {
    match journal.filter(|said| said.fits(row)) {
        Some(said) => Ok(said.receipt),
        None => Err(tampered(format!("{} stands otherwise in the ledger than in the journal", row.run_id))),
    }
}
