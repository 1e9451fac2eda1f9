//! Sessions: a cookie, a nonce that is good once, and what the guest has shown. In memory, bounded, minutes long.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use attestation::guest::GuestTranscript;
use schemas::evidence::{Evidence, EvidenceKind};
use schemas::id::{ContractId, DatasetId, RunId};
use schemas::jwk::Jwk;
use schemas::release::ReleasedDataset;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};

/// A session that ended is remembered this long, for a clear answer.
const REMEMBERED_SECONDS: i64 = 600;

/// A guest that has shown accepted evidence.
pub(crate) struct Guest {
    pub evidence: Evidence,
    pub transcript: GuestTranscript,
    /// The challenge's bytes.
    pub nonce: Bytes,
    pub init_data: Option<Digest>,
    pub key: Jwk,
    /// The end of its session.
    pub until: Timestamp,
    /// What was fetched under each contract. Held while a fetch goes on: one at a time in a session.
    pub fetched: Mutex<BTreeMap<(ContractId, DatasetId), Fetched>>,
}

/// What a session has fetched and paid for.
#[derive(Clone)]
pub(crate) struct Fetched {
    /// The key, and the version of the contract that was charged for it.
    pub released: ReleasedDataset,
    /// The run under which it was charged.
    pub run_id: RunId,
    /// How often keys of this dataset were fetched under this contract, in any version.
    pub times: u32,
}

/// What a session was told and asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub nonce: Bytes,
    pub kind: EvidenceKind,
    /// The end of the session.
    pub until: Timestamp,
}

struct Session {
    asked: Asked,
    /// The challenge is good until here.
    challenge_until: Timestamp,
    used: bool,
    guest: Option<Arc<Guest>>,
    /// The id of its token.
    jti: Option<String>,
}

/// What comes with a request for a key.
pub(crate) enum Credential {
    /// The cookie.
    Session(String),
    /// The id of a token that this service issued.
    Token(String),
}

/// All sessions, by the digest of their cookie.
pub(crate) struct Sessions {
    open: Mutex<HashMap<Digest, Session>>,
    most: usize,
}

fn of(cookie: &str) -> Digest {
    Digest::of(cookie.as_bytes())
}

fn unknown() -> Refusal {
    Refusal::new(Code::KbsSessionUnknown, "no such session; ask for a challenge")
}

fn living(until: Timestamp, now: Timestamp) -> R<()> {
    if now < until {
        return Ok(());
    }
    Err(Refusal::new(Code::KbsSessionExpired, "the session ended; ask for a challenge"))
}

impl Guest {
    /// Requires that its session has not ended.
    pub fn living(&self, now: Timestamp) -> R<()> {
        living(self.until, now)
    }
}

impl Sessions {
    /// None yet, and never more than this.
    pub fn new(most: u32) -> Sessions {
        Sessions { open: Mutex::new(HashMap::new()), most: most as usize }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A new session: its cookie and nonce. `RATE_LIMITED` while too many are open.
    pub fn begin(
        &self,
        kind: EvidenceKind,
        challenge_seconds: u32,
        seconds: u32,
        now: Timestamp,
    ) -> R<(String, Bytes)> {
        let cookie = Bytes(signing::signer::random::<32>()?.to_vec()).text();
        let nonce = Bytes(signing::signer::random::<32>()?.to_vec());
        let mut all = self.all();
        all.retain(|_, s| now < s.asked.until.plus_seconds(REMEMBERED_SECONDS));
        if all.len() >= self.most {
            all.retain(|_, s| now < s.asked.until);
        }
        if all.len() >= self.most {
            return Err(Refusal::new(Code::RateLimited, "too many sessions are open; come again later"));
        }
        let until = now.plus_seconds(i64::from(seconds));
        let challenge_until = now.plus_seconds(i64::from(challenge_seconds.min(seconds)));
        let asked = Asked { nonce: nonce.clone(), kind, until };
        all.insert(of(&cookie), Session { asked, challenge_until, used: false, guest: None, jti: None });
        Ok((cookie, nonce))
    }

    /// Uses the session's nonce up: succeeds once, whatever comes with it.
    pub fn consume(&self, cookie: &str, now: Timestamp) -> R<Asked> {
        let mut all = self.all();
        let session = all.get_mut(&of(cookie)).ok_or_else(unknown)?;
        let before = std::mem::replace(&mut session.used, true);
        living(session.asked.until, now)?;
        if before {
            return Err(Refusal::new(Code::ChallengeUsed, "the challenge was used; ask for a new one"));
        }
        if now >= session.challenge_until {
            return Err(Refusal::new(Code::ChallengeExpired, "the challenge ran out; ask for a new one"));
        }
        Ok(session.asked.clone())
    }

    /// The session has shown what it is, and has a token of this id.
    pub fn attested(&self, cookie: &str, guest: Guest, jti: String) -> R<()> {
        let mut all = self.all();
        let session = all.get_mut(&of(cookie)).ok_or_else(unknown)?;
        session.guest = Some(Arc::new(guest));
        session.jti = Some(jti);
        Ok(())
    }

    /// The guest behind a request.
    pub fn guest(&self, credential: &Credential, now: Timestamp) -> R<Arc<Guest>> {
        let all = self.all();
        let session = match credential {
            Credential::Session(cookie) => all.get(&of(cookie)),
            Credential::Token(jti) => all.values().find(|s| s.jti.as_deref() == Some(jti)),
        };
        let session = session.ok_or_else(unknown)?;
        living(session.asked.until, now)?;
        let unattested = || Refusal::new(Code::KbsUnattested, "the session has shown no accepted evidence");
        session.guest.clone().ok_or_else(unattested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(sessions: &Sessions, now: i64) -> Result<String, Code> {
        let begun = sessions.begin(EvidenceKind::AzureSnp, 120, 300, Timestamp::from_micros(now * 1_000_000));
        begun.map(|(cookie, _)| cookie).map_err(|e| e.code)
    }

    #[test]
    fn no_more_sessions_than_said_until_one_ends() {
        let sessions = Sessions::new(2);
        let first = begin(&sessions, 0).unwrap();
        assert_ne!(begin(&sessions, 1).unwrap(), first);
        assert_eq!(begin(&sessions, 299), Err(Code::RateLimited));
        begin(&sessions, 300).unwrap();
        assert_eq!(begin(&sessions, 300), Err(Code::RateLimited));
    }

    #[test]
    fn a_nonce_is_good_once_and_for_its_time() {
        let sessions = Sessions::new(8);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let code = |cookie: &str, now: i64| sessions.consume(cookie, at(now)).map(drop).map_err(|e| e.code);
        let cookie = begin(&sessions, 0).unwrap();
        assert_eq!(code(&cookie, 119), Ok(()));
        assert_eq!(code(&cookie, 119), Err(Code::ChallengeUsed));
        let late = begin(&sessions, 0).unwrap();
        assert_eq!(code(&late, 120), Err(Code::ChallengeExpired));
        // Late once, used for good.
        assert_eq!(code(&late, 119), Err(Code::ChallengeUsed));
        assert_eq!(code(&begin(&sessions, 0).unwrap(), 300), Err(Code::KbsSessionExpired));
        assert_eq!(code("elsewhere", 0), Err(Code::KbsSessionUnknown));
    }
}
