//! Things that count once: idempotency keys, ids of client assertions, challenges.

use diesel::prelude::*;
use schemas::contract::ContractRef;
use schemas::id::{ChallengeId, Did, RunId};
use schemas::log::CheckpointRef;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::{challenges, idempotency_keys as keys, jti_seen};

/// An answer is kept for a day.
const ANSWER_SECONDS: i64 = 24 * 3600;
/// A request that has had no answer for this long was lost with its process and may be made again.
const LOST_SECONDS: i64 = 60;
/// Challenges of one contract that may be open at a time.
pub const OPEN_CHALLENGES: i64 = 200;

/// What is known about an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: go on, then [`Registry::finish_request`].
    Fresh,
    /// The same request is being answered right now.
    Running,
    /// The same request was answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        answer: Vec<u8>,
    },
}

/// A challenge that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChallenge {
    /// The challenge.
    pub challenge_id: ChallengeId,
    /// 32 random bytes.
    pub nonce: Bytes,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// The contracts, sorted by id.
    pub contracts: Vec<ContractRef>,
    /// Not usable from here on.
    pub expires_at: Timestamp,
    /// The log as the challenge names it; the transcript repeats it.
    pub checkpoint: CheckpointRef,
}

impl Registry {
    /// Looks up or takes an idempotency key in the scope of client and route. Another request under the same key is
    /// refused with `IDEMPOTENCY_KEY_REUSED`.
    pub fn begin_request(&self, client: &str, route: &str, key: &str, request: &Digest, now: Timestamp) -> R<Begun> {
        let (client, route, key, request) = (client.to_owned(), route.to_owned(), key.to_owned(), *request);
        self.write(move |db| {
            let old = now.plus_seconds(-ANSWER_SECONDS).micros();
            let lost = now.plus_seconds(-LOST_SECONDS).micros();
            diesel::delete(keys::table.filter(keys::created_at.lt(old))).execute(db)?;
            let row = keys::table.find((&client, &route, &key));
            type Row = (Vec<u8>, Option<i32>, Option<Vec<u8>>, i64);
            let columns = (keys::request_sha256, keys::status, keys::answer, keys::created_at);
            let found: Option<Row> = row.select(columns).first(db).optional()?;
            if let Some((sha256, status, answer, created)) = found {
                if sha256 != request.0 {
                    return Err(Refusal::new(
                        Code::IdempotencyKeyReused,
                        "this Idempotency-Key was used for another request",
                    )
                    .into());
                }
                match (status, answer) {
                    (Some(status), Some(answer)) => {
                        let status = u16::try_from(status).map_err(|_| corrupt("status"))?;
                        return Ok(Begun::Answered { status, answer });
                    }
                    _ if created > lost => return Ok(Begun::Running),
                    _ => drop(diesel::delete(row).execute(db)?),
                }
            }
            let row = (
                keys::client.eq(&client),
                keys::route.eq(&route),
                keys::key.eq(&key),
                keys::request_sha256.eq(request.0.to_vec()),
                keys::created_at.eq(now.micros()),
            );
            diesel::insert_into(keys::table).values(row).execute(db)?;
            Ok(Begun::Fresh)
        })
    }

    /// Keeps the answer to a request that was begun.
    pub fn finish_request(&self, client: &str, route: &str, key: &str, status: u16, answer: &[u8]) -> R<()> {
        let (client, route, key, answer) = (client.to_owned(), route.to_owned(), key.to_owned(), answer.to_vec());
        self.write(move |db| {
            let changes = (keys::status.eq(Some(i32::from(status))), keys::answer.eq(Some(&answer)));
            diesel::update(keys::table.find((&client, &route, &key))).set(changes).execute(db)?;
            Ok(())
        })
    }

    /// Frees a key whose request failed on our side, so that it may be tried again.
    pub fn forget_request(&self, client: &str, route: &str, key: &str) -> R<()> {
        let (client, route, key) = (client.to_owned(), route.to_owned(), key.to_owned());
        self.write(move |db| {
            diesel::delete(keys::table.find((&client, &route, &key)).filter(keys::status.is_null())).execute(db)?;
            Ok(())
        })
    }

    /// Uses up the id of a client assertion; a second use is refused with `TOKEN_REPLAYED`.
    pub fn use_jti(&self, issuer: &Did, jti: &str, expires_at: Timestamp, now: Timestamp) -> R<()> {
        let (issuer, jti) = (issuer.to_string(), jti.to_owned());
        self.write(move |db| {
            diesel::delete(jti_seen::table.filter(jti_seen::expires_at.le(now.micros()))).execute(db)?;
            let seen: i64 = jti_seen::table.find((&issuer, &jti)).count().get_result(db)?;
            if seen > 0 {
                return Err(Refusal::new(Code::TokenReplayed, "this assertion was used already").into());
            }
            let row =
                (jti_seen::issuer.eq(&issuer), jti_seen::jti.eq(&jti), jti_seen::expires_at.eq(expires_at.micros()));
            diesel::insert_into(jti_seen::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Keeps a challenge; with [`OPEN_CHALLENGES`] open for one of its contracts it is refused with `RATE_LIMITED`.
    pub fn issue_challenge(&self, challenge: &StoredChallenge, now: Timestamp) -> R<()> {
        let challenge = challenge.clone();
        self.write(move |db| {
            // Used and expired ones are kept a day, so that a replay is told apart from an unknown challenge.
            let old = now.plus_seconds(-ANSWER_SECONDS).micros();
            diesel::delete(challenges::table.filter(challenges::expires_at.le(old))).execute(db)?;
            for contract in &challenge.contracts {
                let open = challenges::table
                    .filter(challenges::used_at.is_null())
                    .filter(challenges::expires_at.gt(now.micros()))
                    .filter(challenges::contracts.like(format!("%{}%", contract.sha256)));
                if open.count().get_result::<i64>(db)? >= OPEN_CHALLENGES {
                    return Err(Refusal::new(Code::RateLimited, "too many challenges of this contract are open").into());
                }
            }
            let row = (
                challenges::id.eq(challenge.challenge_id.as_str()),
                challenges::nonce.eq(&challenge.nonce.0),
                challenges::run_id.eq(challenge.run_id.as_str()),
                challenges::job_sha256.eq(challenge.job_sha256.0.to_vec()),
                challenges::contracts
                    .eq(serde_json::to_string(&challenge.contracts).map_err(|_| corrupt("contracts"))?),
                challenges::expires_at.eq(challenge.expires_at.micros()),
                challenges::checkpoint
                    .eq(serde_json::to_string(&challenge.checkpoint).map_err(|_| corrupt("checkpoint"))?),
            );
            diesel::insert_into(challenges::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Uses up a challenge before anything else is looked at. Unknown, used and expired ones are refused; an expired
    /// one is used up too.
    pub fn consume_challenge(&self, id: &ChallengeId, now: Timestamp) -> R<StoredChallenge> {
        let id = id.clone();
        let (fresh, found) = self.write(move |db| {
            let open = challenges::table.find(id.as_str()).filter(challenges::used_at.is_null());
            let fresh = diesel::update(open).set(challenges::used_at.eq(Some(now.micros()))).execute(db)? == 1;
            Ok((fresh, stored(db, &id)?))
        })?;
        let found = found.ok_or_else(|| Refusal::new(Code::ChallengeUnknown, "this challenge was not issued here"))?;
        if !fresh {
            return Err(Refusal::new(Code::ChallengeUsed, "this challenge was used already; ask for a new one"));
        }
        if found.expires_at <= now {
            return Err(Refusal::new(Code::ChallengeExpired, "this challenge has expired; ask for a new one"));
        }
        Ok(found)
    }
}

fn stored(db: &mut Db, id: &ChallengeId) -> Result<Option<StoredChallenge>, Fault> {
    type Row = (Vec<u8>, String, Vec<u8>, String, i64, String);
    let columns = (
        challenges::nonce,
        challenges::run_id,
        challenges::job_sha256,
        challenges::contracts,
        challenges::expires_at,
        challenges::checkpoint,
    );
    let row: Option<Row> = challenges::table.find(id.as_str()).select(columns).first(db).optional()?;
    let Some((nonce, run_id, job, contracts, expires_at, checkpoint)) = row else {
        return Ok(None);
    };
    Ok(Some(StoredChallenge {
        challenge_id: id.clone(),
        nonce: Bytes(nonce),
        run_id: RunId::parse(&run_id)?,
        job_sha256: Digest(job.try_into().map_err(|_| corrupt("job digest"))?),
        contracts: serde_json::from_str(&contracts).map_err(|_| corrupt("contracts"))?,
        expires_at: Timestamp::from_micros(expires_at),
        checkpoint: serde_json::from_str(&checkpoint).map_err(|_| corrupt("checkpoint"))?,
    }))
}
