//! From the outbox to deliveries: each row to every endpoint that it concerns, each delivery under a lease.

use diesel::prelude::*;
use policies::lifecycle::{ParticipantState, State};
use schemas::id::{Did, EndpointId};
use schemas::party::Kind;
use schemas::text::Bytes;
use schemas::{Digest, R, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::endpoint::{self, Endpoint};
use crate::error::{Fault, corrupt};
use crate::tables::{deliveries, outbox, webhook_endpoints};
use crate::told::PSP;

/// A delivery to be made now.
#[derive(Clone, Debug)]
pub struct LeasedDelivery {
    /// The delivery.
    pub delivery_id: String,
    /// Proves the lease.
    pub lease_token: String,
    /// The message: the `webhook-id`, the same at every attempt and endpoint.
    pub message_id: String,
    /// Its type.
    pub topic: String,
    /// The body to send.
    pub payload: String,
    /// Attempts before this one.
    pub attempts: u32,
    /// Where to.
    pub endpoint: Endpoint,
}

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
    },
}

/// A delivery as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The delivery.
    pub delivery_id: String,
    /// The message.
    pub message_id: String,
    /// Its type.
    pub topic: String,
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// `pending`, `delivered` or `dead`.
    pub state: &'static str,
    /// Attempts made.
    pub attempts: u32,
    /// Status of the last answer.
    pub last_status: Option<u16>,
    /// Not before this time, while pending.
    pub not_before: Timestamp,
}

impl Registry {
    /// Makes deliveries of all outbox rows that have none yet; returns how many were made. An instruction to pay waits
    /// until a payment service provider listens; any other message that nobody listens to is done.
    pub fn dispatch(&self, now: Timestamp) -> R<usize> {
        let state = self.state();
        self.write(move |db| {
            let open = outbox::table
                .filter(outbox::dispatched_at.is_null())
                .order((outbox::created_at, outbox::id))
                .limit(500);
            let rows: Vec<(String, String, String)> =
                open.select((outbox::id, outbox::topic, outbox::audience)).load(db)?;
            if rows.is_empty() {
                return Ok(0);
            }
            let endpoints = endpoint::active(db)?;
            let mut made = 0;
            for (id, topic, audience) in rows {
                let audience: Vec<String> = serde_json::from_str(&audience).map_err(|_| corrupt("audience"))?;
                let concerned = endpoints.iter().filter(|e| listens(&state, e, &topic, &audience));
                let concerned: Vec<&Endpoint> = concerned.collect();
                if topic == "payment.instructed" && !concerned.iter().any(|e| is_psp(&state, &e.owner)) {
                    continue;
                }
                for endpoint in &concerned {
                    insert(db, &id, endpoint, now)?;
                }
                made += concerned.len();
                diesel::update(outbox::table.find(&id))
                    .set(outbox::dispatched_at.eq(Some(now.micros())))
                    .execute(db)?;
            }
            Ok(made)
        })
    }

    /// When the oldest message of each topic was made that is still to be delivered; topics without one are left out.
    pub fn undelivered(&self) -> R<Vec<(&'static str, Timestamp)>> {
        self.read(|db| {
            let mut oldest = Vec::new();
            for topic in crate::TOPICS.iter().copied() {
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

    /// Takes deliveries that are due, for `seconds`.
    pub fn lease_deliveries(&self, limit: u32, seconds: i64, now: Timestamp) -> R<Vec<LeasedDelivery>> {
        let token = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        self.write(move |db| {
            let due = deliveries::table
                .inner_join(outbox::table)
                .inner_join(webhook_endpoints::table)
                .filter(deliveries::done_at.is_null().and(deliveries::dead_at.is_null()))
                .filter(deliveries::not_before.le(now.micros()))
                .filter(deliveries::lease_until.is_null().or(deliveries::lease_until.le(now.micros())))
                .filter(webhook_endpoints::disabled_at.is_null());
            type Row = (String, i32, String, String, String, endpoint::Row);
            let columns =
                (deliveries::id, deliveries::attempts, outbox::id, outbox::topic, outbox::payload, endpoint::COLUMNS);
            let rows: Vec<Row> =
                due.order((deliveries::not_before, deliveries::id)).limit(i64::from(limit)).select(columns).load(db)?;
            let mut leased = Vec::new();
            for (delivery_id, attempts, message_id, topic, payload, endpoint) in rows {
                let changes = (
                    deliveries::lease_until.eq(Some(now.plus_seconds(seconds).micros())),
                    deliveries::lease_token.eq(Some(&token)),
                    deliveries::attempts.eq(attempts + 1),
                );
                diesel::update(deliveries::table.find(&delivery_id)).set(changes).execute(db)?;
                let endpoint = endpoint::read(endpoint)?;
                let (attempts, lease_token) = (attempts.unsigned_abs(), token.clone());
                leased.push(LeasedDelivery {
                    delivery_id,
                    lease_token,
                    message_id,
                    topic,
                    payload,
                    attempts,
                    endpoint,
                });
            }
            Ok(leased)
        })
    }

    /// Ends an attempt; false when the lease has passed to somebody else meanwhile.
    pub fn finish_delivery(&self, delivery_id: &str, lease_token: &str, attempt: Attempt, now: Timestamp) -> R<bool> {
        let (id, token) = (delivery_id.to_owned(), lease_token.to_owned());
        self.write(move |db| {
            let row = deliveries::table.find(&id).filter(deliveries::lease_token.eq(&token));
            let (status, done, dead, not_before) = match attempt {
                Attempt::Delivered { status } => (Some(status), Some(now), None, now),
                Attempt::Retry { status, not_before } => (status, None, None, not_before),
                Attempt::Dead { status } => (status, None, Some(now), now),
            };
            let changes = (
                deliveries::last_status.eq(status.map(i32::from)),
                deliveries::done_at.eq(done.map(Timestamp::micros)),
                deliveries::dead_at.eq(dead.map(Timestamp::micros)),
                deliveries::not_before.eq(not_before.micros()),
                deliveries::lease_until.eq(None::<i64>),
                deliveries::lease_token.eq(None::<String>),
            );
            Ok(diesel::update(row).set(changes).execute(db)? == 1)
        })
    }

    /// The newest deliveries to a participant's endpoints.
    pub fn deliveries(&self, owner: &Did, limit: u32) -> R<Vec<DeliveryRow>> {
        let rows: Vec<Listed> = self.read(|db| {
            let all = deliveries::table.inner_join(outbox::table).inner_join(webhook_endpoints::table);
            let columns = (
                deliveries::id,
                deliveries::outbox_id,
                outbox::topic,
                deliveries::endpoint_id,
                deliveries::done_at,
                deliveries::dead_at,
                deliveries::attempts,
                deliveries::last_status,
                deliveries::not_before,
            );
            let own = all.filter(webhook_endpoints::owner.eq(owner.as_str()));
            Ok(own
                .order((outbox::created_at.desc(), deliveries::id))
                .limit(i64::from(limit))
                .select(columns)
                .load(db)?)
        })?;
        rows.into_iter().map(delivery).collect()
    }
}

type Listed = (String, String, String, String, Option<i64>, Option<i64>, i32, Option<i32>, i64);

fn delivery(row: Listed) -> R<DeliveryRow> {
    let (delivery_id, message_id, topic, endpoint_id, done, dead, attempts, status, not_before) = row;
    let state = match (done, dead) {
        (Some(_), _) => "delivered",
        (None, Some(_)) => "dead",
        (None, None) => "pending",
    };
    Ok(DeliveryRow {
        delivery_id,
        message_id,
        topic,
        endpoint_id: EndpointId::parse(&endpoint_id)?,
        state,
        attempts: attempts.unsigned_abs(),
        last_status: status.and_then(|s| u16::try_from(s).ok()),
        not_before: Timestamp::from_micros(not_before),
    })
}

fn is_psp(state: &State, owner: &Did) -> bool {
    let row = state.participant(owner);
    row.is_some_and(|r| r.participant.kind == Kind::Psp && r.state == ParticipantState::Verified)
}

fn listens(state: &State, endpoint: &Endpoint, topic: &str, audience: &[String]) -> bool {
    let concerned =
        audience.iter().any(|a| a == endpoint.owner.as_str() || (a == PSP && is_psp(state, &endpoint.owner)));
    concerned && endpoint.events.iter().any(|e| e == topic)
}

fn insert(db: &mut Db, outbox_id: &str, endpoint: &Endpoint, now: Timestamp) -> Result<(), Fault> {
    let id = Digest::of(format!("{outbox_id}:{}", endpoint.endpoint_id).as_bytes()).to_string();
    let row = (
        deliveries::id.eq(format!("dlv_{}", &id[..32])),
        deliveries::outbox_id.eq(outbox_id),
        deliveries::endpoint_id.eq(endpoint.endpoint_id.as_str()),
        deliveries::not_before.eq(now.micros()),
        deliveries::attempts.eq(0),
    );
    diesel::insert_into(deliveries::table).values(row).execute(db)?;
    Ok(())
}
