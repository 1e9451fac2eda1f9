//! What the contract service must be told: written with its cause, signed once, sent until it is taken.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::instruction::Standing;
use schemas::{Code, R, Timestamp, canonical};
use serde_json::Value;

use super::batches::pause;
use super::{Store, Tx, corrupt};
use crate::answer::is_of_the_key;
use crate::tables::answers;

/// Kinds of answers.
pub(crate) mod kind {
    /// `payment-callback.v1`.
    pub(crate) const CALLBACK: &str = "callback";
    /// `payment-unmatched.v1`.
    pub(crate) const UNMATCHED: &str = "unmatched";
}

/// An answer that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub seq: i64,
    pub kind: String,
    /// `<instruction>:<result>`, or a reference.
    pub subject: String,
    pub body: Value,
    pub envelope: Option<Vec<u8>>,
}

/// Owes an answer; one that is owed already stays as it is.
pub(super) fn owe(db: &mut SqliteConnection, kind: &str, subject: &str, body: &Value, now: Timestamp) -> Tx<()> {
    let known = answers::table.filter(answers::kind.eq(kind).and(answers::subject.eq(subject)));
    if known.count().get_result::<i64>(db)? > 0 {
        return Ok(());
    }
    let body = String::from_utf8(canonical::to_bytes(body)?).map_err(|_| corrupt("answer"))?;
    let row = (
        answers::kind.eq(kind),
        answers::subject.eq(subject),
        answers::body.eq(body),
        answers::attempts.eq(0),
        answers::not_before.eq(now.micros()),
    );
    diesel::insert_into(answers::table).values(row).execute(db)?;
    Ok(())
}

/// The subject of the answer that an instruction has reached a state.
pub(super) fn subject(instruction: &str, standing: Standing) -> String {
    format!("{instruction}:{}", standing.as_str())
}

/// A later word about an instruction says all that words about its way would: those that nobody has taken go.
pub(super) fn overtake(db: &mut SqliteConnection, instruction: &str) -> Tx<()> {
    let under_way = Standing::ALL.into_iter().filter(|standing| standing.is_under_way());
    let subjects: Vec<String> = under_way.map(|standing| subject(instruction, standing)).collect();
    let untaken = answers::table.filter(answers::kind.eq(kind::CALLBACK)).filter(answers::taken_at.is_null());
    diesel::delete(untaken.filter(answers::subject.eq_any(subjects))).execute(db)?;
    Ok(())
}

impl Open {
    /// Whether it tells of the way of an instruction alone.
    pub(crate) fn is_under_way(&self) -> bool {
        let word = self.subject.rsplit(':').next().and_then(Standing::parse);
        self.kind == kind::CALLBACK && word.is_some_and(Standing::is_under_way)
    }
}

impl Store {
    /// Answers whose time has come, in the order in which they came to be owed; of one instruction the first alone.
    pub(crate) fn open_answers(&self, now: Timestamp) -> R<Vec<Open>> {
        type Row = (i64, String, String, String, Option<Vec<u8>>, i64);
        let rows: Vec<Row> = self.act(|db| {
            let open = answers::table.filter(answers::taken_at.is_null().and(answers::refused.is_null()));
            let columns =
                (answers::seq, answers::kind, answers::subject, answers::body, answers::envelope, answers::not_before);
            Ok(open.order(answers::seq).limit(1000).select(columns).load(db)?)
        })?;
        let mut begun = std::collections::BTreeSet::new();
        let mut due = Vec::new();
        for (seq, kind, subject, body, envelope, not_before) in rows {
            let whose = subject.split(':').next().unwrap_or_default().to_owned();
            let first = kind == kind::UNMATCHED || begun.insert(whose);
            if first && not_before <= now.micros() {
                let body = canonical::parse_value(body.as_bytes()).map_err(|_| corrupt("answer"))?;
                due.push(Open { seq, kind, subject, body, envelope });
            }
        }
        Ok(due)
    }

    /// Keeps the signed bytes, before they are sent.
    pub(crate) fn keep_envelope(&self, seq: i64, envelope: &[u8]) -> R<()> {
        self.act(|db| {
            let row = answers::table.find(seq).filter(answers::envelope.is_null());
            diesel::update(row).set(answers::envelope.eq(Some(envelope))).execute(db)?;
            Ok(())
        })
    }

    /// The contract service took an answer.
    pub(crate) fn taken(&self, seq: i64, now: Timestamp) -> R<()> {
        self.act(|db| {
            diesel::update(answers::table.find(seq)).set(answers::taken_at.eq(Some(now.micros()))).execute(db)?;
            Ok(())
        })
    }

    /// The contract service refused an answer for good.
    pub(crate) fn refused(&self, seq: i64, code: Code) -> R<()> {
        self.act(|db| {
            diesel::update(answers::table.find(seq)).set(answers::refused.eq(Some(code.as_str()))).execute(db)?;
            Ok(())
        })
    }

    /// An answer was not taken; it is sent again later. Where that was for the key that signed it, it is signed anew then.
    pub(crate) fn later(&self, seq: i64, code: Code, schedule: &[u32], now: Timestamp) -> R<()> {
        self.act(|db| {
            let attempts: Option<i32> = answers::table.find(seq).select(answers::attempts).first(db).optional()?;
            // Overtaken while it was on its way.
            let Some(attempts) = attempts else { return Ok(()) };
            let later = now.plus_seconds(pause(schedule, attempts.saturating_add(1)));
            diesel::update(answers::table.find(seq))
                .set((
                    answers::attempts.eq(attempts.saturating_add(1)),
                    answers::not_before.eq(later.micros()),
                    answers::told.eq(Some(code.as_str())),
                ))
                .execute(db)?;
            if is_of_the_key(code) {
                diesel::update(answers::table.find(seq)).set(answers::envelope.eq(None::<Vec<u8>>)).execute(db)?;
            }
            Ok(())
        })
    }

    /// Answers that the contract service did not take so far or refused for good, the oldest first.
    pub(crate) fn unanswered(&self, limit: i64) -> R<Vec<Unanswered>> {
        type Row = (String, i32, Option<String>, Option<String>);
        let rows: Vec<Row> = self.act(|db| {
            let tried = answers::attempts.gt(0).or(answers::refused.is_not_null());
            let open = answers::table.filter(answers::taken_at.is_null()).filter(tried);
            let columns = (answers::subject, answers::attempts, answers::told, answers::refused);
            Ok(open.order(answers::seq).limit(limit).select(columns).load(db)?)
        })?;
        let made = |(subject, attempts, told, refused)| Unanswered { subject, attempts, told, refused };
        Ok(rows.into_iter().map(made).collect())
    }
}

/// An answer that was not taken.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub subject: String,
    pub attempts: i32,
    /// The code of the last refusal, after which it is sent again.
    pub told: Option<String>,
    /// The code of a refusal for good.
    pub refused: Option<String>,
}
