//! Challenges of passkeys and identity providers: kept here, taken once.

use diesel::prelude::*;
use schemas::{Code, R, Refusal, Timestamp};

use super::tables::ceremonies;
use crate::Registry;

/// Challenges that may be open at a time, all kinds together: strangers make them, and they end within minutes.
const OPEN: i64 = 10_000;

/// A challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Ceremony {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: String,
    /// Whom or what it belongs to.
    pub subject: Option<String>,
    /// What its end is checked against.
    pub state: String,
    /// Not usable from here on.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Ceremony {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ceremony({} {})", self.kind, self.id)
    }
}

impl Registry {
    /// Keeps a challenge; those that have expired are forgotten.
    pub fn begin_ceremony(&self, ceremony: &Ceremony, now: Timestamp) -> R<()> {
        let ceremony = ceremony.clone();
        self.write(move |db| {
            diesel::delete(ceremonies::table.filter(ceremonies::expires_at.le(now.micros()))).execute(db)?;
            if ceremonies::table.count().get_result::<i64>(db)? >= OPEN {
                return Err(Refusal::new(Code::RateLimited, "too many people sign in now; try again later").into());
            }
            let row = (
                ceremonies::id.eq(&ceremony.id),
                ceremonies::kind.eq(&ceremony.kind),
                ceremonies::subject.eq(ceremony.subject.as_deref()),
                ceremonies::state.eq(&ceremony.state),
                ceremonies::expires_at.eq(ceremony.expires_at.micros()),
            );
            diesel::insert_into(ceremonies::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Takes a challenge of this kind: it counts once, whatever comes of it. Unknown, used and expired ones are refused
    /// alike.
    pub fn take_ceremony(&self, id: &str, kind: &'static str, now: Timestamp) -> R<Ceremony> {
        let id = id.to_owned();
        let unknown = "this challenge was used, has expired or was not issued here; begin again";
        self.write(move |db| {
            type Row = (Option<String>, String, i64);
            let row = ceremonies::table.find(&id).filter(ceremonies::kind.eq(kind));
            let columns = (ceremonies::subject, ceremonies::state, ceremonies::expires_at);
            let found: Option<Row> = row.select(columns).first(db).optional()?;
            diesel::delete(ceremonies::table.find(&id)).execute(db)?;
            Ok(found.filter(|(.., expires_at)| *expires_at > now.micros()).map(|(subject, state, expires_at)| {
                Ceremony {
                    id: id.clone(),
                    kind: kind.to_owned(),
                    subject,
                    state,
                    expires_at: Timestamp::from_micros(expires_at),
                }
            }))
        })?
        .ok_or_else(|| Refusal::new(Code::ChallengeUnknown, unknown))
    }
}
