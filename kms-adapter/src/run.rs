//! Runs as this service knows them: one row each, and the states of their charge.
//!
//! reserved → charged (a key was wrapped: final) → committed; reserved → expired (never released); charged → refunded
//! (only by the logged abort before any step).

use diesel::prelude::*;
use schemas::bundle::JobBundle;
use schemas::id::{ReservationId, RunId};
use schemas::jwk::Jwk;
use schemas::release::KmsReceipt;
use schemas::{Code, Envelope, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use signing::OpenedBundle;

use crate::budget;
use crate::journal;
use crate::kms::Kms;
use crate::ledger;
use crate::shown;
use crate::store::{Db, Tx};
use crate::tables::run;

/// State of a run's charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Reserved,
    Charged,
    Committed,
    Expired,
    Refunded,
}

/// States whose events count against the budget.
pub(crate) const COUNTING: [&str; 3] = ["reserved", "charged", "committed"];

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Reserved => "reserved",
            State::Charged => "charged",
            State::Committed => "committed",
            State::Expired => "expired",
            State::Refunded => "refunded",
        }
    }

    fn parse(text: &str) -> R<State> {
        let all = [State::Reserved, State::Charged, State::Committed, State::Expired, State::Refunded];
        let found = all.into_iter().find(|s| s.as_str() == text);
        found.ok_or_else(|| Refusal::new(Code::Internal, "a run row has an unknown state"))
    }
}

/// A run's row.
#[derive(Clone, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = run)]
pub(crate) struct RunRow {
    pub run_id: String,
    pub reservation_id: String,
    pub state: String,
    pub expires_at: i64,
    pub lease_until: Option<i64>,
    pub reserved_seq: i64,
    pub last_seq: i64,
    pub bundle: Vec<u8>,
    pub run_jwk: String,
    /// 1 where the charge is known by a backup or the log alone; it counts for good.
    pub lost: i32,
    /// The longest lease in seconds that the rules documents let the run have, where they name one.
    #[serde(default)]
    pub lease_s: Option<i32>,
}

impl RunRow {
    /// The state as of `now`: a reservation that ran out counts as expired whether or not its row says so yet.
    pub fn state(&self, now: Timestamp) -> R<State> {
        Ok(match State::parse(&self.state)? {
            State::Reserved if self.expires_at <= now.micros() => State::Expired,
            state => state,
        })
    }

    /// The run's signing key.
    pub fn run_jwk(&self) -> R<Jwk> {
        if self.run_jwk.is_empty() {
            return Err(known_from_log());
        }
        serde_json::from_str(&self.run_jwk)
            .map_err(|_| Refusal::new(Code::Internal, "the key of a run row does not read"))
    }

    /// The bundle as it was reserved under.
    pub fn bundle(&self) -> R<JobBundle> {
        if self.bundle.is_empty() {
            return Err(known_from_log());
        }
        serde_json::from_slice(&self.bundle)
            .map_err(|_| Refusal::new(Code::Internal, "the bundle of a run row does not read"))
    }

    /// Seconds of a lease of this run: the service's own, or less where rules documents say so.
    pub fn lease_seconds(&self, own: u32) -> u32 {
        self.lease_s.and_then(|held| u32::try_from(held).ok()).map_or(own, |held| held.min(own))
    }

    /// Requires a living lease.
    pub fn living_lease(&self, now: Timestamp) -> R<()> {
        match self.lease_until {
            Some(until) if until > now.micros() => Ok(()),
            _ => Err(Refusal::new(Code::LeaseExpired, "the lease ran out: the run has failed and stays charged")),
        }
    }
}

fn known_from_log() -> Refusal {
    Refusal::new(Code::RunUnknown, "this run is known from the log alone: it stays charged")
}

/// The row of a run.
pub(crate) fn find(c: &mut Db, run_id: &RunId) -> Tx<Option<RunRow>> {
    Ok(run::table.find(run_id.as_str()).select(RunRow::as_select()).first(c).optional()?)
}

/// The row of a reservation.
pub(crate) fn by_reservation(c: &mut Db, id: &ReservationId) -> Tx<RunRow> {
    let row = run::table.filter(run::reservation_id.eq(id.as_str())).select(RunRow::as_select()).first(c).optional()?;
    row.ok_or_else(|| Refusal::new(Code::ReservationUnknown, "no such reservation").into())
}

/// Marks reservations that ran out; they no longer count.
pub(crate) fn expire(c: &mut Db, now: Timestamp) -> Tx<()> {
    let over = run::state.eq(State::Reserved.as_str()).and(run::expires_at.le(now.micros()));
    let over: Vec<String> = run::table.filter(over).select(run::run_id).load(c)?;
    if over.is_empty() {
        return Ok(());
    }
    diesel::update(run::table.filter(run::run_id.eq_any(&over)))
        .set(run::state.eq(State::Expired.as_str()))
        .execute(c)?;
    let changed = budget::charged(c, &over)?;
    ledger::recount(c, &changed)
}

/// Ends what a run counts for, with the receipt that says so.
pub(crate) fn give_back(c: &mut Db, run_id: &str, seq: i64) -> Tx<()> {
    step(c, run_id, State::Refunded, seq, None)?;
    shown::forget(c, run_id)?;
    let changed = budget::charged(c, &[run_id.to_owned()])?;
    ledger::recount(c, &changed)
}

/// Moves a run on, with the receipt that says so.
pub(crate) fn step(c: &mut Db, run_id: &str, state: State, seq: i64, lease: Option<Timestamp>) -> Tx<()> {
    let change =
        (run::state.eq(state.as_str()), run::last_seq.eq(seq), run::lease_until.eq(lease.map(Timestamp::micros)));
    diesel::update(run::table.find(run_id)).set(change).execute(c)?;
    Ok(())
}

/// Keeps the longest lease that rules documents let the run have.
pub(crate) fn hold(c: &mut Db, run_id: &str, lease_s: Option<u32>) -> Tx<()> {
    let held = lease_s.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    diesel::update(run::table.find(run_id)).set(run::lease_s.eq(held)).execute(c)?;
    Ok(())
}

/// Extends a lease.
pub(crate) fn extend(c: &mut Db, run_id: &str, lease: Timestamp) -> Tx<()> {
    diesel::update(run::table.find(run_id)).set(run::lease_until.eq(Some(lease.micros()))).execute(c)?;
    Ok(())
}

/// Refuses an act in a state in which it makes no sense.
pub(crate) fn wrong_state(state: State, act: &str) -> Refusal {
    Refusal::new(Code::RunState, format!("the run is {} here, so it cannot be {act}", state.as_str()))
}

impl Kms {
    /// The row of a run that must be known.
    pub(crate) fn run(&self, run_id: &RunId) -> R<RunRow> {
        let row = self.store.transact(|c| find(c, run_id))?;
        row.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run has no reservation here"))
    }

    /// The run's bundle, verified anew under the pinned trust.
    pub(crate) fn reopen(&self, row: &RunRow) -> R<OpenedBundle> {
        signing::open_bundle(row.bundle()?, &self.trust(None)?)
    }

    /// The receipt at a sequence, read.
    pub(crate) fn receipt(&self, c: &mut Db, seq: i64) -> Tx<(Envelope<KmsReceipt>, KmsReceipt)> {
        let envelope = journal::at(c, seq)?;
        let receipt = envelope.read_unverified()?;
        Ok((envelope, receipt))
    }
}
