//! Deliveries as their owner sees them.

use diesel::prelude::*;
use schemas::id::{Did, EndpointId};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Registry;
use crate::conn::Db;
use crate::endpoint::DELETED;
use crate::error::{Fault, corrupt};
use crate::tables::{deliveries, outbox, webhook_endpoints};

/// Attempts that are kept of one delivery.
const KEPT: usize = 32;

/// An attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// When it ended.
    pub at: Timestamp,
    /// HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Milliseconds that it took.
    pub millis: u32,
}

/// The attempts so far and one more, as they are kept: the newest 32. What cannot be read holds nothing up.
pub fn with_attempt(history: &str, attempt: AttemptRow) -> R<String> {
    let mut all: Vec<AttemptRow> = serde_json::from_str(history).unwrap_or_default();
    all.push(attempt);
    let from = all.len().saturating_sub(KEPT);
    serde_json::to_string(&all[from..]).map_err(|_| corrupt("history of a delivery"))
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
    /// What it is about.
    pub subject: String,
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// `pending`, `delivered` or `dead`.
    pub state: &'static str,
    /// Attempts made.
    pub attempts: u32,
    /// Status of the last answer.
    pub last_status: Option<u16>,
    /// Milliseconds of the last attempt.
    pub last_millis: Option<u32>,
    /// The beginning of the last answer.
    pub last_answer: Option<String>,
    /// The newest attempts, oldest first.
    pub history: Vec<AttemptRow>,
    /// Not before this time, while pending.
    pub not_before: Timestamp,
    /// Its place among the owner's deliveries.
    pub cursor: String,
}

/// Which deliveries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of one endpoint.
    pub endpoint: Option<EndpointId>,
    /// `pending`, `delivered` or `dead`.
    pub state: Option<String>,
    /// Older than this one, by its cursor.
    pub before: Option<String>,
}

impl Registry {
    /// The newest deliveries to a participant's endpoints.
    pub fn deliveries(&self, owner: &Did, asked: &Asked, limit: u32) -> R<Vec<DeliveryRow>> {
        let own: Vec<EndpointId> = self.endpoints(owner)?.into_iter().map(|e| e.endpoint_id).collect();
        let own = own.into_iter().filter(|id| asked.endpoint.as_ref().is_none_or(|asked| asked == id));
        let before = asked.before.as_deref().map(place_of).transpose()?.unwrap_or((i64::MAX, String::new()));
        // Page by page of each endpoint, since an index leads from an endpoint to its newest deliveries.
        let mut rows = self.read(|db| {
            let mut rows = Vec::new();
            for endpoint in own {
                rows.extend(newest(db, &endpoint, asked.state.as_deref(), &before, i64::from(limit))?);
            }
            Ok(rows)
        })?;
        rows.sort_by(|a, b| (b.0.1, &b.0.0).cmp(&(a.0.1, &a.0.0)));
        rows.truncate(limit as usize);
        rows.into_iter().map(delivery).collect()
    }

    /// A delivery to one of a participant's endpoints; `NOT_FOUND` for any other.
    pub fn delivery(&self, owner: &Did, id: &str) -> R<DeliveryRow> {
        let row: Option<Row> = self.read(|db| {
            let all = deliveries::table.inner_join(outbox::table).inner_join(webhook_endpoints::table);
            let own = all.filter(deliveries::id.eq(id)).filter(webhook_endpoints::owner.eq(owner.as_str()));
            let why = webhook_endpoints::disabled_why;
            let own = own.filter(why.is_null().or(why.ne(DELETED)));
            Ok(own.select(COLUMNS).first(db).optional()?)
        })?;
        delivery(row.ok_or_else(|| Refusal::new(Code::NotFound, "you have no such delivery"))?)
    }
}

type Row = (Which, How);
type Which = (String, i64, String, String, String, String);
type How = (Option<i64>, Option<i64>, i32, Option<i32>, Option<i32>, Option<String>, String, i64);
type Columns = (
    (deliveries::id, deliveries::seq, deliveries::outbox_id, outbox::topic, outbox::subject, deliveries::endpoint_id),
    (
        deliveries::done_at,
        deliveries::dead_at,
        deliveries::attempts,
        deliveries::last_status,
        deliveries::last_millis,
        deliveries::last_answer,
        deliveries::history,
        deliveries::not_before,
    ),
);
const COLUMNS: Columns = (
    (deliveries::id, deliveries::seq, deliveries::outbox_id, outbox::topic, outbox::subject, deliveries::endpoint_id),
    (
        deliveries::done_at,
        deliveries::dead_at,
        deliveries::attempts,
        deliveries::last_status,
        deliveries::last_millis,
        deliveries::last_answer,
        deliveries::history,
        deliveries::not_before,
    ),
);

fn newest(
    db: &mut Db,
    endpoint: &EndpointId,
    state: Option<&str>,
    before: &(i64, String),
    limit: i64,
) -> Result<Vec<Row>, Fault> {
    let older = deliveries::seq.lt(before.0).or(deliveries::seq.eq(before.0).and(deliveries::id.lt(before.1.clone())));
    let all = deliveries::table
        .inner_join(outbox::table)
        .filter(deliveries::endpoint_id.eq(endpoint.as_str()))
        .filter(older)
        .order((deliveries::seq.desc(), deliveries::id.desc()))
        .limit(limit)
        .select(COLUMNS);
    let (done, dead) = (deliveries::done_at.is_not_null(), deliveries::dead_at.is_not_null());
    Ok(match state {
        Some("delivered") => all.filter(done).load(db)?,
        Some("dead") => all.filter(dead).load(db)?,
        Some(_) => all.filter(super::lease::open()).load(db)?,
        None => all.load(db)?,
    })
}

/// The place that a cursor names.
fn place_of(cursor: &str) -> R<(i64, String)> {
    let bad = || Refusal::new(Code::MalformedId, "this is no cursor of a list of deliveries").at("cursor");
    let (seq, id) = cursor.split_once('-').ok_or_else(bad)?;
    Ok((seq.parse().map_err(|_| bad())?, id.to_owned()))
}

fn delivery(row: Row) -> R<DeliveryRow> {
    let (delivery_id, seq, message_id, topic, subject, endpoint_id) = row.0;
    let (done, dead, attempts, status, millis, last_answer, history, not_before) = row.1;
    let state = match (done, dead) {
        (Some(_), _) => "delivered",
        (None, Some(_)) => "dead",
        (None, None) => "pending",
    };
    Ok(DeliveryRow {
        cursor: format!("{seq}-{delivery_id}"),
        delivery_id,
        message_id,
        topic,
        subject,
        endpoint_id: EndpointId::parse(&endpoint_id)?,
        state,
        attempts: attempts.unsigned_abs(),
        last_status: status.and_then(|s| u16::try_from(s).ok()),
        last_millis: millis.and_then(|m| u32::try_from(m).ok()),
        last_answer,
        history: serde_json::from_str(&history).map_err(|_| corrupt("history of a delivery"))?,
        not_before: Timestamp::from_micros(not_before),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_attempts_are_kept() {
        let mut history = "[]".to_owned();
        for n in 0..40 {
            let attempt = AttemptRow { at: Timestamp::from_seconds(n), status: Some(500), millis: 7 };
            history = with_attempt(&history, attempt).unwrap();
        }
        let kept: Vec<AttemptRow> = serde_json::from_str(&history).unwrap();
        assert_eq!((kept.len(), kept[0].at.seconds(), kept[31].at.seconds()), (KEPT, 8, 39));
        assert_eq!(with_attempt("no list", kept[0]).unwrap(), with_attempt("[]", kept[0]).unwrap());
    }

    #[test]
    fn a_cursor_is_read_or_refused() {
        assert_eq!(place_of("12-dlv_x").unwrap(), (12, "dlv_x".into()));
        for bad in ["", "dlv_x", "x-dlv"] {
            assert_eq!(place_of(bad).unwrap_err().code, Code::MalformedId, "{bad}");
        }
    }
}
