//! What is forgotten: deliveries that ended long ago, what waited too long or is too much at an endpoint that takes nothing,
//! endpoints that were deleted, messages that nothing refers to any more.

use std::collections::BTreeSet;

use diesel::prelude::*;
use schemas::id::Did;
use schemas::party::Kind;
use schemas::{R, Timestamp};

use super::lease::open;
use crate::Registry;
use crate::conn::Db;
use crate::endpoint::DELETED;
use crate::error::Fault;
use crate::tables::{deliveries, outbox, webhook_endpoints as endpoints};
use crate::topics::OWED;

/// Rows of one kind that one step forgets at most.
const STEP: i64 = 200;
/// Deliveries that may wait at an endpoint that is paused or switched off; of more the oldest are forgotten.
pub(super) const MOST_WAITING: i64 = 100_000;

impl Registry {
    /// Forgets deliveries that were done or given up before a time, or waited since then at an endpoint that is paused or
    /// switched off, or are too many there; instructions to pay are kept until they are answered. With them go messages
    /// that nothing refers to any more, and what is left of endpoints that were deleted. At most some hundred at once;
    /// returns how many.
    pub fn tidy_deliveries(&self, before: Timestamp) -> R<usize> {
        self.tidied(before, MOST_WAITING)
    }

    /// The same with another number that may wait.
    pub(super) fn tidied(&self, before: Timestamp, most: i64) -> R<usize> {
        let (before, state) = (before.micros(), self.state());
        let pays = |owner: &str| {
            let row = Did::parse(owner).ok().and_then(|owner| state.participant(&owner));
            row.is_some_and(|row| row.participant.kind == Kind::Psp)
        };
        let (old, idle, gone) = self.read(|db| {
            let mut old = ended(db, before)?;
            old.extend(waiting(db, before, most, pays)?);
            Ok((old, idle(db, before)?, deleted(db, before)?))
        })?;
        if old.is_empty() && idle.is_empty() && gone.is_empty() {
            return Ok(0);
        }
        self.write(move |db| {
            let forgotten: usize = diesel::delete(deliveries::table.filter(deliveries::id.eq_any(&old))).execute(db)?;
            let kept: Vec<String> =
                deliveries::table.filter(deliveries::outbox_id.eq_any(&idle)).select(deliveries::outbox_id).load(db)?;
            let kept: BTreeSet<String> = kept.into_iter().collect();
            let idle: Vec<&String> = idle.iter().filter(|id| !kept.contains(*id)).collect();
            let messages: usize = diesel::delete(outbox::table.filter(outbox::id.eq_any(idle))).execute(db)?;
            let mut ends = 0;
            for id in &gone {
                if !refers(db, id)? {
                    ends += diesel::delete(endpoints::table.find(id)).execute(db)?;
                }
            }
            Ok(forgotten + messages + ends)
        })
    }
}

/// Deliveries that ended before a time.
fn ended(db: &mut Db, before: i64) -> Result<Vec<String>, Fault> {
    let done = deliveries::table.filter(deliveries::done_at.lt(before)).limit(STEP).select(deliveries::id);
    let dead = deliveries::table.filter(deliveries::dead_at.lt(before)).limit(STEP).select(deliveries::id);
    let mut all: Vec<String> = done.load(db)?;
    all.extend(dead.load::<String>(db)?);
    Ok(all)
}

/// Deliveries that wait at endpoints that take nothing: older than a time, or the oldest of more than may wait; of who pays
/// no instruction to pay. All of an endpoint that was deleted.
fn waiting(db: &mut Db, before: i64, most: i64, pays: impl Fn(&str) -> bool) -> Result<Vec<String>, Fault> {
    let off = endpoints::table.filter(endpoints::paused_at.is_not_null().or(endpoints::disabled_at.is_not_null()));
    let columns = (endpoints::id, endpoints::owner, endpoints::disabled_why);
    let off: Vec<(String, String, Option<String>)> = off.select(columns).load(db)?;
    let mut all = Vec::new();
    for (endpoint, owner, why) in off {
        if all.len() as i64 >= STEP {
            break;
        }
        let own = deliveries::table.inner_join(outbox::table).filter(deliveries::endpoint_id.eq(endpoint.clone()));
        if why.as_deref() == Some(DELETED) {
            all.extend(own.limit(STEP).select(deliveries::id).load::<String>(db)?);
            continue;
        }
        let owed: &[&str] = if pays(&owner) { OWED } else { &[] };
        let open_here = deliveries::table.filter(deliveries::endpoint_id.eq(endpoint)).filter(open());
        let over = open_here.count().get_result::<i64>(db)?.saturating_sub(most).clamp(0, STEP);
        let kept = own.filter(open()).filter(outbox::topic.ne_all(owed)).order((deliveries::seq, deliveries::id));
        all.extend(kept.clone().limit(over).select(deliveries::id).load::<String>(db)?);
        let old = kept.filter(outbox::created_at.lt(before)).limit(STEP).select(deliveries::id);
        all.extend(old.load::<String>(db)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Messages of before a time that nothing refers to.
fn idle(db: &mut Db, before: i64) -> Result<Vec<String>, Fault> {
    let referred = diesel::dsl::exists(deliveries::table.filter(deliveries::outbox_id.eq(outbox::id)));
    let idle = outbox::table
        .filter(outbox::created_at.lt(before))
        .filter(outbox::dispatched_at.is_not_null())
        .filter(diesel::dsl::not(referred))
        .order((outbox::created_at, outbox::id))
        .limit(STEP);
    Ok(idle.select(outbox::id).load(db)?)
}

/// Endpoints that were deleted before a time.
fn deleted(db: &mut Db, before: i64) -> Result<Vec<String>, Fault> {
    let gone = endpoints::table.filter(endpoints::disabled_why.eq(DELETED)).filter(endpoints::disabled_at.lt(before));
    Ok(gone.limit(STEP).select(endpoints::id).load(db)?)
}

fn refers(db: &mut Db, endpoint: &str) -> Result<bool, Fault> {
    let own = deliveries::table.filter(deliveries::endpoint_id.eq(endpoint)).limit(1).select(deliveries::id);
    Ok(own.first::<String>(db).optional()?.is_some())
}
