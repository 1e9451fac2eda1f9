//! Sessions: found by the hash of their cookie, ended by time, by their holder, or with what they rest on.

use diesel::prelude::*;
use schemas::id::PersonId;
use schemas::{Digest, R, Timestamp};

use super::tables::sessions;
use super::{Person, person};
use crate::Registry;
use crate::conn::Db;
use crate::error::Fault;

/// A session ends after twelve hours, whatever happens.
pub const SESSION_SECONDS: i64 = 12 * 3600;
/// A session without a call ends after half an hour.
const IDLE_SECONDS: i64 = 30 * 60;
/// The last call of a session is written down at most once a minute.
const SEEN_SECONDS: i64 = 60;

/// A session that is to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSession {
    /// SHA-256 of the cookie.
    pub token_sha256: Digest,
    /// `passkey` or `oidc`.
    pub method: String,
    /// Log index of the decision under which the member stands.
    pub standing: u64,
    /// Whether it begins with a passkey assertion.
    pub stepped_up: bool,
    /// SHA-256 of the cookie that the browser brought: that session ends.
    pub instead_of: Option<Digest>,
}

/// A session that has not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSession {
    /// SHA-256 of the cookie.
    pub token_sha256: Digest,
    /// `passkey` or `oidc`.
    pub method: String,
    /// Log index of the decision under which the member stood when it began.
    pub standing: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// The last passkey assertion.
    pub stepped_up_at: Option<Timestamp>,
    /// Whether its last call should be written down anew.
    pub stale: bool,
}

/// Sessions that began and were seen after these microseconds have not ended by time.
pub(super) fn alive(now: Timestamp) -> (i64, i64) {
    (now.plus_seconds(-SESSION_SECONDS).micros(), now.plus_seconds(-IDLE_SECONDS).micros())
}

impl Registry {
    /// The session of a cookie and its person, unless it has ended by time.
    pub fn session(&self, token_sha256: &Digest, now: Timestamp) -> R<Option<(StoredSession, Person)>> {
        type Row = (String, String, i64, i64, i64, Option<i64>);
        let columns = (
            sessions::person,
            sessions::method,
            sessions::standing,
            sessions::created_at,
            sessions::seen_at,
            sessions::stepped_up_at,
        );
        self.read(|db| {
            let (began, seen) = alive(now);
            let row = sessions::table
                .find(token_sha256.0.to_vec())
                .filter(sessions::created_at.gt(began))
                .filter(sessions::seen_at.gt(seen));
            let found: Option<Row> = row.select(columns).first(db).optional()?;
            let Some((holder, method, standing, created_at, seen_at, stepped_up_at)) = found else {
                return Ok(None);
            };
            let holder = person(db, &PersonId::parse(&holder)?)?;
            Ok(holder.filter(|holder| holder.suspended_at.is_none()).map(|holder| {
                let session = StoredSession {
                    token_sha256: *token_sha256,
                    method,
                    standing: u64::try_from(standing).unwrap_or_default(),
                    created_at: Timestamp::from_micros(created_at),
                    stepped_up_at: stepped_up_at.map(Timestamp::from_micros),
                    stale: seen_at <= now.plus_seconds(-SEEN_SECONDS).micros(),
                };
                (session, holder)
            }))
        })
    }

    /// Starts a session.
    pub fn start_session(&self, holder: &PersonId, new: NewSession, now: Timestamp) -> R<()> {
        let holder = holder.clone();
        self.write(move |db| start(db, &holder, &new, now))
    }

    /// Writes down that a session was used now.
    pub fn touch_session(&self, token_sha256: &Digest, now: Timestamp) -> R<()> {
        let token = token_sha256.0.to_vec();
        self.write(move |db| {
            diesel::update(sessions::table.find(&token)).set(sessions::seen_at.eq(now.micros())).execute(db)?;
            Ok(())
        })
    }

    /// Ends a session.
    pub fn end_session(&self, token_sha256: &Digest) -> R<()> {
        let token = token_sha256.0.to_vec();
        self.write(move |db| {
            diesel::delete(sessions::table.find(&token)).execute(db)?;
            Ok(())
        })
    }

    /// Ends every session of a person.
    pub fn end_sessions(&self, holder: &PersonId) -> R<()> {
        let holder = holder.to_string();
        self.write(move |db| {
            diesel::delete(sessions::table.filter(sessions::person.eq(&holder))).execute(db)?;
            Ok(())
        })
    }
}

pub(super) fn start(db: &mut Db, holder: &PersonId, new: &NewSession, now: Timestamp) -> Result<(), Fault> {
    let old = now.plus_seconds(-SESSION_SECONDS).micros();
    diesel::delete(sessions::table.filter(sessions::created_at.le(old))).execute(db)?;
    if let Some(before) = &new.instead_of {
        diesel::delete(sessions::table.find(before.0.to_vec())).execute(db)?;
    }
    let row = (
        sessions::token_sha256.eq(new.token_sha256.0.to_vec()),
        sessions::person.eq(holder.as_str()),
        sessions::method.eq(&new.method),
        sessions::standing.eq(i64::try_from(new.standing).unwrap_or(i64::MAX)),
        sessions::created_at.eq(now.micros()),
        sessions::seen_at.eq(now.micros()),
        sessions::stepped_up_at.eq(new.stepped_up.then_some(now.micros())),
    );
    diesel::insert_into(sessions::table).values(row).execute(db)?;
    Ok(())
}

pub(super) fn step_up(db: &mut Db, token_sha256: &Digest, now: Timestamp) -> Result<(), Fault> {
    let row = sessions::table.find(token_sha256.0.to_vec());
    diesel::update(row).set(sessions::stepped_up_at.eq(Some(now.micros()))).execute(db)?;
    Ok(())
}
