//! People who sign in, and the one-time rights by which they are enrolled.
//!
//! How they sign in is in `people::means`, challenges are in `people::ceremony`, sessions in `people::session`. Secrets
//! come in as hashes; what one secret opens is taken in the same transaction as what it makes.

mod ceremony;
mod means;
mod presence;
mod session;
mod tables;

pub use ceremony::Ceremony;
pub use means::{CodeHash, NewMeans, PasskeyUse, StoredPasskey};
pub use presence::Presence;
pub use session::{NewSession, SESSION_SECONDS, StoredSession};

use diesel::prelude::*;
use schemas::id::{Did, PersonId};
use schemas::person::Role;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use crate::Registry;
use crate::conn::{self, Db, Place};
use crate::error::{Fault, corrupt};
use tables::{enrolments, people, sessions};

/// Enrolment links of one participant that may be open at a time.
const OPEN_LINKS: i64 = 100;
/// People of one participant.
const MAX_PEOPLE: i64 = 1000;

/// A person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// The person.
    pub person_id: PersonId,
    /// The participant or SRO person it belongs to.
    pub member: Did,
    /// The name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When it was suspended.
    pub suspended_at: Option<Timestamp>,
}

/// A one-time right to enrol. Only the hash of its secret is known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnrolmentRight {
    /// SHA-256 of the secret.
    pub token_sha256: Digest,
    /// Whom it makes, or gives a further way to sign in.
    pub person_id: PersonId,
    /// The participant or SRO person that the person belongs to.
    pub member: Did,
    /// The name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Who made it: a DID, or the person itself by a recovery code.
    pub made_by: String,
    /// Not usable from here on.
    pub expires_at: Timestamp,
}

type PersonColumns =
    (people::id, people::member, people::name, people::roles, people::created_at, people::suspended_at);
const PERSON: PersonColumns =
    (people::id, people::member, people::name, people::roles, people::created_at, people::suspended_at);
type PersonRow = (String, String, String, String, i64, Option<i64>);

/// Keeps a right to enrol beside a service that may be running: no log is opened and no writer is fenced. The database
/// must exist and be up to date.
pub fn enrol_beside(url: &str, right: &EnrolmentRight, now: Timestamp) -> R<()> {
    let place = Place::parse(url)?;
    if let Place::Sqlite(path) = &place
        && !path.exists()
    {
        return Err(Refusal::new(Code::ConfigInvalid, "there is no database yet; start the service once"));
    }
    let mut db = place.connect()?;
    place.knows(&mut db)?;
    conn::write(&mut db, |db| add_right(db, right, now)).map_err(Fault::refusal)
}

impl Registry {
    /// Keeps a right to enrol. A participant has at most 100 open ones, and at most 1,000 people.
    pub fn add_enrolment(&self, right: &EnrolmentRight, now: Timestamp) -> R<()> {
        let right = right.clone();
        self.write(move |db| add_right(db, &right, now))
    }

    /// A right that can still be used.
    pub fn enrolment(&self, token_sha256: &Digest, now: Timestamp) -> R<Option<EnrolmentRight>> {
        self.read(|db| open_right(db, token_sha256, now))
    }

    /// Uses a right once: makes its person where it does not exist, adds the way to sign in, keeps the recovery codes,
    /// starts the session. `None` when the right was used or has expired meanwhile.
    pub fn enrol(
        &self,
        token_sha256: &Digest,
        means: NewMeans,
        codes: Vec<CodeHash>,
        session: NewSession,
        now: Timestamp,
    ) -> R<Option<Person>> {
        let token_sha256 = *token_sha256;
        self.write(move |db| {
            let Some(right) = open_right(db, &token_sha256, now)? else {
                return Ok(None);
            };
            let used = enrolments::used_at.eq(Some(now.micros()));
            diesel::update(enrolments::table.find(token_sha256.0.to_vec())).set(used).execute(db)?;
            let person = match person(db, &right.person_id)? {
                Some(person) if person.suspended_at.is_some() => return Ok(None),
                Some(person) => person,
                None => make_person(db, &right, now)?,
            };
            means::add(db, &person.person_id, &means, now)?;
            if !codes.is_empty() {
                means::replace_codes(db, &person.person_id, &codes)?;
            }
            session::start(db, &person.person_id, &session, now)?;
            Ok(Some(person))
        })
    }

    /// A person.
    pub fn person(&self, id: &PersonId) -> R<Option<Person>> {
        self.read(|db| person(db, id))
    }

    /// The people of these members, oldest first.
    pub fn people(&self, members: &[Did]) -> R<Vec<Person>> {
        let members: Vec<&str> = members.iter().map(Did::as_str).collect();
        self.read(|db| {
            let of = people::table.filter(people::member.eq_any(members));
            let rows: Vec<PersonRow> = of.order((people::created_at, people::id)).select(PERSON).load(db)?;
            rows.into_iter().map(read_person).collect()
        })
    }

    /// Suspends a person and ends its sessions. Its open rights to enrol no longer count.
    pub fn suspend_person(&self, id: &PersonId, now: Timestamp) -> R<()> {
        let id = id.to_string();
        self.write(move |db| {
            let open = people::table.find(&id).filter(people::suspended_at.is_null());
            diesel::update(open).set(people::suspended_at.eq(Some(now.micros()))).execute(db)?;
            diesel::delete(sessions::table.filter(sessions::person.eq(&id))).execute(db)?;
            diesel::delete(enrolments::table.filter(enrolments::person.eq(&id))).execute(db)?;
            Ok(())
        })
    }
}

fn add_right(db: &mut Db, right: &EnrolmentRight, now: Timestamp) -> Result<(), Fault> {
    diesel::delete(enrolments::table.filter(enrolments::expires_at.le(now.micros()))).execute(db)?;
    let own = enrolments::table.filter(enrolments::member.eq(right.member.as_str()));
    let open: i64 = own.filter(enrolments::used_at.is_null()).count().get_result(db)?;
    let people: i64 = people::table.filter(people::member.eq(right.member.as_str())).count().get_result(db)?;
    if open >= OPEN_LINKS || people >= MAX_PEOPLE {
        let sentence = format!("a participant has at most {OPEN_LINKS} open enrolment links and {MAX_PEOPLE} people");
        return Err(Refusal::new(Code::LimitExceeded, sentence).into());
    }
    let row = (
        enrolments::token_sha256.eq(right.token_sha256.0.to_vec()),
        enrolments::person.eq(right.person_id.as_str()),
        enrolments::member.eq(right.member.as_str()),
        enrolments::name.eq(&right.name),
        enrolments::roles.eq(roles_text(&right.roles)?),
        enrolments::made_by.eq(&right.made_by),
        enrolments::expires_at.eq(right.expires_at.micros()),
    );
    diesel::insert_into(enrolments::table).values(row).execute(db)?;
    Ok(())
}

fn open_right(db: &mut Db, token_sha256: &Digest, now: Timestamp) -> Result<Option<EnrolmentRight>, Fault> {
    type Row = (String, String, String, String, String, i64);
    let columns = (
        enrolments::person,
        enrolments::member,
        enrolments::name,
        enrolments::roles,
        enrolments::made_by,
        enrolments::expires_at,
    );
    let row = enrolments::table.find(token_sha256.0.to_vec());
    let open = row.filter(enrolments::used_at.is_null()).filter(enrolments::expires_at.gt(now.micros()));
    let found: Option<Row> = open.select(columns).first(db).optional()?;
    let Some((person, member, name, roles, made_by, expires_at)) = found else {
        return Ok(None);
    };
    Ok(Some(EnrolmentRight {
        token_sha256: *token_sha256,
        person_id: PersonId::parse(&person)?,
        member: Did::parse(&member)?,
        name,
        roles: read_roles(&roles)?,
        made_by,
        expires_at: Timestamp::from_micros(expires_at),
    }))
}

fn make_person(db: &mut Db, right: &EnrolmentRight, now: Timestamp) -> Result<Person, Fault> {
    let row = (
        people::id.eq(right.person_id.as_str()),
        people::member.eq(right.member.as_str()),
        people::name.eq(&right.name),
        people::roles.eq(roles_text(&right.roles)?),
        people::created_at.eq(now.micros()),
    );
    diesel::insert_into(people::table).values(row).execute(db)?;
    Ok(Person {
        person_id: right.person_id.clone(),
        member: right.member.clone(),
        name: right.name.clone(),
        roles: right.roles.clone(),
        created_at: now,
        suspended_at: None,
    })
}

fn person(db: &mut Db, id: &PersonId) -> Result<Option<Person>, Fault> {
    let row: Option<PersonRow> = people::table.find(id.as_str()).select(PERSON).first(db).optional()?;
    row.map(read_person).transpose()
}

fn read_person((id, member, name, roles, created_at, suspended_at): PersonRow) -> Result<Person, Fault> {
    Ok(Person {
        person_id: PersonId::parse(&id)?,
        member: Did::parse(&member)?,
        name,
        roles: read_roles(&roles)?,
        created_at: Timestamp::from_micros(created_at),
        suspended_at: suspended_at.map(Timestamp::from_micros),
    })
}

fn roles_text(roles: &[Role]) -> Result<String, Fault> {
    Ok(serde_json::to_string(roles).map_err(|_| corrupt("roles"))?)
}

fn read_roles(text: &str) -> Result<Vec<Role>, Fault> {
    Ok(serde_json::from_str(text).map_err(|_| corrupt("roles"))?)
}
