//! The queue of ordered jobs: requested, leased by a clean-room provider's agent, started by a check-in.

use diesel::prelude::*;
use schemas::envelope::Envelope;
use schemas::event::Body;
use schemas::id::Did;
use schemas::job::JobSpec;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::Serialize;

use crate::Registry;
use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::run_orders as orders;

/// Where an order stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Waiting.
    Requested,
    /// An agent has taken it.
    Leased,
    /// A run checked in.
    Started,
}

/// An order that an agent has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedOrder {
    /// The job.
    pub job_sha256: Digest,
    /// Proves the lease at check-in.
    pub lease_token: String,
    /// The job bundle, as it was handed in.
    pub bundle: Vec<u8>,
}

impl Registry {
    /// Takes the oldest order of this provider that waits or whose lease has ended, for `seconds`.
    pub fn lease_order(&self, ccrp: &Did, seconds: i64, now: Timestamp) -> R<Option<LeasedOrder>> {
        let token = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        let ccrp = ccrp.to_string();
        self.write(move |db| {
            let open = orders::table
                .filter(orders::ccrp.eq(&ccrp))
                .filter(orders::state.ne("started"))
                .filter(orders::expires_at.gt(now.micros()))
                .filter(orders::lease_until.is_null().or(orders::lease_until.le(now.micros())));
            let columns = (orders::job_sha256, orders::bundle);
            let found: Option<(Vec<u8>, Vec<u8>)> =
                open.order(orders::created_at).select(columns).first(db).optional()?;
            let Some((sha256, bundle)) = found else {
                return Ok(None);
            };
            let changes = (
                orders::state.eq("leased"),
                orders::lease_until.eq(Some(now.plus_seconds(seconds).micros())),
                orders::lease_token.eq(Some(&token)),
            );
            diesel::update(orders::table.filter(orders::job_sha256.eq(&sha256))).set(changes).execute(db)?;
            let job_sha256 = Digest(sha256.try_into().map_err(|_| corrupt("job digest"))?);
            Ok(Some(LeasedOrder { job_sha256, lease_token: token.clone(), bundle }))
        })
    }

    /// Where an order stands; none for a job that was never ordered.
    pub fn order_state(&self, job_sha256: &Digest, now: Timestamp) -> R<Option<OrderState>> {
        let key = job_sha256.0.to_vec();
        let row: Option<(String, Option<i64>)> = self.read(|db| {
            let row = orders::table.filter(orders::job_sha256.eq(key));
            Ok(row.select((orders::state, orders::lease_until)).first(db).optional()?)
        })?;
        row.map(|(state, until)| match state.as_str() {
            "started" => Ok(OrderState::Started),
            "leased" if until.is_some_and(|u| u > now.micros()) => Ok(OrderState::Leased),
            "leased" | "requested" => Ok(OrderState::Requested),
            _ => Err(corrupt("order state")),
        })
        .transpose()
    }

    /// The bundle of an order.
    pub fn order_bundle(&self, job_sha256: &Digest) -> R<Option<Vec<u8>>> {
        let key = job_sha256.0.to_vec();
        self.read(|db| {
            Ok(orders::table.filter(orders::job_sha256.eq(key)).select(orders::bundle).first(db).optional()?)
        })
    }

    /// Requires that this token leases the order now.
    pub fn require_lease(&self, job_sha256: &Digest, token: &str, now: Timestamp) -> R<()> {
        let key = job_sha256.0.to_vec();
        let row: Option<(Option<String>, Option<i64>)> = self.read(|db| {
            let row = orders::table.filter(orders::job_sha256.eq(key));
            Ok(row.select((orders::lease_token, orders::lease_until)).first(db).optional()?)
        })?;
        match row {
            Some((Some(held), Some(until))) if held == token && until > now.micros() => Ok(()),
            _ => Err(Refusal::new(Code::LeaseExpired, "the order is not leased under this token").at("lease_token")),
        }
    }
}

/// Queues an ordered job, in the transaction of its entry.
pub(crate) fn put(db: &mut Db, job: &Envelope<JobSpec>, bundle: &[u8], now: Timestamp) -> Result<(), Fault> {
    let spec = job.read_unverified()?;
    let row = (
        orders::job_sha256.eq(job.digest().0.to_vec()),
        orders::ccrp.eq(spec.ccrp.to_string()),
        orders::bundle.eq(bundle),
        orders::state.eq("requested"),
        orders::expires_at.eq(spec.expires_at.micros()),
        orders::created_at.eq(now.micros()),
    );
    diesel::insert_into(orders::table).values(row).execute(db)?;
    Ok(())
}

/// A check-in takes the order out of the queue, in the transaction of its entry.
pub(crate) fn settle(db: &mut Db, body: &Body) -> Result<(), Fault> {
    if let Body::RunCheckedIn { job_sha256, .. } = body {
        let row = orders::table.filter(orders::job_sha256.eq(job_sha256.0.to_vec()));
        diesel::update(row).set(orders::state.eq("started")).execute(db)?;
    }
    Ok(())
}
