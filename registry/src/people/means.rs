//! How people sign in: passkeys, accounts at identity providers, recovery codes.

use diesel::prelude::*;
use schemas::id::{PasskeyId, PersonId};
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::tables::{oidc_subjects, passkeys, recovery_codes};
use super::{EnrolmentRight, Person, add_right, person, session};
use crate::conn::Db;
use crate::error::Fault;
use crate::{NewSession, Registry};

/// Passkeys of one person.
const MAX_PASSKEYS: i64 = 20;

/// A way to sign in that is added.
#[derive(Clone, Debug)]
pub enum NewMeans {
    /// A passkey.
    Passkey(StoredPasskey),
    /// An account at an identity provider.
    Oidc {
        /// The issuer.
        issuer: String,
        /// Its name of the account.
        subject: String,
    },
}

/// A passkey. It holds a public key and no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredPasskey {
    /// The passkey.
    pub passkey_id: PasskeyId,
    /// The authenticator's id of it.
    pub credential: Vec<u8>,
    /// The name for its holder.
    pub label: String,
    /// Key, counter and flags, as the WebAuthn library writes them.
    pub passkey: String,
    /// How often it was used: a use counts only where this has not moved meanwhile.
    pub uses: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// A recovery code as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeHash {
    /// The part that finds it.
    pub selector: String,
    /// Argon2id of the rest.
    pub hash: Vec<u8>,
}

impl std::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeHash")
    }
}

type Columns = (
    passkeys::id,
    passkeys::credential,
    passkeys::label,
    passkeys::passkey,
    passkeys::uses,
    passkeys::created_at,
    passkeys::last_used_at,
);
const COLUMNS: Columns = (
    passkeys::id,
    passkeys::credential,
    passkeys::label,
    passkeys::passkey,
    passkeys::uses,
    passkeys::created_at,
    passkeys::last_used_at,
);
type Row = (String, Vec<u8>, String, String, i64, i64, Option<i64>);

impl Registry {
    /// The passkey with this credential id, and whose it is.
    pub fn passkey(&self, credential: &[u8]) -> R<Option<(StoredPasskey, Person)>> {
        self.read(|db| {
            let row = passkeys::table.filter(passkeys::credential.eq(credential));
            let found: Option<(Row, String)> = row.select((COLUMNS, passkeys::person)).first(db).optional()?;
            let Some((row, holder)) = found else {
                return Ok(None);
            };
            let holder = person(db, &PersonId::parse(&holder)?)?;
            holder.map(|holder| Ok::<_, Fault>((read(row)?, holder))).transpose()
        })
    }

    /// A person's passkeys, oldest first.
    pub fn passkeys(&self, holder: &PersonId) -> R<Vec<StoredPasskey>> {
        self.read(|db| {
            let own = passkeys::table.filter(passkeys::person.eq(holder.as_str()));
            let rows: Vec<Row> = own.order((passkeys::created_at, passkeys::id)).select(COLUMNS).load(db)?;
            rows.into_iter().map(read).collect()
        })
    }

    /// Adds a passkey; a person has at most 20, and no credential stands twice.
    pub fn add_passkey(&self, holder: &PersonId, passkey: StoredPasskey, now: Timestamp) -> R<()> {
        let (holder, means) = (holder.clone(), NewMeans::Passkey(passkey));
        self.write(move |db| add(db, &holder, &means, now))
    }

    /// Counts a use of a passkey and does what the use is for, in one transaction. `false` when the passkey was used
    /// or removed meanwhile.
    pub fn use_passkey(&self, used: &StoredPasskey, then: PasskeyUse, now: Timestamp) -> R<bool> {
        let used = used.clone();
        self.write(move |db| {
            let same = passkeys::table.find(used.passkey_id.as_str()).filter(passkeys::uses.eq(used.uses));
            let changes = (
                passkeys::passkey.eq(&used.passkey),
                passkeys::uses.eq(used.uses.saturating_add(1)),
                passkeys::last_used_at.eq(Some(now.micros())),
            );
            if diesel::update(same).set(changes).execute(db)? != 1 {
                return Ok(false);
            }
            match &then {
                PasskeyUse::SignIn(holder, new) => session::start(db, holder, new, now)?,
                PasskeyUse::StepUp(token_sha256) => session::step_up(db, token_sha256, now)?,
            }
            Ok(true)
        })
    }

    /// Removes a passkey of a person. `false` when there is none like this; the only one stays (`FORBIDDEN`), also when
    /// two are removed at the same time.
    pub fn remove_passkey(&self, holder: &PersonId, id: &PasskeyId) -> R<bool> {
        let (holder, id) = (holder.to_string(), id.to_string());
        self.write(move |db| {
            let own = passkeys::table.find(&id).filter(passkeys::person.eq(&holder));
            if diesel::delete(own).execute(db)? != 1 {
                return Ok(false);
            }
            let left = passkeys::table.filter(passkeys::person.eq(&holder)).count().get_result::<i64>(db)?;
            if left == 0 {
                return Err(Refusal::new(Code::Forbidden, "this is your only passkey; add another one first").into());
            }
            Ok(true)
        })
    }

    /// The person with this account.
    pub fn oidc_person(&self, issuer: &str, subject: &str) -> R<Option<Person>> {
        self.read(|db| {
            let row = oidc_subjects::table.find((issuer, subject)).select(oidc_subjects::person);
            let Some(holder) = row.first::<String>(db).optional()? else {
                return Ok(None);
            };
            person(db, &PersonId::parse(&holder)?)
        })
    }

    /// Replaces a person's recovery codes.
    pub fn replace_recovery_codes(&self, holder: &PersonId, codes: Vec<CodeHash>) -> R<()> {
        let holder = holder.clone();
        self.write(move |db| replace_codes(db, &holder, &codes))
    }

    /// An unused recovery code, and whose it is.
    pub fn recovery_code(&self, selector: &str) -> R<Option<(CodeHash, Person)>> {
        self.read(|db| {
            let open = recovery_codes::table.find(selector).filter(recovery_codes::used_at.is_null());
            let columns = (recovery_codes::person, recovery_codes::hash);
            let Some((holder, hash)) = open.select(columns).first::<(String, Vec<u8>)>(db).optional()? else {
                return Ok(None);
            };
            let holder = person(db, &PersonId::parse(&holder)?)?;
            Ok(holder.map(|holder| (CodeHash { selector: selector.to_owned(), hash }, holder)))
        })
    }

    /// Uses a recovery code once: it becomes a right to enrol. `false` when it was used meanwhile.
    pub fn use_recovery_code(&self, selector: &str, right: &EnrolmentRight, now: Timestamp) -> R<bool> {
        let (selector, right) = (selector.to_owned(), right.clone());
        self.write(move |db| {
            let open = recovery_codes::table.find(&selector).filter(recovery_codes::used_at.is_null());
            if diesel::update(open).set(recovery_codes::used_at.eq(Some(now.micros()))).execute(db)? != 1 {
                return Ok(false);
            }
            add_right(db, &right, now)?;
            Ok(true)
        })
    }
}

/// What a passkey is used for.
#[derive(Clone, Debug)]
pub enum PasskeyUse {
    /// To sign in.
    SignIn(PersonId, NewSession),
    /// To step up the session with this token.
    StepUp(Digest),
}

pub(super) fn add(db: &mut Db, holder: &PersonId, means: &NewMeans, now: Timestamp) -> Result<(), Fault> {
    match means {
        NewMeans::Passkey(passkey) => {
            let own: i64 = passkeys::table.filter(passkeys::person.eq(holder.as_str())).count().get_result(db)?;
            if own >= MAX_PASSKEYS {
                return Err(Refusal::new(Code::LimitExceeded, "a person has at most 20 passkeys").into());
            }
            let same = passkeys::table.filter(passkeys::credential.eq(&passkey.credential));
            if same.count().get_result::<i64>(db)? > 0 {
                return Err(Refusal::new(Code::SignInRefused, "this passkey cannot be added").into());
            }
            let row = (
                passkeys::id.eq(passkey.passkey_id.as_str()),
                passkeys::person.eq(holder.as_str()),
                passkeys::credential.eq(&passkey.credential),
                passkeys::label.eq(&passkey.label),
                passkeys::passkey.eq(&passkey.passkey),
                passkeys::uses.eq(0),
                passkeys::created_at.eq(now.micros()),
            );
            diesel::insert_into(passkeys::table).values(row).execute(db)?;
        }
        NewMeans::Oidc { issuer, subject } => {
            if oidc_subjects::table.find((issuer, subject)).count().get_result::<i64>(db)? > 0 {
                return Err(Refusal::new(Code::SignInRefused, "this account cannot be added").into());
            }
            let row = (
                oidc_subjects::issuer.eq(issuer),
                oidc_subjects::subject.eq(subject),
                oidc_subjects::person.eq(holder.as_str()),
                oidc_subjects::created_at.eq(now.micros()),
            );
            diesel::insert_into(oidc_subjects::table).values(row).execute(db)?;
        }
    }
    Ok(())
}

pub(super) fn replace_codes(db: &mut Db, holder: &PersonId, codes: &[CodeHash]) -> Result<(), Fault> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::person.eq(holder.as_str()))).execute(db)?;
    for code in codes {
        let row = (
            recovery_codes::selector.eq(&code.selector),
            recovery_codes::person.eq(holder.as_str()),
            recovery_codes::hash.eq(&code.hash),
        );
        diesel::insert_into(recovery_codes::table).values(row).execute(db)?;
    }
    Ok(())
}

fn read((id, credential, label, passkey, uses, created_at, last_used_at): Row) -> Result<StoredPasskey, Fault> {
    Ok(StoredPasskey {
        passkey_id: PasskeyId::parse(&id)?,
        credential,
        label,
        passkey,
        uses,
        created_at: Timestamp::from_micros(created_at),
        last_used_at: last_used_at.map(Timestamp::from_micros),
    })
}
