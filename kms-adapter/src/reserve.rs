//! Reserve: a genuine room, contracts in force, an allowed pipeline, and budget for it. No key leaves.

use diesel::prelude::*;
use schemas::id::ReservationId;
use schemas::privacy::DatasetCharge;
use schemas::release::{KmsReceipt, KmsStatement, ReserveRequest};
use schemas::{Code, Envelope, R, Refusal, Timestamp};

use crate::budget::{self, Line};
use crate::journal;
use crate::judge::Judged;
use crate::kms::Kms;
use crate::rows;
use crate::run::{self, RunRow, State};
use crate::store::{Db, Tx};
use crate::tables;

impl Kms {
    /// Reserves the budget of a run. Asked again with fresh evidence for the same run and keys, the answer is the same.
    pub fn reserve(&self, request: ReserveRequest) -> R<Envelope<KmsReceipt>> {
        let now = self.now();
        let challenge = self.consume(&request.attested.transcript.challenge_id, now)?;
        let bundle = encode(&request.bundle)?;
        let judged = self.judge(&challenge, &request.attested, request.admission, request.bundle, now)?;
        let own = |charge: &&DatasetCharge| judged.own.iter().any(|d| d.released.dataset_id == charge.dataset_id);
        let charges: Vec<DatasetCharge> = judged.plan.charges.iter().filter(own).cloned().collect();
        if charges.len() != judged.own.len() {
            return Err(Refusal::new(Code::Internal, "the plan does not charge every dataset"));
        }
        let lines = budget::lines(&judged.own, &charges)?;
        let families: Vec<String> = lines.iter().map(|line| line.charge.family.to_string()).collect();
        let mut appended = 0;
        let receipt = self.store.transact(|c| {
            rows::check(c, &self.store.key, judged.transcript.run_id.as_str(), &families, now)?;
            run::expire(c, now)?;
            if let Some(row) = run::find(c, &judged.transcript.run_id)? {
                return self.reserved_before(c, &row, &judged, now);
            }
            budget::take(c, judged.opened.job.tdc.as_str(), &lines)?;
            appended = lines.len();
            self.enter(c, &judged, &lines, &bundle, now)
        })?;
        self.metrics.appended(appended);
        Ok(receipt)
    }

    fn reserved_before(&self, c: &mut Db, row: &RunRow, judged: &Judged, now: Timestamp) -> Tx<Envelope<KmsReceipt>> {
        let (envelope, receipt) = self.receipt(c, row.reserved_seq)?;
        same_run(&receipt, judged)?;
        match row.state(now)? {
            State::Reserved | State::Charged => Ok(envelope),
            State::Expired => Err(Refusal::new(Code::ReservationExpired, "the run's reservation ran out").into()),
            state => Err(run::wrong_state(state, "reserved").into()),
        }
    }

    fn enter(
        &self,
        c: &mut Db,
        judged: &Judged,
        lines: &[Line],
        bundle: &[u8],
        now: Timestamp,
    ) -> Tx<Envelope<KmsReceipt>> {
        let reservation_id = ReservationId::new(uuid::Uuid::now_v7());
        let expires_at = now.plus_seconds(i64::from(self.config.reservation_seconds));
        let what = KmsStatement::Reserved { reservation_id: reservation_id.clone(), expires_at };
        let charges = lines.iter().map(|line| line.charge.clone()).collect();
        let (seq, envelope) = journal::append(c, &self.book(), judged.statement(charges), what, now)?;
        let row = RunRow {
            run_id: judged.transcript.run_id.to_string(),
            reservation_id: reservation_id.to_string(),
            state: State::Reserved.as_str().to_owned(),
            expires_at: expires_at.micros(),
            lease_until: None,
            reserved_seq: seq,
            last_seq: seq,
            bundle: bundle.to_vec(),
            run_jwk: serde_json::to_string(&judged.transcript.run_jwk)
                .map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            lost: 0,
            lease_s: None,
        };
        diesel::insert_into(tables::run::table).values(&row).execute(c)?;
        budget::enter(c, &row.run_id, judged.opened.job.tdc.as_str(), lines, now)?;
        tracing::info!(run_id = row.run_id, seq, datasets = judged.own.len(), "budget reserved");
        Ok(envelope)
    }
}

/// Requires the keys and the job of an earlier receipt of the run.
pub(crate) fn same_run(receipt: &KmsReceipt, judged: &Judged) -> R<()> {
    let t = &judged.transcript;
    if receipt.run_jwk_thumbprint != t.run_jwk.thumbprint() || receipt.enc_jwk_thumbprint != t.enc_jwk.thumbprint() {
        return Err(Refusal::new(Code::RunKeyMismatch, "the run was reserved with other keys"));
    }
    if receipt.job_sha256 != t.job_sha256 || receipt.run_id != t.run_id {
        return Err(Refusal::new(Code::JobMismatch, "the run was reserved for another job"));
    }
    Ok(())
}

fn encode<T: serde::Serialize>(value: &T) -> R<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(Code::Internal, e.to_string()))
}
