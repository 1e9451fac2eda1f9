//! Webhook endpoints with the secrets that sign what is sent to them.

use diesel::prelude::*;
use schemas::id::{Did, EndpointId};
use schemas::{Code, R, Refusal, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::webhook_endpoints as endpoints;

/// Endpoints of one participant.
const MAX_ENDPOINTS: i64 = 20;

/// An endpoint. Debug shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Whose.
    pub owner: Did,
    /// Where messages go.
    pub url: String,
    /// Types of messages wanted.
    pub events: Vec<String>,
    /// Key of the v1 HMAC.
    pub secret: Vec<u8>,
    /// Seed of the v1a Ed25519 key.
    pub seed: [u8; 32],
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was switched off.
    pub disabled_at: Option<Timestamp>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({} of {})", self.endpoint_id, self.owner)
    }
}

pub(crate) type Row = (String, String, String, String, Vec<u8>, Vec<u8>, i64, Option<i64>);
type Columns = (
    endpoints::id,
    endpoints::owner,
    endpoints::url,
    endpoints::events,
    endpoints::secret,
    endpoints::seed,
    endpoints::created_at,
    endpoints::disabled_at,
);
pub(crate) const COLUMNS: Columns = (
    endpoints::id,
    endpoints::owner,
    endpoints::url,
    endpoints::events,
    endpoints::secret,
    endpoints::seed,
    endpoints::created_at,
    endpoints::disabled_at,
);

impl Registry {
    /// Adds an endpoint; a participant has at most 20 that are active.
    pub fn add_endpoint(&self, endpoint: &Endpoint) -> R<()> {
        let endpoint = endpoint.clone();
        self.write(move |db| {
            let own = endpoints::table
                .filter(endpoints::owner.eq(endpoint.owner.as_str()))
                .filter(endpoints::disabled_at.is_null());
            if own.count().get_result::<i64>(db)? >= MAX_ENDPOINTS {
                return Err(Refusal::new(Code::LimitExceeded, "a participant has at most 20 active endpoints").into());
            }
            let row = (
                endpoints::id.eq(endpoint.endpoint_id.as_str()),
                endpoints::owner.eq(endpoint.owner.as_str()),
                endpoints::url.eq(&endpoint.url),
                endpoints::events.eq(serde_json::to_string(&endpoint.events).map_err(|_| corrupt("events"))?),
                endpoints::secret.eq(&endpoint.secret),
                endpoints::seed.eq(endpoint.seed.to_vec()),
                endpoints::created_at.eq(endpoint.created_at.micros()),
            );
            diesel::insert_into(endpoints::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Switches an endpoint off.
    pub fn disable_endpoint(&self, id: &EndpointId, now: Timestamp) -> R<()> {
        let id = id.to_string();
        self.write(move |db| {
            diesel::update(endpoints::table.find(&id))
                .set(endpoints::disabled_at.eq(Some(now.micros())))
                .execute(db)?;
            Ok(())
        })
    }

    /// A participant's endpoints, oldest first.
    pub fn endpoints(&self, owner: &Did) -> R<Vec<Endpoint>> {
        let rows: Vec<Row> = self.read(|db| {
            let own = endpoints::table.filter(endpoints::owner.eq(owner.as_str()));
            Ok(own.order((endpoints::created_at, endpoints::id)).select(COLUMNS).load(db)?)
        })?;
        rows.into_iter().map(read).collect()
    }
}

/// All endpoints that are switched on.
pub(crate) fn active(db: &mut Db) -> Result<Vec<Endpoint>, Fault> {
    let rows: Vec<Row> =
        endpoints::table.filter(endpoints::disabled_at.is_null()).order(endpoints::id).select(COLUMNS).load(db)?;
    rows.into_iter().map(|row| read(row).map_err(Fault::from)).collect()
}

pub(crate) fn read(row: Row) -> R<Endpoint> {
    let (id, owner, url, events, secret, seed, created_at, disabled_at) = row;
    Ok(Endpoint {
        endpoint_id: EndpointId::parse(&id)?,
        owner: Did::parse(&owner)?,
        url,
        events: serde_json::from_str(&events).map_err(|_| corrupt("events"))?,
        secret,
        seed: seed.try_into().map_err(|_| corrupt("endpoint seed"))?,
        created_at: Timestamp::from_micros(created_at),
        disabled_at: disabled_at.map(Timestamp::from_micros),
    })
}
