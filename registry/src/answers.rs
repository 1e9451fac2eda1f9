//! Answers kept under idempotency keys, written after the effect: nothing stands for a request that had none.

use diesel::prelude::*;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use crate::error::corrupt;
use crate::tables::idempotency_keys as keys;
use crate::{Begun, Registry};

/// An answer is kept for a day.
const ANSWER_SECONDS: i64 = 24 * 3600;

impl Registry {
    /// The answer kept under a key in the scope of client and route, if there is one. Another request under the same
    /// key is refused with `IDEMPOTENCY_KEY_REUSED`.
    pub fn answered(&self, client: &str, route: &str, key: &str, request: &Digest, now: Timestamp) -> R<Begun> {
        type Row = (Vec<u8>, Option<i32>, Option<Vec<u8>>);
        let old = now.plus_seconds(-ANSWER_SECONDS).micros();
        let found: Option<Row> = self.read(|db| {
            let row = keys::table.find((client, route, key)).filter(keys::created_at.ge(old));
            Ok(row.select((keys::request_sha256, keys::status, keys::answer)).first(db).optional()?)
        })?;
        match found {
            None => Ok(Begun::Fresh),
            Some((sha256, ..)) if sha256 != request.0 => {
                Err(Refusal::new(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request"))
            }
            Some((_, Some(status), Some(answer))) => {
                let status = u16::try_from(status).map_err(|_| corrupt("status"))?;
                Ok(Begun::Answered { status, answer })
            }
            Some(_) => Ok(Begun::Fresh),
        }
    }

    /// Keeps the answer to a request that has taken effect, for a day.
    pub fn keep_answer(
        &self,
        client: &str,
        route: &str,
        key: &str,
        request: &Digest,
        answer: (u16, &[u8]),
        now: Timestamp,
    ) -> R<()> {
        let (client, route, key) = (client.to_owned(), route.to_owned(), key.to_owned());
        let (request, status, body) = (request.0.to_vec(), i32::from(answer.0), answer.1.to_vec());
        self.write(move |db| {
            let row = (
                keys::client.eq(&client),
                keys::route.eq(&route),
                keys::key.eq(&key),
                keys::request_sha256.eq(&request),
                keys::status.eq(Some(status)),
                keys::answer.eq(Some(&body)),
                keys::created_at.eq(now.micros()),
            );
            diesel::delete(keys::table.find((&client, &route, &key))).execute(db)?;
            diesel::insert_into(keys::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// Forgets answers that are older than a day; says how many.
    pub fn purge_answers(&self, now: Timestamp) -> R<usize> {
        let old = now.plus_seconds(-ANSWER_SECONDS).micros();
        self.write(move |db| Ok(diesel::delete(keys::table.filter(keys::created_at.lt(old))).execute(db)?))
    }
}
