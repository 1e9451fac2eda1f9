//! Challenges: 32 random bytes, single use, consumed before anything that comes with them is verified.

use diesel::prelude::*;
use schemas::id::ChallengeId;
use schemas::release::{Challenge, ChallengeRequest};
use schemas::text::Bytes;
use schemas::{Code, Envelope, R, Refusal, Timestamp, canonical};

use crate::kms::Kms;
use crate::store::{Db, Tx};
use crate::tables::{challenge, challenge_contract, used_once};

/// The most contracts of one run.
const MAX_CONTRACTS: usize = 64;
/// Used and expired challenges are remembered this long, for a clear answer to those who come late; ids of requests and
/// assertions too, which count for minutes only.
const REMEMBERED_SECONDS: i64 = 86_400;

impl Kms {
    /// Draws a challenge for a run.
    pub fn challenge(&self, request: ChallengeRequest) -> R<Envelope<Challenge>> {
        let now = self.now();
        let run_id = request
            .run_id
            .ok_or_else(|| Refusal::new(Code::SchemaMismatch, "a key service does not mint runs").at("run_id"))?;
        let contracts = &request.contracts;
        if contracts.is_empty() || contracts.len() > MAX_CONTRACTS || !contracts.is_sorted_by(|a, b| a.id < b.id) {
            let sentence = "1 to 64 contracts are expected, sorted by id, each once";
            return Err(Refusal::new(Code::LimitExceeded, sentence).at("contracts"));
        }
        let challenge = Challenge {
            schema: "kms-challenge.v1".into(),
            registry: self.trust.registry.clone(),
            challenge_id: ChallengeId::new(uuid::Uuid::now_v7()),
            nonce: Bytes(signing::signer::random::<32>()?.to_vec()),
            aud: self.config.url.clone(),
            run_id,
            job_sha256: request.job_sha256,
            expires_at: now.plus_seconds(i64::from(self.config.challenge_seconds)),
            checkpoint: None,
        };
        let payload = canonical::to_bytes(&challenge)?;
        self.store.transact(|c| {
            forget_old(c, now)?;
            for contract in contracts {
                self.check_open(c, contract.id.as_str(), now)?;
            }
            let row = (
                challenge::challenge_id.eq(challenge.challenge_id.as_str()),
                challenge::payload.eq(&payload),
                challenge::expires_at.eq(challenge.expires_at.micros()),
                challenge::used.eq(0),
            );
            diesel::insert_into(challenge::table).values(row).execute(c)?;
            for contract in contracts {
                let row = (
                    challenge_contract::contract_id.eq(contract.id.as_str()),
                    challenge_contract::challenge_id.eq(challenge.challenge_id.as_str()),
                );
                diesel::insert_into(challenge_contract::table).values(row).execute(c)?;
            }
            Ok(())
        })?;
        signing::sign(&challenge, &self.signer, now)
    }

    fn check_open(&self, c: &mut Db, contract: &str, now: Timestamp) -> Tx<()> {
        let open: i64 = challenge_contract::table
            .inner_join(challenge::table)
            .filter(challenge_contract::contract_id.eq(contract))
            .filter(challenge::used.eq(0).and(challenge::expires_at.gt(now.micros())))
            .count()
            .get_result(c)?;
        if open >= i64::from(self.config.open_challenges_per_contract) {
            let sentence = format!("{open} challenges are open for {contract}; wait until they end");
            return Err(Refusal::new(Code::RateLimited, sentence).into());
        }
        Ok(())
    }

    /// Uses a challenge up: succeeds once, whatever is asked under it.
    pub(crate) fn consume(&self, id: &ChallengeId, now: Timestamp) -> R<Challenge> {
        self.store.transact(|c| {
            let open = challenge::table
                .find(id.as_str())
                .filter(challenge::used.eq(0).and(challenge::expires_at.gt(now.micros())));
            let taken = diesel::update(open).set(challenge::used.eq(1)).execute(c)?;
            let row = challenge::table.find(id.as_str()).select((challenge::payload, challenge::used));
            let row: Option<(Vec<u8>, i32)> = row.first(c).optional()?;
            match row {
                None => Err(Refusal::new(Code::ChallengeUnknown, "no such challenge; ask for one").into()),
                Some((payload, _)) if taken == 1 => Ok(canonical::parse_canonical(&payload)?),
                Some((_, 0)) => {
                    Err(Refusal::new(Code::ChallengeExpired, "the challenge ran out; ask for a new one").into())
                }
                Some(_) => Err(Refusal::new(Code::ChallengeUsed, "the challenge was used; ask for a new one").into()),
            }
        })
    }
}

fn forget_old(c: &mut Db, now: Timestamp) -> Tx<()> {
    let before = now.plus_seconds(-REMEMBERED_SECONDS).micros();
    diesel::delete(challenge::table.filter(challenge::expires_at.lt(before))).execute(c)?;
    diesel::delete(used_once::table.filter(used_once::at.lt(before))).execute(c)?;
    Ok(())
}
