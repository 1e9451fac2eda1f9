//! What a room showed when its keys were released, kept while it may renew: newer platform data, revocation lists and
//! chips count for a run that already has its keys, though a renewal carries no evidence.
//!
//! The row needs no MAC: the signed receipt of the release says the digests of both transcript and evidence.

use attestation::Expected;
use diesel::prelude::*;
use schemas::release::{Attested, KmsReceipt};
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use signing::OpenedBundle;

use crate::judge::facts;
use crate::kms::Kms;
use crate::run::State;
use crate::store::{Db, Tx};
use crate::tables::{run, shown};

/// Seconds after the end of a lease in which what its room showed is still kept: clocks of processes differ.
const DEAD_SECONDS: i64 = 60;

/// Keeps what a room showed, in the place of what it showed before.
pub(crate) fn keep(c: &mut Db, run_id: &str, attested: &Attested) -> Tx<()> {
    let bytes = serde_json::to_vec(attested).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    forget(c, run_id)?;
    diesel::insert_into(shown::table).values((shown::run_id.eq(run_id), shown::attested.eq(bytes))).execute(c)?;
    Ok(())
}

/// Drops what a room showed; it renews no more.
pub(crate) fn forget(c: &mut Db, run_id: &str) -> Tx<()> {
    diesel::delete(shown::table.find(run_id)).execute(c)?;
    Ok(())
}

/// Drops what rooms showed that renew no more: those of runs that ended, and of leases that ran out.
pub(crate) fn forget_dead(c: &mut Db, now: Timestamp) -> Tx<()> {
    let kept: Vec<String> = shown::table.select(shown::run_id).load(c)?;
    if kept.is_empty() {
        return Ok(());
    }
    let living =
        run::state.eq(State::Charged.as_str()).and(run::lease_until.gt(now.plus_seconds(-DEAD_SECONDS).micros()));
    let living = run::table.filter(run::run_id.eq_any(&kept)).filter(living).select(run::run_id);
    let living: Vec<String> = living.load(c)?;
    let dead: Vec<&String> = kept.iter().filter(|run_id| !living.contains(run_id)).collect();
    if !dead.is_empty() {
        diesel::delete(shown::table.filter(shown::run_id.eq_any(dead))).execute(c)?;
    }
    Ok(())
}

/// What a room showed.
pub(crate) fn of(c: &mut Db, run_id: &str) -> Tx<Option<Vec<u8>>> {
    Ok(shown::table.find(run_id).select(shown::attested).first(c).optional()?)
}

impl Kms {
    /// Would the room get its keys for what it showed, by the platform data of now? `EVIDENCE_REFUSED` otherwise, also where
    /// nothing is kept or it is not what the release was about.
    pub(crate) fn still_trusted(
        &self,
        kept: Option<Vec<u8>>,
        released: &KmsReceipt,
        opened: &OpenedBundle,
        now: Timestamp,
    ) -> R<()> {
        let refused = || Refusal::new(Code::EvidenceRefused, "what the room showed at its release is not kept here");
        let attested: Attested = serde_json::from_slice(&kept.ok_or_else(refused)?).map_err(|_| refused())?;
        if Digest::of(&canonical::to_bytes(&attested.transcript)?) != released.transcript_sha256 {
            return Err(refused());
        }
        let expected = Expected::from_transcript(&attested.transcript, &opened.image_set)?;
        let who = released.run_id.as_str();
        let appraisal = self.appraise_as(&attested.evidence, &expected, &self.levels(opened), who, now)?;
        if appraisal.evidence_sha256 != released.evidence_sha256 {
            return Err(refused());
        }
        policies::release::evidence_allowed(&facts(opened), &appraisal)
    }
}
