//! Whether somebody is at the keyboard: the last passkey assertion of the people of a member.

use diesel::prelude::*;
use schemas::id::Did;
use schemas::{R, Timestamp};

use super::session::alive;
use super::tables::{passkeys, people, sessions};
use crate::Registry;

/// What is known of the people of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Presence {
    /// Whether any of them has a passkey.
    pub has_passkey: bool,
    /// The newest passkey assertion in a session that has not ended.
    pub stepped_up_at: Option<Timestamp>,
}

impl Registry {
    /// The presence of the people of a member. Those who are suspended are not there, but their passkeys are still asked
    /// for: who takes a member's key disarms it by no suspension.
    pub fn presence(&self, member: &Did, now: Timestamp) -> R<Presence> {
        self.read(|db| {
            let of_member = people::table.filter(people::member.eq(member.as_str()));
            let all: Vec<String> = of_member.select(people::id).load(db)?;
            let held: i64 = passkeys::table.filter(passkeys::person.eq_any(&all)).count().get_result(db)?;
            let ids: Vec<String> = of_member.filter(people::suspended_at.is_null()).select(people::id).load(db)?;
            let (began, seen) = alive(now);
            let newest: Option<i64> = sessions::table
                .filter(sessions::person.eq_any(&ids))
                .filter(sessions::created_at.gt(began))
                .filter(sessions::seen_at.gt(seen))
                .select(diesel::dsl::max(sessions::stepped_up_at))
                .first(db)?;
            Ok(Presence { has_passkey: held > 0, stepped_up_at: newest.map(Timestamp::from_micros) })
        })
    }
}
