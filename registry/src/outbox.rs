//! From the outbox to deliveries: each message to every endpoint that it concerns, each delivery under a lease.
//!
//! Steps, each one transaction of the writer's and none longer than some hundred rows: an entry writes its messages
//! (`told`), [`Registry::dispatch`] makes deliveries of them, `lease` takes those that are due, `finish` writes down how
//! their attempts ended. After a crash between any two of them the next step finds what is left: a delivery may be made
//! twice, under the same id, and is never lost.

mod answered;
mod finish;
mod history;
mod lease;
mod replay;
mod tidy;
mod walk;

pub use finish::{Attempt, Ended, Finished};
pub use history::{Asked, AttemptRow, DeliveryRow, with_attempt};
pub use lease::{Leased, LeasedDelivery, Wish};
pub use replay::Replayed;
pub(crate) use walk::Walk;

use std::collections::BTreeMap;

use diesel::prelude::*;
use policies::lifecycle::{ParticipantState, State};
use schemas::id::{Did, EndpointId};
use schemas::party::Kind;
use schemas::{Digest, R, Timestamp, canonical};
use serde_json::json;

use crate::Registry;
use crate::conn::Db;
use crate::endpoint::Endpoint;
use crate::error::{Fault, corrupt};
use crate::listeners::Listeners;
use crate::tables::{deliveries, outbox};
use crate::told::PSP;
use crate::topics::{OWED, TOPICS};

/// Messages that one transaction dispatches at most, and deliveries after which it takes no further message.
const MESSAGES: i64 = 256;
const DELIVERIES: usize = 512;
/// The topic that tells an owner that an endpoint was switched off.
pub const DISABLED: &str = "webhook.disabled";
/// The topic of a test.
pub const PING: &str = "webhook.ping";

/// What became of open messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispatched {
    /// Deliveries made, by endpoint.
    pub made: BTreeMap<EndpointId, u64>,
    /// Whether there may be more messages.
    pub more: bool,
}

impl Dispatched {
    /// Deliveries made.
    pub fn count(&self) -> u64 {
        self.made.values().sum()
    }
}

/// A new row of `deliveries`.
#[derive(Clone, Insertable)]
#[diesel(table_name = deliveries)]
struct NewDelivery {
    id: String,
    outbox_id: String,
    endpoint_id: String,
    not_before: i64,
    attempts: i32,
    seq: i64,
}

impl NewDelivery {
    fn new(message: &str, seq: i64, endpoint: &EndpointId, now: Timestamp) -> NewDelivery {
        let id = Digest::of(format!("{message}:{endpoint}").as_bytes()).to_string();
        NewDelivery {
            id: format!("dlv_{}", &id[..32]),
            outbox_id: message.to_owned(),
            endpoint_id: endpoint.to_string(),
            not_before: now.micros(),
            attempts: 0,
            seq,
        }
    }
}

impl Registry {
    /// Makes deliveries of the oldest messages that have none yet. An instruction to pay waits until a payment service
    /// provider listens; any other message that nobody listens to is done. Whom a message concerns is found outside of
    /// the writer.
    pub fn dispatch(&self, now: Timestamp) -> R<Dispatched> {
        let state = self.state();
        // Messages before listeners: whoever listened before an entry was made gets what it tells.
        let psp_wants = |listeners: &Listeners, topic: &str| {
            let psps = listeners.owners().filter(|owner| is_psp(&state, owner));
            psps.flat_map(|owner| listeners.of(owner)).any(|e| e.wants(topic))
        };
        let listeners = self.listeners()?;
        let waiting: Vec<&str> = OWED.iter().copied().filter(|topic| !psp_wants(&listeners, topic)).collect();
        type Row = (String, String, String, i64);
        let rows: Vec<Row> = self.read(|db| {
            let open = outbox::table.filter(outbox::dispatched_at.is_null()).filter(outbox::topic.ne_all(waiting));
            let open = open.order((outbox::seq, outbox::id)).limit(MESSAGES);
            Ok(open.select((outbox::id, outbox::topic, outbox::audience, outbox::seq)).load(db)?)
        })?;
        if rows.is_empty() {
            return Ok(Dispatched::default());
        }
        let listeners = self.listeners()?;
        let (found, mut dispatched) = (rows.len(), Dispatched::default());
        let (mut messages, mut rows_made): (Vec<String>, Vec<NewDelivery>) = (Vec::new(), Vec::new());
        for (id, topic, audience, seq) in rows {
            if rows_made.len() >= DELIVERIES {
                break;
            }
            let audience: Vec<String> = serde_json::from_str(&audience).map_err(|_| corrupt("audience"))?;
            for endpoint in concerned(&state, &listeners, &topic, &audience) {
                rows_made.push(NewDelivery::new(&id, seq, &endpoint.endpoint_id, now));
                *dispatched.made.entry(endpoint.endpoint_id.clone()).or_default() += 1;
            }
            messages.push(id);
        }
        dispatched.more = messages.len() < found || found as i64 == MESSAGES;
        self.write(move |db| {
            insert(db, &rows_made)?;
            for some in messages.chunks(64) {
                let open = outbox::table.filter(outbox::id.eq_any(some)).filter(outbox::dispatched_at.is_null());
                diesel::update(open).set(outbox::dispatched_at.eq(Some(now.micros()))).execute(db)?;
            }
            Ok(())
        })?;
        Ok(dispatched)
    }

    /// When the oldest message of each topic was made that is still to be delivered; topics without one are left out.
    pub fn undelivered(&self) -> R<Vec<(&'static str, Timestamp)>> {
        self.read(|db| {
            let mut oldest = Vec::new();
            for topic in TOPICS.iter().map(|topic| topic.name) {
                let waiting = outbox::table.filter(outbox::topic.eq(topic)).filter(outbox::dispatched_at.is_null());
                let waiting: Option<i64> = waiting.select(diesel::dsl::min(outbox::created_at)).first(db)?;
                let open = deliveries::table.inner_join(outbox::table).filter(outbox::topic.eq(topic));
                let open = open.filter(deliveries::done_at.is_null()).filter(deliveries::dead_at.is_null());
                let open: Option<i64> = open.select(diesel::dsl::min(outbox::created_at)).first(db)?;
                oldest.extend(waiting.into_iter().chain(open).min().map(|at| (topic, Timestamp::from_micros(at))));
            }
            Ok(oldest)
        })
    }

    /// A message of the service's own to one endpoint, whatever it listens to: its id stands for it once.
    pub fn ping_endpoint(&self, endpoint: &Endpoint, message_id: &str, now: Timestamp) -> R<String> {
        let seq = place(self.head()?.size, 0);
        let data = json!({"endpoint_id": endpoint.endpoint_id});
        let message = Own { id: message_id.to_owned(), topic: PING, about: endpoint.endpoint_id.to_string(), data };
        let (owner, endpoint_id) = (endpoint.owner.to_string(), endpoint.endpoint_id.clone());
        let delivery = NewDelivery::new(message_id, seq, &endpoint_id, now);
        let id = delivery.id.clone();
        self.write(move |db| {
            message.write(db, &owner, seq, Some(now), now)?;
            insert(db, std::slice::from_ref(&delivery))
        })?;
        self.stir(&endpoint_id);
        Ok(id)
    }
}

/// A message that no entry caused.
struct Own {
    id: String,
    topic: &'static str,
    about: String,
    data: serde_json::Value,
}

impl Own {
    fn write(
        &self,
        db: &mut Db,
        owner: &str,
        seq: i64,
        dispatched: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let payload = json!({"type": self.topic, "timestamp": now, "data": self.data});
        let payload = String::from_utf8(canonical::to_bytes(&payload)?).map_err(|_| corrupt("outbox payload"))?;
        let row = (
            outbox::id.eq(&self.id),
            outbox::topic.eq(self.topic),
            outbox::subject.eq(&self.about),
            outbox::audience.eq(json!([owner]).to_string()),
            outbox::payload.eq(payload),
            outbox::dedupe_key.eq(format!("{}:{}", self.topic, self.id)),
            outbox::created_at.eq(now.micros()),
            outbox::dispatched_at.eq(dispatched.map(Timestamp::micros)),
            outbox::seq.eq(seq),
            outbox::about.eq(&self.about),
        );
        diesel::insert_into(outbox::table).values(row).execute(db)?;
        Ok(())
    }
}

/// Tells the owner's other endpoints that one was switched off.
fn tell_disabled(db: &mut Db, owner: &str, endpoint: &str, why: &str, seq: i64, now: Timestamp) -> Result<(), Fault> {
    let id = Digest::of(format!("{DISABLED}:{endpoint}:{}", now.micros()).as_bytes()).to_string();
    let data = json!({"endpoint_id": endpoint, "why": why});
    let own = Own { id: format!("msg_{}", &id[..32]), topic: DISABLED, about: endpoint.to_owned(), data };
    own.write(db, owner, seq, None, now)
}

/// The place of a message among all: the entry's index, and its number among the entry's messages.
pub(crate) fn place(index: u64, number: usize) -> i64 {
    let (index, number) = (i64::try_from(index).unwrap_or(i64::MAX >> 8), i64::try_from(number).unwrap_or_default());
    (index << 8) | number.min(255)
}

fn is_psp(state: &State, owner: &Did) -> bool {
    let row = state.participant(owner);
    row.is_some_and(|r| r.participant.kind == Kind::Psp && r.state == ParticipantState::Verified)
}

/// The endpoints that want a message: those of its audience that ask for its topic.
fn concerned<'a>(
    state: &'a State,
    listeners: &'a Listeners,
    topic: &'a str,
    audience: &'a [String],
) -> impl Iterator<Item = &'a Endpoint> {
    let psps = audience.iter().any(|a| a == PSP);
    let owners = listeners
        .owners()
        .filter(move |owner| audience.iter().any(|a| a == owner.as_str()) || (psps && is_psp(state, owner)));
    owners.flat_map(|owner| listeners.of(owner)).map(|endpoint| &**endpoint).filter(move |e| e.wants(topic))
}

/// Writes new deliveries; one that is there already stays as it is.
fn insert(db: &mut Db, rows: &[NewDelivery]) -> Result<(), Fault> {
    match db {
        Db::Pg(db) => {
            for some in rows.chunks(1024) {
                diesel::insert_into(deliveries::table).values(some).on_conflict_do_nothing().execute(db)?;
            }
        }
        Db::Sqlite(db) => {
            for row in rows {
                diesel::insert_into(deliveries::table).values(row).on_conflict_do_nothing().execute(db)?;
            }
        }
    }
    Ok(())
}
