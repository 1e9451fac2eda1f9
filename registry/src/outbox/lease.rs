//! Which deliveries go out now. They are found by readers, endpoint by endpoint, so that no endpoint with many stands
//! before another; the writer only marks them.

use std::collections::BTreeSet;

use diesel::prelude::*;
use schemas::id::EndpointId;
use schemas::text::Bytes;
use schemas::{R, Timestamp};

use super::answered::Answered;
use super::walk::first;
use crate::Registry;
use crate::conn::Db;
use crate::error::Fault;
use crate::tables::{deliveries, outbox};

/// What the owner reads of an instruction to pay that was not sent.
const ANSWERED: &str = "not sent: this instruction to pay has its answer";

/// How many deliveries an endpoint may take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// At most so many.
    pub most: u32,
    /// Of one contract only the first that is not done.
    pub ordered: bool,
}

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
    /// When the message was made.
    pub made_at: Timestamp,
    /// Attempts before this one.
    pub attempts: u32,
    /// The attempts so far, as they are kept.
    pub history: String,
    /// Where to.
    pub endpoint_id: EndpointId,
}

/// What came of wishes.
#[derive(Clone, Debug, Default)]
pub struct Leased {
    /// To be made now.
    pub deliveries: Vec<LeasedDelivery>,
    /// Of endpoints that got fewer than they may take: when the next is due, if one waits for a time.
    pub next: Vec<(EndpointId, Option<Timestamp>)>,
}

impl Registry {
    /// Takes deliveries that are due, for `seconds`: nobody else gets them meanwhile. An instruction to pay that has its
    /// answer goes to no payment service provider any more, whatever let it wait until now: it is given up here.
    pub fn lease_deliveries(&self, wishes: &[Wish], seconds: i64, now: Timestamp) -> R<Leased> {
        let token = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        let answered = Answered::of(self)?;
        let (mut leased, over) = self.read(|db| {
            let (mut leased, mut over) = (Leased::default(), Vec::new());
            for wish in wishes {
                let (found, next) = match wish.ordered {
                    true => self.walked(&wish.endpoint_id, |walk| first(db, wish, walk, now))?,
                    false => due(db, wish, now)?,
                };
                let fewer = found.len() < wish.most as usize;
                let (ended, found): (Vec<Found>, Vec<Found>) = found
                    .into_iter()
                    .partition(|row| answered.goes_no_more(&wish.endpoint_id, row.topic(), row.subject()));
                if fewer || !ended.is_empty() {
                    let next = if ended.is_empty() { next } else { Some(now) };
                    leased.next.push((wish.endpoint_id.clone(), next));
                }
                over.extend(ended.into_iter().map(|row| row.0.0));
                leased.deliveries.extend(found.into_iter().map(|row| row.leased(&token, &wish.endpoint_id)));
            }
            Ok((leased, over))
        })?;
        if leased.deliveries.is_empty() && over.is_empty() {
            return Ok(leased);
        }
        let ids: Vec<String> = leased.deliveries.iter().map(|d| d.delivery_id.clone()).collect();
        let until = now.plus_seconds(seconds).micros();
        let taken = self.write(move |db| {
            let free = || deliveries::lease_until.is_null().or(deliveries::lease_until.le(now.micros()));
            let mut taken = BTreeSet::new();
            for id in &ids {
                let row = deliveries::table.find(id).filter(open()).filter(free());
                let changes = (
                    deliveries::lease_until.eq(Some(until)),
                    deliveries::lease_token.eq(Some(&token)),
                    deliveries::attempts.eq(deliveries::attempts + 1),
                );
                if diesel::update(row).set(changes).execute(db)? == 1 {
                    taken.insert(id.clone());
                }
            }
            for id in &over {
                let row = deliveries::table.find(id).filter(open()).filter(free());
                let changes = (deliveries::dead_at.eq(Some(now.micros())), deliveries::last_answer.eq(Some(ANSWERED)));
                diesel::update(row).set(changes).execute(db)?;
            }
            Ok(taken)
        })?;
        leased.deliveries.retain(|delivery| taken.contains(&delivery.delivery_id));
        Ok(leased)
    }

    /// Gives back what a process that is gone had taken: on SQLite, where no other process can be at work. With
    /// PostgreSQL its leases run out.
    pub fn release_leases(&self) -> R<usize> {
        self.write(|db| match db {
            Db::Pg(_) => Ok(0),
            Db::Sqlite(db) => {
                let taken = deliveries::table.filter(open()).filter(deliveries::lease_until.is_not_null());
                Ok(diesel::update(taken).set(deliveries::lease_until.eq(None::<i64>)).execute(db)?)
            }
        })
    }
}

/// Neither delivered nor given up.
#[diesel::dsl::auto_type]
pub(super) fn open() -> _ {
    deliveries::done_at.is_null().and(deliveries::dead_at.is_null())
}

type Row = (String, i32, String, String, String, String, String, i64);
pub(super) type Columns = (
    deliveries::id,
    deliveries::attempts,
    deliveries::history,
    outbox::id,
    outbox::topic,
    outbox::subject,
    outbox::payload,
    outbox::created_at,
);
pub(super) const COLUMNS: Columns = (
    deliveries::id,
    deliveries::attempts,
    deliveries::history,
    outbox::id,
    outbox::topic,
    outbox::subject,
    outbox::payload,
    outbox::created_at,
);

/// A delivery that may go out.
pub(super) struct Found(pub(super) Row);

impl Found {
    fn topic(&self) -> &str {
        &self.0.4
    }

    fn subject(&self) -> &str {
        &self.0.5
    }

    fn leased(self, token: &str, endpoint: &EndpointId) -> LeasedDelivery {
        let (delivery_id, attempts, history, message_id, topic, _, payload, made_at) = self.0;
        LeasedDelivery {
            delivery_id,
            lease_token: token.to_owned(),
            message_id,
            topic,
            payload,
            made_at: Timestamp::from_micros(made_at),
            attempts: attempts.unsigned_abs(),
            history,
            endpoint_id: endpoint.clone(),
        }
    }
}

/// Deliveries that may go out, and when the next one is due.
pub(super) type Here = (Vec<Found>, Option<Timestamp>);

/// The deliveries that have been due for longest, and when the next one is.
fn due(db: &mut Db, wish: &Wish, now: Timestamp) -> Result<Here, Fault> {
    let id = wish.endpoint_id.as_str();
    let free = deliveries::lease_until.is_null().or(deliveries::lease_until.le(now.micros()));
    let due = deliveries::table
        .inner_join(outbox::table)
        .filter(deliveries::endpoint_id.eq(id))
        .filter(open())
        .filter(deliveries::not_before.le(now.micros()))
        .filter(free);
    let order = (deliveries::not_before, deliveries::seq, deliveries::id);
    let rows: Vec<Row> = due.order(order).limit(i64::from(wish.most)).select(COLUMNS).load(db)?;
    let later = deliveries::table
        .filter(deliveries::endpoint_id.eq(id))
        .filter(open())
        .filter(deliveries::not_before.gt(now.micros()));
    let next: Option<i64> = match rows.len() < wish.most as usize {
        true => later.select(diesel::dsl::min(deliveries::not_before)).first(db)?,
        false => None,
    };
    Ok((rows.into_iter().map(Found).collect(), next.map(Timestamp::from_micros)))
}
