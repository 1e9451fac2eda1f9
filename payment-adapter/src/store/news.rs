//! What the payment system told, applied in the transaction that keeps it: the state, the answer that follows from it,
//! and money that belongs to no instruction.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::instruction::{Kept, Standing, Told, Unmatched, Verdict, judge};
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde_json::json;

use super::{Store, Tx, answers, rows};
use crate::instruction::Act;
use crate::provider::{About, News};
use crate::tables::{batches, heard, instructions, unmatched};

/// What became of a piece of news.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Applied {
    /// The instruction has reached this state.
    Moved(String, Standing),
    /// Nothing is new.
    Known,
    /// Money for suspense.
    Unmatched(String, Unmatched),
    /// Out of order or about nothing that is known, and no money moved.
    Refused(Refusal),
}

impl Store {
    /// Keeps what was heard under an id and applies it, once; `None` where it is known. The same id with other bytes is
    /// refused (`REQUEST_REPLAYED`).
    pub(crate) fn hear(&self, id: &str, sha256: Digest, news: &[News], now: Timestamp) -> R<Option<Vec<Applied>>> {
        self.act(|db| {
            let known: Option<Vec<u8>> = heard::table.find(id).select(heard::sha256).first(db).optional()?;
            if let Some(known) = known {
                if known != sha256.0 {
                    return Err(Refusal::new(Code::RequestReplayed, "this id came with other bytes").into());
                }
                return Ok(None);
            }
            let row = (heard::id.eq(id), heard::sha256.eq(sha256.0.to_vec()), heard::heard_at.eq(now.micros()));
            diesel::insert_into(heard::table).values(row).execute(db)?;
            let mut applied = Vec::new();
            for one in news {
                applied.extend(apply(db, one, now)?);
            }
            Ok(Some(applied))
        })
    }
}

/// Applies one piece of news to all that it is about.
pub(super) fn apply(db: &mut SqliteConnection, news: &News, now: Timestamp) -> Tx<Vec<Applied>> {
    match &news.about {
        About::Instruction(id) => Ok(vec![to_one(db, Some(id), news, now)?]),
        About::Nobody => Ok(vec![to_one(db, None, news, now)?]),
        About::Batch { id, part } => {
            let of = rows::of_batch(db, id)?;
            let instructions: Vec<_> = of.into_iter().map(|row| row.instruction).collect();
            let parts = crate::iso::parts(&instructions);
            let chosen = parts.into_iter().enumerate().filter(|(at, _)| part.is_none_or(|part| part == at + 1));
            let ids: Vec<String> = chosen.flat_map(|(_, part)| part).map(|i| i.id.clone()).collect();
            if ids.is_empty() {
                return Ok(vec![Applied::Refused(Refusal::new(Code::PaymentUnknown, "no batch has this id"))]);
            }
            ids.iter().map(|id| to_one(db, Some(id), news, now)).collect()
        }
    }
}

fn to_one(db: &mut SqliteConnection, id: Option<&str>, news: &News, now: Timestamp) -> Tx<Applied> {
    let row = match id {
        Some(id) => rows::find(db, id)?,
        None => None,
    };
    let kept = match &row {
        Some(row) => Some(Kept {
            standing: row.instruction.standing,
            tried: tried(db, row.batch.as_deref())?,
            amount_minor: row.instruction.amount_minor,
            currency: row.instruction.currency,
            settled_as: row.settled_as.clone(),
        }),
        None => None,
    };
    let act = row.as_ref().map(|row| row.instruction.act);
    let told = Told { standing: news.standing, money: news.money, reference: news.reference.clone() };
    let verdict = match judge(kept.as_ref(), &told) {
        // Only a payment can be told to have come back; of a block or refund that is money that nobody expects.
        Ok(Verdict::Moves) if news.standing == Standing::Returned && act != Some(Act::Pay) => {
            Verdict::Unmatched(Unmatched::State)
        }
        Ok(verdict) => verdict,
        Err(refusal) => {
            tracing::info!(instruction.id = id, code = %refusal.code, cause = %refusal.sentence, "told out of order");
            return Ok(Applied::Refused(refusal));
        }
    };
    match (verdict, row) {
        (Verdict::Moves, Some(row)) => {
            move_on(db, &row, news, now)?;
            tracing::info!(
                instruction.id = row.instruction.id,
                state = news.standing.as_str(),
                "an instruction moved on"
            );
            Ok(Applied::Moved(row.instruction.id, news.standing))
        }
        (Verdict::Known, Some(row)) => {
            let named = news.reference.as_ref().filter(|_| news.standing == Standing::Settled);
            if let Some(reference) = named.filter(|_| row.settled_as.is_none()) {
                diesel::update(instructions::table.find(&row.instruction.id))
                    .set(instructions::settled_as.eq(Some(reference)))
                    .execute(db)?;
            }
            Ok(Applied::Known)
        }
        (Verdict::Unmatched(why), row) => {
            suspend(db, row.map(|row| row.instruction.id).or(id.map(str::to_owned)), news, why, now)
        }
        (_, None) => Err(super::corrupt("verdict").into()),
    }
}

/// Whether a batch was ever handed over, or is being.
fn tried(db: &mut SqliteConnection, batch: Option<&str>) -> Tx<bool> {
    let Some(batch) = batch else { return Ok(false) };
    let attempts: Option<i32> = batches::table.find(batch).select(batches::attempts).first(db).optional()?;
    Ok(attempts.is_some_and(|attempts| attempts > 0))
}

fn move_on(db: &mut SqliteConnection, row: &rows::InstructionRow, news: &News, now: Timestamp) -> Tx<()> {
    let instruction = &row.instruction;
    let settled = news.reference.clone().filter(|_| news.standing == Standing::Settled);
    diesel::update(instructions::table.find(&instruction.id))
        .set((
            instructions::state.eq(news.standing.as_str()),
            instructions::reference.eq(news.reference.clone().or(instruction.reference.clone())),
            instructions::settled_as.eq(settled.or(row.settled_as.clone())),
            instructions::not_before.eq(now.micros()),
            instructions::changed_at.eq(now.micros()),
            instructions::note.eq(&news.note),
        ))
        .execute(db)?;
    if let Some(result) = instruction.act.result(news.standing) {
        let reference = plain(&news.reference).or(plain(&instruction.reference));
        answers::owe(
            db,
            answers::kind::CALLBACK,
            &format!("{}:{}", instruction.id, news.standing.as_str()),
            &json!({
                "instruction_id": instruction.id, "result": result,
                "reference": reference.unwrap_or_else(|| instruction.id.clone()),
                "amount_minor": instruction.amount_minor, "currency": instruction.currency, "at": now.whole(),
            }),
            now,
        )?;
    }
    Ok(())
}

/// Keeps money that belongs to no instruction, once by its reference.
fn suspend(
    db: &mut SqliteConnection,
    instruction: Option<String>,
    news: &News,
    why: Unmatched,
    now: Timestamp,
) -> Tx<Applied> {
    let known = match &instruction {
        Some(id) => rows::find(db, id)?,
        None => None,
    };
    let own = known.map(|row| (row.instruction.amount_minor, row.instruction.currency));
    // Money without an amount can only be about an instruction that is known: its own.
    let Some((amount, currency)) = news.money.or(own) else { return Err(super::corrupt("amount").into()) };
    if amount.get() == 0 {
        return Ok(Applied::Known);
    }
    let direction = if news.standing == Standing::Returned { "returned" } else { "paid" };
    let reference = match plain(&news.reference) {
        Some(reference) => format!("{direction}:{reference}").chars().take(100).collect(),
        None => {
            let told = (direction, instruction.as_deref(), amount, currency, why.as_str());
            Digest::of(&canonical::to_bytes(&told)?).to_string()
        }
    };
    if unmatched::table.find(&reference).count().get_result::<i64>(db)? > 0 {
        return Ok(Applied::Known);
    }
    let row = (
        unmatched::reference.eq(&reference),
        unmatched::instruction.eq(&instruction),
        unmatched::direction.eq(direction),
        unmatched::amount_minor.eq(amount.get()),
        unmatched::currency.eq(currency.as_str()),
        unmatched::why.eq(why.as_str()),
        unmatched::found_at.eq(now.micros()),
    );
    diesel::insert_into(unmatched::table).values(row).execute(db)?;
    let mut body = json!({
        "reference": reference, "amount_minor": amount, "currency": currency, "direction": direction, "at": now.whole(),
    });
    if let (Some(id), Some(members)) = (instruction.filter(|id| crate::instruction::is_id(id)), body.as_object_mut()) {
        members.insert("instruction_id".into(), json!(id));
    }
    answers::owe(db, answers::kind::UNMATCHED, &reference, &body, now)?;
    tracing::warn!(reference, why = why.as_str(), "money moved that belongs to no instruction");
    Ok(Applied::Unmatched(reference, why))
}

/// A reference as the log takes it: 1 to 100 characters, none of them for control.
fn plain(reference: &Option<String>) -> Option<String> {
    let plain: String = reference.iter().flat_map(|r| r.chars()).filter(|c| !c.is_control()).take(100).collect();
    (!plain.is_empty()).then_some(plain)
}
