//! Which deliveries go out now. They are found by readers, endpoint by endpoint, so that no endpoint with many stands
//! before another; the writer only marks them.

use std::collections::BTreeSet;

use diesel::prelude::*;
use schemas::id::EndpointId;
use schemas::text::Bytes;
use schemas::{R, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::error::Fault;
use crate::tables::{deliveries, outbox};

/// Open deliveries of an ordered endpoint that are read at a time.
const PAGE: usize = 1_000;

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
    /// Takes deliveries that are due, for `seconds`: nobody else gets them meanwhile.
    pub fn lease_deliveries(&self, wishes: &[Wish], seconds: i64, now: Timestamp) -> R<Leased> {
        let token = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        let mut leased = self.read(|db| {
            let mut leased = Leased::default();
            for wish in wishes {
                let (found, next) = if wish.ordered { first(db, wish, now)? } else { due(db, wish, now)? };
                if found.len() < wish.most as usize {
                    leased.next.push((wish.endpoint_id.clone(), next));
                }
                leased.deliveries.extend(found.into_iter().map(|row| row.leased(&token, &wish.endpoint_id)));
            }
            Ok(leased)
        })?;
        if leased.deliveries.is_empty() {
            return Ok(leased);
        }
        let ids: Vec<String> = leased.deliveries.iter().map(|d| d.delivery_id.clone()).collect();
        let until = now.plus_seconds(seconds).micros();
        let taken = self.write(move |db| {
            let mut taken = BTreeSet::new();
            for id in &ids {
                let free = deliveries::lease_until.is_null().or(deliveries::lease_until.le(now.micros()));
                let row = deliveries::table.find(id).filter(open()).filter(free);
                let changes = (
                    deliveries::lease_until.eq(Some(until)),
                    deliveries::lease_token.eq(Some(&token)),
                    deliveries::attempts.eq(deliveries::attempts + 1),
                );
                if diesel::update(row).set(changes).execute(db)? == 1 {
                    taken.insert(id.clone());
                }
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

type Row = (String, i32, String, String, String, String, i64);
type Columns = (
    deliveries::id,
    deliveries::attempts,
    deliveries::history,
    outbox::id,
    outbox::topic,
    outbox::payload,
    outbox::created_at,
);
const COLUMNS: Columns = (
    deliveries::id,
    deliveries::attempts,
    deliveries::history,
    outbox::id,
    outbox::topic,
    outbox::payload,
    outbox::created_at,
);

struct Found(Row);

impl Found {
    fn leased(self, token: &str, endpoint: &EndpointId) -> LeasedDelivery {
        let (delivery_id, attempts, history, message_id, topic, payload, made_at) = self.0;
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

type Here = (Vec<Found>, Option<Timestamp>);

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

/// Of each contract the first delivery that is not done, if it is due; and when the next of those that are not will be.
fn first(db: &mut Db, wish: &Wish, now: Timestamp) -> Result<Here, Fault> {
    type Line = (String, i64, i64, Option<i64>, String, String);
    let (mut busy, mut found, mut next) = (BTreeSet::new(), Vec::new(), None::<i64>);
    let mut after = (i64::MIN, String::new());
    'lines: loop {
        let beyond =
            deliveries::seq.gt(after.0).or(deliveries::seq.eq(after.0).and(deliveries::id.gt(after.1.clone())));
        let lines: Vec<Line> = deliveries::table
            .inner_join(outbox::table)
            .filter(deliveries::endpoint_id.eq(wish.endpoint_id.as_str()))
            .filter(open())
            .filter(beyond)
            .order((deliveries::seq, deliveries::id))
            .limit(PAGE as i64)
            .select((
                deliveries::id,
                deliveries::seq,
                deliveries::not_before,
                deliveries::lease_until,
                outbox::about,
                outbox::subject,
            ))
            .load(db)?;
        let last = lines.len() < PAGE;
        for (id, seq, not_before, lease, about, subject) in lines {
            let about = if about.is_empty() { &subject } else { &about };
            let free = about.split(' ').all(|one| !busy.contains(one));
            busy.extend(about.split(' ').map(str::to_owned));
            let at = not_before.max(lease.unwrap_or_default());
            if free && at <= now.micros() {
                found.push(id.clone());
                if found.len() >= wish.most as usize {
                    break 'lines;
                }
            } else if free {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
            after = (seq, id);
        }
        if last {
            break;
        }
    }
    let mut rows = Vec::with_capacity(found.len());
    for id in found {
        let row = deliveries::table.inner_join(outbox::table).filter(deliveries::id.eq(id)).select(COLUMNS);
        rows.push(Found(row.first(db)?));
    }
    Ok((rows, next.map(Timestamp::from_micros)))
}
