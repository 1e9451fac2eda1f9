//! Catching up: what the log holds of this service's own statements comes back into its journal and its ledger.
//!
//! The pages are what the contract service answers under `/v1/contracts/{id}/events` to the provider. A receipt of this
//! service counts by its own signature; what else a page says (who ordered a job, the key of a run) counts by the log's.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use schemas::event::Body;
use schemas::id::RunId;
use schemas::jwk::Jwk;
use schemas::log::Receipt;
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::{Code, Digest, Envelope, R, Refusal};
use serde::Deserialize;

use crate::audit;
use crate::budget::{self, ChargeRow};
use crate::journal::{self, Row};
use crate::kms::Kms;
use crate::ledger;
use crate::run::{self, RunRow, State};
use crate::store::{Db, Tx};
use crate::tables::{charge, checkpoint, journal as rows, run as runs};
use crate::verify_log::OwnKey;

/// A page of a contract's entries.
#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    body: Option<Body>,
    receipt: Receipt,
}

/// What the pages say.
#[derive(Default)]
struct Said {
    receipts: BTreeMap<i64, (Envelope<KmsReceipt>, KmsReceipt)>,
    /// Who ordered a job.
    consumers: BTreeMap<Digest, String>,
    run_keys: BTreeMap<RunId, Jwk>,
}

/// What catching up came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaughtUp {
    /// Receipts that came back.
    pub imported: u64,
    /// Numbers below the highest that neither the journal nor the pages have.
    pub missing: Vec<u64>,
    /// Whether the file of what was let out outside runs is missing, so that nobody knows what else was charged.
    pub releases_missing: bool,
    /// Whether the service opens again.
    pub opened: bool,
}

/// Most numbers that a report names one by one.
const NAMED: usize = 1000;

impl Kms {
    /// Takes pages of the log in. Reserve and release open again once no number below the highest is missing and the file of
    /// releases outside runs lies in the folder; or where the operator accepts that they are missing (statements that the
    /// log was never told, a file that no copy was kept of).
    pub fn catch_up(&self, pages: &[Vec<u8>], accept_missing: bool) -> R<CaughtUp> {
        let mut said = Said::default();
        for page in pages {
            let page: Page = schemas::canonical::parse(page)?;
            for event in page.events {
                self.listen(event, &mut said)?;
            }
        }
        // Fetches by the KBS face, which the log never hears of.
        self.kbs_kept().iter().try_for_each(|receipt| self.hear(receipt, &mut said))?;
        let kept = self.newest_checkpoint(&self.config.checkpoints_file())?;
        let kept = kept.map_or(0, |head| i64::try_from(head.seq).unwrap_or(i64::MAX - crate::gap::LEFT_FREE));
        let releases_missing = !self.beside.exists();
        let caught_up = self.store.transact(|c| {
            let newest: Option<i64> = checkpoint::table.select(diesel::dsl::max(checkpoint::seq)).first(c)?;
            let checked = newest.unwrap_or_default().max(kept);
            let held = audit::check_caught_up(c).is_err();
            let mut changed = BTreeSet::new();
            let mut imported = 0;
            for (seq, (envelope, receipt)) in &said.receipts {
                imported += u64::from(self.take_in(c, *seq, envelope, receipt, &said, &mut changed)?);
            }
            ledger::recount(c, &changed)?;
            if held || imported > 0 {
                self.cupboard.set_gaps(c, checked)?;
            }
            let missing = missing(c, checked)?;
            let releases_missing = held && releases_missing;
            let opened = missing.is_empty() && !releases_missing || accept_missing;
            if opened {
                audit::let_go(c)?;
            }
            tracing::warn!(imported, missing = missing.len(), releases_missing, opened, "caught up with the log");
            Ok(CaughtUp { imported, missing, releases_missing, opened })
        })?;
        self.settle_releases()?;
        Ok(caught_up)
    }

    fn listen(&self, event: Event, said: &mut Said) -> R<()> {
        let Some(body) = event.body else { return Ok(()) };
        match &body {
            Body::KmsStated { receipt } => self.hear(receipt, said)?,
            Body::RunCompleted { completion, .. } => {
                let completion = completion.read_unverified()?;
                for receipt in completion.release_receipts.iter().chain(&completion.commit_receipts) {
                    self.hear(receipt, said)?;
                }
            }
            Body::RunOrdered { job } => {
                let trust = self.trust(None)?;
                signing::note::verify_receipt(&event.receipt, &body, &trust.origin, &trust)?;
                said.consumers.insert(job.digest(), job.read_unverified()?.tdc.to_string());
            }
            Body::RunCheckedIn { run_id, run_jwk, .. } => {
                let trust = self.trust(None)?;
                signing::note::verify_receipt(&event.receipt, &body, &trust.origin, &trust)?;
                said.run_keys.insert(run_id.clone(), run_jwk.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a receipt of this service; those of others are passed over.
    fn hear(&self, envelope: &Envelope<KmsReceipt>, said: &mut Said) -> R<()> {
        let receipt = envelope.read_unverified()?;
        if receipt.kms != self.config.url || receipt.provider != self.config.provider {
            return Ok(());
        }
        let key = OwnKey::of(&self.signer);
        signing::verify_by(envelope.clone(), &self.trust.registry, &key, self.config.provider.as_str())?;
        let seq = i64::try_from(receipt.seq).unwrap_or(i64::MAX);
        said.receipts.insert(seq, (envelope.clone(), receipt));
        Ok(())
    }

    /// Enters one receipt, where it is new, with what follows for its run.
    fn take_in(
        &self,
        c: &mut Db,
        seq: i64,
        envelope: &Envelope<KmsReceipt>,
        receipt: &KmsReceipt,
        said: &Said,
        changed: &mut BTreeSet<(String, String)>,
    ) -> Tx<bool> {
        let sha256 = envelope.digest().to_string();
        let there: Option<String> = rows::table.find(seq).select(rows::sha256).first(c).optional()?;
        match there {
            Some(ours) if ours == sha256 => return Ok(false),
            Some(_) => {
                let sentence = format!("the log and the journal hold two receipts of this service with number {seq}");
                return Err(Refusal::new(Code::LogTampered, sentence).into());
            }
            None => {}
        }
        let row = Row {
            seq,
            prev: receipt.prev.to_string(),
            sha256,
            run_id: receipt.run_id.to_string(),
            kind: journal::kind(&receipt.statement).to_owned(),
            at: receipt.at.micros(),
            envelope: serde_json::to_vec(envelope).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
        };
        diesel::insert_into(rows::table).values(&row).execute(c)?;
        let state = match &receipt.statement {
            // It may have been released since, unknown to the log.
            KmsStatement::Reserved { .. } | KmsStatement::Released { .. } => State::Charged,
            KmsStatement::Committed { .. } => State::Committed,
            KmsStatement::Refunded { .. } => State::Refunded,
        };
        match run::find(c, &receipt.run_id)? {
            Some(known) if known.last_seq > seq => {}
            Some(known) => {
                run::step(c, &known.run_id, state, seq, None)?;
                diesel::update(runs::table.find(&known.run_id)).set(runs::lost.eq(1)).execute(c)?;
            }
            None => enter_run(c, seq, receipt, state, said)?,
        }
        changed.extend(budget::charged(c, &[receipt.run_id.to_string()])?);
        Ok(true)
    }
}

/// A run that is known from the log alone: it counts, and nothing is released for it.
fn enter_run(c: &mut Db, seq: i64, receipt: &KmsReceipt, state: State, said: &Said) -> Tx<()> {
    let run_id = receipt.run_id.to_string();
    let reservation_id = match &receipt.statement {
        KmsStatement::Reserved { reservation_id, .. } | KmsStatement::Released { reservation_id, .. } => {
            reservation_id.to_string()
        }
        _ => run_id.clone(),
    };
    let run_jwk = match said.run_keys.get(&receipt.run_id) {
        Some(jwk) if jwk.thumbprint() == receipt.run_jwk_thumbprint => {
            serde_json::to_string(jwk).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?
        }
        _ => String::new(),
    };
    let row = RunRow {
        run_id: run_id.clone(),
        reservation_id,
        state: state.as_str().to_owned(),
        expires_at: 0,
        lease_until: None,
        reserved_seq: seq,
        last_seq: seq,
        bundle: Vec::new(),
        run_jwk,
        lost: 1,
        lease_s: None,
    };
    diesel::insert_into(runs::table).values(&row).execute(c)?;
    let tdc = said.consumers.get(&receipt.job_sha256).map_or(ledger::ANYONE, String::as_str);
    for new in &receipt.charges {
        let under = receipt.datasets.iter().find(|d| d.dataset_id == new.dataset_id && d.version == new.version);
        let row = ChargeRow {
            run_id: run_id.clone(),
            family: new.family.to_string(),
            tdc: tdc.to_owned(),
            scope: tdc.to_owned(),
            contract_id: under.map(|d| d.contract.id.to_string()).unwrap_or_default(),
            dataset_id: new.dataset_id.to_string(),
            version: i64::from(new.version),
            event: serde_json::to_vec(new).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            at: receipt.at.micros(),
            rdp: ledger::encode(&policies::budget::vector(&new.mechanisms)?),
        };
        diesel::insert_into(charge::table).values(&row).execute(c)?;
    }
    Ok(())
}

/// Numbers below the highest, or below one that a checkpoint names, that are missing. A receipt that follows on the one
/// before it in the chain shows that nothing was said between the two.
fn missing(c: &mut Db, checked: i64) -> Tx<Vec<u64>> {
    let columns = (rows::seq, rows::prev, rows::sha256);
    let all: Vec<(i64, String, String)> = rows::table.order(rows::seq.asc()).select(columns).load(c)?;
    let (mut last, mut head) = (0, Digest([0; 32]).to_string());
    let mut short = Vec::new();
    for (seq, prev, sha256) in all {
        if seq != last + 1 && prev != head {
            short.push(last + 1..seq);
        }
        (last, head) = (seq, sha256);
    }
    short.push(last + 1..checked.saturating_add(1));
    Ok(short.into_iter().flatten().take(NAMED).map(i64::unsigned_abs).collect())
}
