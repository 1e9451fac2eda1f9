//! Webhook endpoints with the secrets that sign what is sent to them.

use diesel::prelude::*;
use schemas::id::{Did, EndpointId};
use schemas::{Code, R, Refusal, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::{deliveries, webhook_endpoints as endpoints};

/// Endpoints of one participant that are switched on, and with those that are off.
const MAX_ENDPOINTS: i64 = 20;
const MAX_KEPT: i64 = 100;
/// Stands in `disabled_why` of an endpoint that was deleted: its row stays for what still refers to it, without secret.
pub(crate) const DELETED: &str = "deleted";
/// Deliveries that one transaction forgets.
const STEP: i64 = 500;

/// An endpoint. Debug shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Whose.
    pub owner: Did,
    /// Where messages go.
    pub url: String,
    /// Types of messages wanted: names, `family.*`, or `*`.
    pub events: Vec<String>,
    /// Key of the v1 HMAC.
    pub secret: Vec<u8>,
    /// Seed of the v1a Ed25519 key.
    pub seed: [u8; 32],
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was switched off.
    pub disabled_at: Option<Timestamp>,
    /// Whether what concerns one contract goes out one by one in the order of the log.
    pub ordered: bool,
    /// When it was paused; messages wait meanwhile.
    pub paused_at: Option<Timestamp>,
    /// Why it was switched off.
    pub disabled_why: Option<String>,
    /// Since when nothing was taken.
    pub failing_since: Option<Timestamp>,
    /// The secret and seed before these, and until when they sign too.
    pub former: Option<Former>,
}

/// A secret and seed that were replaced. Debug shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Former {
    /// Key of the v1 HMAC.
    pub secret: Vec<u8>,
    /// Seed of the v1a Ed25519 key.
    pub seed: [u8; 32],
    /// Until when they sign.
    pub until: Timestamp,
}

impl std::fmt::Debug for Former {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Former(until {})", self.until)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({} of {})", self.endpoint_id, self.owner)
    }
}

impl Endpoint {
    /// Whether a topic is one of those that the endpoint asks for.
    pub fn wants(&self, topic: &str) -> bool {
        let family = |event: &str| event.strip_suffix('*').is_some_and(|start| topic.starts_with(start));
        self.events.iter().any(|event| event == topic || family(event))
    }
}

type Row = (Basics, More);
type Basics = (String, String, String, String, Vec<u8>, Vec<u8>, i64, Option<i64>);
type More = (i32, Option<i64>, Option<String>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>);
type Columns = (
    (
        endpoints::id,
        endpoints::owner,
        endpoints::url,
        endpoints::events,
        endpoints::secret,
        endpoints::seed,
        endpoints::created_at,
        endpoints::disabled_at,
    ),
    (
        endpoints::ordered,
        endpoints::paused_at,
        endpoints::disabled_why,
        endpoints::failing_since,
        endpoints::former_secret,
        endpoints::former_seed,
        endpoints::former_until,
    ),
);
const COLUMNS: Columns = (
    (
        endpoints::id,
        endpoints::owner,
        endpoints::url,
        endpoints::events,
        endpoints::secret,
        endpoints::seed,
        endpoints::created_at,
        endpoints::disabled_at,
    ),
    (
        endpoints::ordered,
        endpoints::paused_at,
        endpoints::disabled_why,
        endpoints::failing_since,
        endpoints::former_secret,
        endpoints::former_seed,
        endpoints::former_until,
    ),
);

impl Registry {
    /// Adds an endpoint; a participant has at most 20 that are active, and 100 with those that are switched off.
    pub fn add_endpoint(&self, endpoint: &Endpoint) -> R<()> {
        let (id, endpoint) = (endpoint.endpoint_id.clone(), endpoint.clone());
        self.told_otherwise(&id, move |db| {
            room(db, &endpoint.owner)?;
            let own = endpoints::table.filter(endpoints::owner.eq(endpoint.owner.as_str()));
            let kept = own.filter(endpoints::disabled_why.is_null().or(endpoints::disabled_why.ne(DELETED)));
            if kept.count().get_result::<i64>(db)? >= MAX_KEPT {
                let sentence = "a participant has at most 100 endpoints, switched off or on; delete some";
                return Err(Refusal::new(Code::LimitExceeded, sentence).into());
            }
            let row = (
                endpoints::id.eq(endpoint.endpoint_id.as_str()),
                endpoints::owner.eq(endpoint.owner.as_str()),
                endpoints::url.eq(&endpoint.url),
                endpoints::events.eq(serde_json::to_string(&endpoint.events).map_err(|_| corrupt("events"))?),
                endpoints::secret.eq(&endpoint.secret),
                endpoints::seed.eq(endpoint.seed.to_vec()),
                endpoints::created_at.eq(endpoint.created_at.micros()),
                endpoints::ordered.eq(i32::from(endpoint.ordered)),
            );
            diesel::insert_into(endpoints::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Gives an endpoint another address, other types of messages, another order.
    pub fn change_endpoint(&self, id: &EndpointId, url: &str, events: &[String], ordered: bool) -> R<()> {
        let (endpoint, id, url) = (id, id.to_string(), url.to_owned());
        let events = serde_json::to_string(events).map_err(|_| corrupt("events"))?;
        self.told_otherwise(endpoint, move |db| {
            let changes =
                (endpoints::url.eq(&url), endpoints::events.eq(&events), endpoints::ordered.eq(i32::from(ordered)));
            diesel::update(endpoints::table.find(&id)).set(changes).execute(db)?;
            Ok(())
        })
    }

    /// Lets messages wait until [`Registry::resume_endpoint`].
    pub fn pause_endpoint(&self, id: &EndpointId, now: Timestamp) -> R<()> {
        let (endpoint, id) = (id, id.to_string());
        self.told_otherwise(endpoint, move |db| {
            diesel::update(endpoints::table.find(&id)).set(endpoints::paused_at.eq(Some(now.micros()))).execute(db)?;
            Ok(())
        })
    }

    /// Switches an endpoint on again, paused or disabled; what waits goes out, failures count anew.
    pub fn resume_endpoint(&self, endpoint: &Endpoint) -> R<()> {
        let (id, owner, off) =
            (endpoint.endpoint_id.to_string(), endpoint.owner.clone(), endpoint.disabled_at.is_some());
        self.told_otherwise(&endpoint.endpoint_id, move |db| {
            if off {
                room(db, &owner)?;
            }
            let none = None::<i64>;
            let changes = (
                endpoints::paused_at.eq(none),
                endpoints::disabled_at.eq(none),
                endpoints::disabled_why.eq(None::<String>),
                endpoints::failing_since.eq(none),
            );
            diesel::update(endpoints::table.find(&id)).set(changes).execute(db)?;
            Ok(())
        })
    }

    /// Switches an endpoint off; no more messages are meant for it, and what waits for it is not sent.
    pub fn disable_endpoint(&self, id: &EndpointId, why: &str, now: Timestamp) -> R<()> {
        let (endpoint, id, why) = (id, id.to_string(), why.to_owned());
        self.told_otherwise(endpoint, move |db| disable(db, &id, &why, now).map(drop))
    }

    /// Forgets an endpoint and its secrets at once, and then its deliveries, some hundred in a transaction, so that nobody
    /// else's write waits. What a crash leaves of them is forgotten with what is old.
    pub fn delete_endpoint(&self, id: &EndpointId, now: Timestamp) -> R<()> {
        let (endpoint, id) = (id, id.to_string());
        let gone = id.clone();
        self.told_otherwise(endpoint, move |db| {
            disable(db, &gone, DELETED, now)?;
            let changes = (
                endpoints::disabled_why.eq(Some(DELETED)),
                endpoints::url.eq(""),
                endpoints::events.eq("[]"),
                endpoints::secret.eq(Vec::<u8>::new()),
                endpoints::seed.eq(vec![0u8; 32]),
                endpoints::former_secret.eq(None::<Vec<u8>>),
                endpoints::former_seed.eq(None::<Vec<u8>>),
                endpoints::former_until.eq(None::<i64>),
            );
            diesel::update(endpoints::table.find(&gone)).set(changes).execute(db)?;
            Ok(())
        })?;
        loop {
            let own = id.clone();
            let forgotten = self.write(move |db| {
                let some = deliveries::table.filter(deliveries::endpoint_id.eq(&own)).limit(STEP);
                let some: Vec<String> = some.select(deliveries::id).load(db)?;
                Ok(diesel::delete(deliveries::table.filter(deliveries::id.eq_any(some))).execute(db)?)
            })?;
            if (forgotten as i64) < STEP {
                return Ok(());
            }
        }
    }

    /// Gives an endpoint a new secret and seed; the present ones sign beside them until a time. `STATE_TRANSITION` while
    /// others do that already, since their time was promised, and where somebody else rotated meanwhile; with a time that
    /// has come, all former ones end at once.
    pub fn rotate_endpoint(
        &self,
        endpoint: &Endpoint,
        secret: &[u8],
        seed: &[u8; 32],
        until: Timestamp,
        now: Timestamp,
    ) -> R<()> {
        let (id, secret, seed) = (endpoint.endpoint_id.to_string(), secret.to_vec(), seed.to_vec());
        let (old_secret, old_seed) = (endpoint.secret.clone(), endpoint.seed.to_vec());
        self.told_otherwise(&endpoint.endpoint_id, move |db| {
            let changes = (
                endpoints::secret.eq(&secret),
                endpoints::seed.eq(&seed),
                endpoints::former_secret.eq(Some(&old_secret)),
                endpoints::former_seed.eq(Some(&old_seed)),
                endpoints::former_until.eq(Some(until.micros())),
            );
            let mine = endpoints::table.find(&id).filter(endpoints::secret.eq(&old_secret));
            let over = endpoints::former_until.is_null().or(endpoints::former_until.le(now.micros()));
            let changed = match until <= now {
                true => diesel::update(mine).set(changes).execute(db)?,
                false => diesel::update(mine.filter(over)).set(changes).execute(db)?,
            };
            if changed == 0 {
                let sentence = "a former secret of this endpoint still signs; rotate when its time is over, or with \
                                overlap_seconds 0, which ends all former ones at once";
                return Err(Refusal::new(Code::StateTransition, sentence).into());
            }
            Ok(())
        })
    }

    /// A participant's endpoints, oldest first.
    pub fn endpoints(&self, owner: &Did) -> R<Vec<Endpoint>> {
        let rows: Vec<Row> = self.read(|db| {
            let own = endpoints::table.filter(endpoints::owner.eq(owner.as_str()));
            let kept = own.filter(endpoints::disabled_why.is_null().or(endpoints::disabled_why.ne(DELETED)));
            Ok(kept.order((endpoints::created_at, endpoints::id)).select(COLUMNS).load(db)?)
        })?;
        rows.into_iter().map(read).collect()
    }
}

/// All endpoints that are switched on.
pub(crate) fn switched_on(db: &mut Db) -> Result<Vec<Endpoint>, Fault> {
    let on = endpoints::table.filter(endpoints::disabled_at.is_null());
    let rows: Vec<Row> = on.order((endpoints::created_at, endpoints::id)).select(COLUMNS).load(db)?;
    rows.into_iter().map(|row| read(row).map_err(Fault::from)).collect()
}

fn room(db: &mut Db, owner: &Did) -> Result<(), Fault> {
    let own = endpoints::table.filter(endpoints::owner.eq(owner.as_str())).filter(endpoints::disabled_at.is_null());
    if own.count().get_result::<i64>(db)? >= MAX_ENDPOINTS {
        return Err(Refusal::new(Code::LimitExceeded, "a participant has at most 20 active endpoints").into());
    }
    Ok(())
}

/// Switches an endpoint off; false where it was.
pub(crate) fn disable(db: &mut Db, id: &str, why: &str, now: Timestamp) -> Result<bool, Fault> {
    let on = endpoints::table.find(id).filter(endpoints::disabled_at.is_null());
    let changes = (endpoints::disabled_at.eq(Some(now.micros())), endpoints::disabled_why.eq(Some(why)));
    Ok(diesel::update(on).set(changes).execute(db)? == 1)
}

/// The owner of an endpoint, and since when nothing was taken there.
pub(crate) fn standing(db: &mut Db, id: &str) -> Result<Option<(String, Option<Timestamp>)>, Fault> {
    let row = endpoints::table.find(id).select((endpoints::owner, endpoints::failing_since));
    let found: Option<(String, Option<i64>)> = row.first(db).optional()?;
    Ok(found.map(|(owner, since)| (owner, since.map(Timestamp::from_micros))))
}

/// Notes that an endpoint takes deliveries, or since when it does not.
pub(crate) fn fails(db: &mut Db, id: &str, since: Option<Timestamp>) -> Result<(), Fault> {
    let changes = endpoints::failing_since.eq(since.map(Timestamp::micros));
    match since {
        Some(_) => {
            let row = endpoints::table.find(id).filter(endpoints::failing_since.is_null());
            diesel::update(row).set(changes).execute(db)?
        }
        None => {
            let row = endpoints::table.find(id).filter(endpoints::failing_since.is_not_null());
            diesel::update(row).set(changes).execute(db)?
        }
    };
    Ok(())
}

fn read(row: Row) -> R<Endpoint> {
    let (id, owner, url, events, secret, own_seed, created_at, disabled_at) = row.0;
    let (ordered, paused_at, disabled_why, failing_since, former_secret, former_seed, former_until) = row.1;
    let seed = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| corrupt("endpoint seed"));
    let former = match (former_secret, former_seed, former_until) {
        (Some(secret), Some(bytes), Some(until)) => {
            Some(Former { secret, seed: seed(bytes)?, until: Timestamp::from_micros(until) })
        }
        _ => None,
    };
    Ok(Endpoint {
        endpoint_id: EndpointId::parse(&id)?,
        owner: Did::parse(&owner)?,
        url,
        events: serde_json::from_str(&events).map_err(|_| corrupt("events"))?,
        secret,
        seed: seed(own_seed)?,
        created_at: Timestamp::from_micros(created_at),
        disabled_at: disabled_at.map(Timestamp::from_micros),
        ordered: ordered != 0,
        paused_at: paused_at.map(Timestamp::from_micros),
        disabled_why,
        failing_since: failing_since.map(Timestamp::from_micros),
        former,
    })
}
