//! Deliveries once more: one, everything since a time, everything that was given up.

use diesel::prelude::*;
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Timestamp};

use super::answered::Answered;
use super::{NewDelivery, concerned, insert};
use crate::Registry;
use crate::conn::Db;
use crate::endpoint::Endpoint;
use crate::error::{Fault, corrupt};
use crate::tables::{deliveries, outbox};

/// Deliveries that one call sends again at most, and messages of one page.
const MOST: i64 = 1_000;
/// Deliveries that one transaction lets wait again, so that nobody else's write waits for long.
const STEP: usize = 200;
/// Pages that one call reads at most: messages of others stand between.
const PAGES: usize = 20;

/// What is sent once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries that wait again.
    pub deliveries: u64,
    /// Whether there are more.
    pub more: bool,
    /// When the newest message was made that was looked at.
    pub until: Option<Timestamp>,
}

impl Registry {
    /// Sends one delivery again, under its old id; whose it is was checked. `PAYMENT_STATE` for an instruction to pay that
    /// has its answer: it would be given up when it is taken.
    pub fn replay_delivery(&self, id: &str, now: Timestamp) -> R<()> {
        let row: (String, String, String) = self.read(|db| {
            let row = deliveries::table.inner_join(outbox::table).filter(deliveries::id.eq(id));
            Ok(row.select((deliveries::endpoint_id, outbox::topic, outbox::subject)).first(db)?)
        })?;
        let (endpoint, topic, subject) = (EndpointId::parse(&row.0)?, row.1, row.2);
        if Answered::of(self)?.goes_no_more(&endpoint, &topic, &subject) {
            let sentence = "This instruction has its answer; another payment system would pay it twice.";
            return Err(Refusal::new(Code::PaymentState, sentence));
        }
        let ids = [id.to_owned()];
        self.write(move |db| again(db, &ids, now))?;
        self.stir(&endpoint);
        Ok(())
    }

    /// Sends an endpoint every message of its owner's since a time, delivered or not, also those of before it was made.
    /// One call reads some thousand messages, whoever they concern; where there are more, `until` says how far it came. It
    /// writes some hundred deliveries in a transaction: what a crash cuts short is sent by the same call once more.
    pub fn replay_since(&self, endpoint: &Endpoint, since: Timestamp, now: Timestamp) -> R<Replayed> {
        let (state, listeners) = (self.state(), self.listeners()?);
        let endpoint_id = endpoint.endpoint_id.clone();
        type Message = (String, String, String, i64, i64);
        let (mut rows, mut from, mut more) = (Vec::new(), (since.micros(), String::new()), true);
        'pages: for _ in 0..PAGES {
            let page: Vec<Message> = self.read(|db| {
                let after =
                    outbox::created_at.gt(from.0).or(outbox::created_at.eq(from.0).and(outbox::id.gt(from.1.clone())));
                // The bare time lets an index lead there.
                let all = outbox::table.filter(outbox::created_at.ge(from.0)).filter(after);
                let all = all.filter(outbox::dispatched_at.is_not_null());
                let columns = (outbox::id, outbox::topic, outbox::audience, outbox::seq, outbox::created_at);
                Ok(all.order((outbox::created_at, outbox::id)).limit(MOST).select(columns).load(db)?)
            })?;
            let last = (page.len() as i64) < MOST;
            for (id, topic, audience, seq, at) in page {
                if rows.len() >= MOST as usize {
                    break 'pages;
                }
                from = (at, id.clone());
                let audience: Vec<String> = serde_json::from_str(&audience).map_err(|_| corrupt("audience"))?;
                let mut wanted = concerned(&state, &listeners, &topic, &audience);
                if wanted.any(|one| one.endpoint_id == endpoint_id) {
                    rows.push(NewDelivery::new(&id, seq, &endpoint_id, now));
                }
            }
            if last {
                more = false;
                break;
            }
        }
        for some in rows.chunks(STEP) {
            let some = some.to_vec();
            self.write(move |db| {
                insert(db, &some)?;
                let ids: Vec<String> = some.iter().map(|row| row.id.clone()).collect();
                again(db, &ids, now)
            })?;
            self.stir(&endpoint_id);
        }
        let deliveries = rows.len() as u64;
        let until = (!from.1.is_empty()).then(|| Timestamp::from_micros(from.0));
        Ok(Replayed { deliveries, more, until })
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
        let ids: Vec<String> = dead.into_iter().map(|(id, _)| id).collect();
        let replayed = Replayed { deliveries: ids.len() as u64, more, until };
        for some in ids.chunks(STEP) {
            let some = some.to_vec();
            self.write(move |db| again(db, &some, now))?;
            self.stir(endpoint);
        }
        Ok(replayed)
    }
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
