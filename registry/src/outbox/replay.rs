//! Deliveries once more: one, everything since a time, everything that was given up.

use std::collections::BTreeSet;

use diesel::prelude::*;
use policies::lifecycle::{PaymentRow, PaymentState, State};
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Timestamp};

use super::{NewDelivery, concerned, insert};
use crate::Registry;
use crate::conn::Db;
use crate::endpoint::Endpoint;
use crate::error::{Fault, corrupt};
use crate::tables::{deliveries, outbox};
use crate::told::{OWED, PSP};

/// Deliveries that one call sends again at most.
const MOST: i64 = 1_000;

/// What is sent once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries that wait again.
    pub deliveries: u64,
    /// Whether there are more.
    pub more: bool,
    /// When the newest of these messages was made.
    pub until: Option<Timestamp>,
}

impl Registry {
    /// Sends one delivery again, under its old id; whose it is was checked. `PAYMENT_STATE` for an instruction to pay
    /// that has its answer.
    pub fn replay_delivery(&self, id: &str, now: Timestamp) -> R<()> {
        let ids = self.owed(vec![id.to_owned()])?;
        if ids.is_empty() {
            let sentence = "This instruction has its answer; another payment system would pay it twice.";
            return Err(Refusal::new(Code::PaymentState, sentence));
        }
        self.told_otherwise(move |db| again(db, &ids, now))
    }

    /// Of these deliveries those that may go out again: instructions to pay that have their answer are left out.
    fn owed(&self, ids: Vec<String>) -> R<Vec<String>> {
        let state = self.state();
        let answered: BTreeSet<String> = self.read(|db| {
            let orders = deliveries::table.inner_join(outbox::table).filter(deliveries::id.eq_any(&ids));
            let orders = orders.filter(outbox::topic.eq_any(OWED));
            let orders: Vec<(String, String)> = orders.select((deliveries::id, outbox::subject)).load(db)?;
            Ok(orders.into_iter().filter(|(_, subject)| !is_owed(&state, subject)).map(|(id, _)| id).collect())
        })?;
        Ok(ids.into_iter().filter(|id| !answered.contains(id)).collect())
    }

    /// The instructions to pay that wait for an endpoint although they have their answer.
    pub(crate) fn settled_meanwhile(&self, endpoint: &EndpointId) -> R<Vec<String>> {
        let state = self.state();
        self.read(|db| {
            let waiting = deliveries::table.inner_join(outbox::table).filter(super::lease::open());
            let waiting = waiting.filter(deliveries::endpoint_id.eq(endpoint.as_str()));
            let waiting = waiting.filter(outbox::topic.eq_any(OWED));
            let waiting: Vec<(String, String)> = waiting.select((deliveries::id, outbox::subject)).load(db)?;
            // One that the state does not know yet has only just been entered.
            let known = |subject: &str| state.payment(subject).is_some();
            let over = waiting.into_iter().filter(|(_, subject)| known(subject) && !is_owed(&state, subject));
            Ok(over.map(|(id, _)| id).collect())
        })
    }

    /// Sends an endpoint every message of its owner's since a time, delivered or not, also those of before it was made.
    pub fn replay_since(&self, endpoint: &Endpoint, since: Timestamp, now: Timestamp) -> R<Replayed> {
        let (state, listeners) = (self.state(), self.listeners()?);
        let (owner, endpoint_id) = (endpoint.owner.to_string(), endpoint.endpoint_id.clone());
        type Message = (String, String, String, String, i64, i64);
        let (mut rows, mut from, mut until, mut more) = (Vec::new(), (since.micros(), String::new()), None, true);
        // Messages of others in between are passed over, so pages are read until there are enough.
        while rows.len() < MOST as usize {
            let page: Vec<Message> = self.read(|db| {
                let after =
                    outbox::created_at.gt(from.0).or(outbox::created_at.eq(from.0).and(outbox::id.gt(from.1.clone())));
                let all = outbox::table.filter(after).filter(outbox::dispatched_at.is_not_null());
                let all = all.filter(
                    outbox::audience.like(format!("%{owner}%")).or(outbox::audience.like(format!("%\"{PSP}\"%"))),
                );
                let what = (outbox::id, outbox::topic, outbox::subject);
                let columns = (what.0, what.1, what.2, outbox::audience, outbox::seq, outbox::created_at);
                Ok(all.order((outbox::created_at, outbox::id)).limit(MOST).select(columns).load(db)?)
            })?;
            let last = (page.len() as i64) < MOST;
            for (id, topic, subject, audience, seq, at) in page {
                from = (at, id.clone());
                if rows.len() >= MOST as usize {
                    break;
                }
                if OWED.contains(&topic.as_str()) && !is_owed(&state, &subject) {
                    continue;
                }
                let audience: Vec<String> = serde_json::from_str(&audience).map_err(|_| corrupt("audience"))?;
                let mut wanted = concerned(&state, &listeners, &topic, &audience);
                if wanted.any(|one| one.endpoint_id == endpoint_id) {
                    rows.push(NewDelivery::new(&id, seq, &endpoint_id, now));
                    until = Some(at);
                }
            }
            if last {
                more = rows.len() >= MOST as usize;
                break;
            }
        }
        let deliveries = rows.len() as u64;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        self.told_otherwise(move |db| {
            insert(db, &rows)?;
            again(db, &ids, now)
        })?;
        Ok(Replayed { deliveries, more, until: until.map(Timestamp::from_micros) })
    }

    /// Sends an endpoint what was given up.
    pub fn recover_dead(&self, endpoint: &EndpointId, since: Option<Timestamp>, now: Timestamp) -> R<Replayed> {
        let since = since.map_or(0, Timestamp::micros);
        let dead: Vec<(String, i64)> = self.read(|db| {
            let dead = deliveries::table
                .inner_join(outbox::table)
                .filter(deliveries::endpoint_id.eq(endpoint.as_str()))
                .filter(deliveries::dead_at.is_not_null())
                .filter(outbox::created_at.ge(since));
            let order = (deliveries::seq, deliveries::id);
            Ok(dead.order(order).limit(MOST).select((deliveries::id, outbox::created_at)).load(db)?)
        })?;
        let until = dead.iter().map(|(_, at)| *at).max().map(Timestamp::from_micros);
        let more = dead.len() as i64 == MOST;
        let ids = self.owed(dead.into_iter().map(|(id, _)| id).collect())?;
        let replayed = Replayed { deliveries: ids.len() as u64, more, until };
        self.told_otherwise(move |db| again(db, &ids, now))?;
        Ok(replayed)
    }

    /// Forgets deliveries that were done or given up before a time, and messages that nothing refers to any more; at
    /// most some hundred at once. Returns how many.
    pub fn tidy_deliveries(&self, before: Timestamp) -> R<usize> {
        let before = before.micros();
        let (old, idle): (Vec<String>, Vec<String>) = self.read(|db| {
            let done = deliveries::done_at.lt(before).or(deliveries::dead_at.lt(before));
            let old = deliveries::table.filter(done).limit(200).select(deliveries::id).load(db)?;
            let referred = diesel::dsl::exists(deliveries::table.filter(deliveries::outbox_id.eq(outbox::id)));
            let idle = outbox::table
                .filter(outbox::created_at.lt(before))
                .filter(outbox::dispatched_at.is_not_null())
                .filter(diesel::dsl::not(referred))
                .order((outbox::created_at, outbox::id))
                .limit(200)
                .select(outbox::id)
                .load(db)?;
            Ok((old, idle))
        })?;
        if old.is_empty() && idle.is_empty() {
            return Ok(0);
        }
        self.write(move |db| {
            let gone: usize = diesel::delete(deliveries::table.filter(deliveries::id.eq_any(&old))).execute(db)?;
            let kept: Vec<String> =
                deliveries::table.filter(deliveries::outbox_id.eq_any(&idle)).select(deliveries::outbox_id).load(db)?;
            let kept: BTreeSet<String> = kept.into_iter().collect();
            let idle: Vec<&String> = idle.iter().filter(|id| !kept.contains(*id)).collect();
            Ok(gone + diesel::delete(outbox::table.filter(outbox::id.eq_any(idle))).execute(db)?)
        })
    }
}

/// Only what still waits for an answer is instructed again: another payment system would pay anything else twice.
fn is_owed(state: &State, instruction: &str) -> bool {
    let waits = |row: &PaymentRow| {
        matches!(row.state, PaymentState::Asked | PaymentState::Instructed | PaymentState::Refunding)
            && row.instruction_id().is_ok_and(|id| id == instruction)
    };
    state.payment(instruction).is_some_and(waits)
}

/// Lets deliveries wait again, from the beginning of the schedule. One that is under way goes on.
fn again(db: &mut Db, ids: &[String], now: Timestamp) -> Result<(), Fault> {
    for id in ids {
        let free = deliveries::lease_until.is_null().or(deliveries::lease_until.le(now.micros()));
        let changes = (
            deliveries::done_at.eq(None::<i64>),
            deliveries::dead_at.eq(None::<i64>),
            deliveries::not_before.eq(now.micros()),
            deliveries::attempts.eq(0),
        );
        diesel::update(deliveries::table.find(id).filter(free)).set(changes).execute(db)?;
    }
    Ok(())
}
