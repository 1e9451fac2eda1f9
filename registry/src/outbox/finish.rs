//! How attempts ended: written down for many deliveries at once, with what follows for their endpoints.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use schemas::id::EndpointId;
use schemas::{R, Timestamp};

use super::{place, tell_disabled};
use crate::Registry;
use crate::conn::Db;
use crate::endpoint;
use crate::error::Fault;
use crate::tables::deliveries;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Answered with a 2xx status.
    Delivered {
        /// HTTP status.
        status: u16,
    },
    /// To be tried again.
    Retry {
        /// HTTP status, where there was an answer.
        status: Option<u16>,
        /// Not before this time.
        not_before: Timestamp,
    },
    /// Given up.
    Dead {
        /// HTTP status, where there was an answer.
        status: Option<u16>,
        /// The endpoint is gone and wants nothing any more.
        gone: bool,
    },
}

impl Attempt {
    /// HTTP status, where there was an answer.
    pub fn status(self) -> Option<u16> {
        match self {
            Attempt::Delivered { status } => Some(status),
            Attempt::Retry { status, .. } | Attempt::Dead { status, .. } => status,
        }
    }
}

/// An attempt that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The delivery.
    pub delivery_id: String,
    /// Its lease.
    pub lease_token: String,
    /// Its endpoint.
    pub endpoint_id: EndpointId,
    /// How it ended.
    pub attempt: Attempt,
    /// Milliseconds that it took.
    pub millis: u32,
    /// The beginning of the answer.
    pub answer: Option<String>,
    /// The attempts with this one, as [`super::with_attempt`] writes them.
    pub history: String,
}

/// What came of attempts that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Deliveries whose lease had passed to somebody else meanwhile; nothing was changed about them.
    pub lost: usize,
    /// Endpoints that were switched off.
    pub disabled: BTreeSet<EndpointId>,
}

impl Registry {
    /// Writes down how attempts ended. An endpoint that is gone, or took nothing for `patience` seconds, is switched off,
    /// and its owner's other endpoints are told.
    pub fn finish_deliveries(&self, finished: Vec<Finished>, patience: i64, now: Timestamp) -> R<Ended> {
        let size = self.head()?.size;
        let ended = self.write(move |db| {
            let mut ended = Ended::default();
            let mut of: BTreeMap<&EndpointId, (bool, bool)> = BTreeMap::new();
            for one in &finished {
                if !finish(db, one, now)? {
                    ended.lost += 1;
                    continue;
                }
                let (taken, gone) = of.entry(&one.endpoint_id).or_default();
                *taken |= matches!(one.attempt, Attempt::Delivered { .. });
                *gone |= matches!(one.attempt, Attempt::Dead { gone: true, .. });
            }
            for (id, (taken, gone)) in of {
                if stand(db, id, (taken, gone), patience, size, now)? {
                    ended.disabled.insert(id.clone());
                }
            }
            Ok(ended)
        })?;
        if !ended.disabled.is_empty() {
            self.forget_listeners();
        }
        Ok(ended)
    }
}

/// Ends an attempt; false when the lease has passed to somebody else meanwhile.
fn finish(db: &mut Db, one: &Finished, now: Timestamp) -> Result<bool, Fault> {
    let row = deliveries::table.find(&one.delivery_id).filter(deliveries::lease_token.eq(&one.lease_token));
    let (done, dead, not_before) = match one.attempt {
        Attempt::Delivered { .. } => (Some(now), None, now),
        Attempt::Retry { not_before, .. } => (None, None, not_before),
        Attempt::Dead { .. } => (None, Some(now), now),
    };
    let changes = (
        deliveries::last_status.eq(one.attempt.status().map(i32::from)),
        deliveries::done_at.eq(done.map(Timestamp::micros)),
        deliveries::dead_at.eq(dead.map(Timestamp::micros)),
        deliveries::not_before.eq(not_before.micros()),
        deliveries::lease_until.eq(None::<i64>),
        deliveries::lease_token.eq(None::<String>),
        deliveries::last_millis.eq(i32::try_from(one.millis).unwrap_or(i32::MAX)),
        deliveries::last_answer.eq(&one.answer),
        deliveries::history.eq(&one.history),
    );
    Ok(diesel::update(row).set(changes).execute(db)? == 1)
}

/// What follows for an endpoint; whether it was switched off.
fn stand(
    db: &mut Db,
    id: &EndpointId,
    (taken, gone): (bool, bool),
    patience: i64,
    size: u64,
    now: Timestamp,
) -> Result<bool, Fault> {
    let id = id.as_str();
    if taken && !gone {
        endpoint::fails(db, id, None)?;
        return Ok(false);
    }
    endpoint::fails(db, id, Some(now))?;
    let Some((owner, since)) = endpoint::standing(db, id)? else { return Ok(false) };
    let why = match since {
        _ if gone => "it answered 410 Gone".to_owned(),
        Some(since) if now >= since.plus_seconds(patience) => format!("nothing was taken since {since}"),
        _ => return Ok(false),
    };
    let off = endpoint::disable(db, id, &why, now)?;
    if off {
        tell_disabled(db, &owner, id, &why, place(size, 0), now)?;
    }
    Ok(off)
}
