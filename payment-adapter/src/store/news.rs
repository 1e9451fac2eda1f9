//! What the payment system told, applied in the transaction that keeps it: the state, the answer that follows from it,
//! and money that belongs to no instruction.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::instruction::{Kept, Standing, Told, Unmatched, Verdict, judge};
use schemas::money::{Currency, Minor};
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde_json::json;

use super::{Store, Tx, answers, rows};
use crate::instruction::{Act, result};
use crate::provider::{About, News};
use crate::tables::{arrivals, batches, heard, instructions, unmatched};

/// The direction of money that came back, as it is kept.
const RETURNED: &str = "returned";

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
        About::Instruction(id) => Ok(vec![to_one(db, Some(id), news, Side::Left, now)?]),
        About::Arrival(id) => {
            // Blocked money comes to the adapter's own account: that is the same payment, seen from its other end. Anything
            // else that quotes an id of ours is money that nobody instructed.
            let block = rows::find(db, id)?.is_some_and(|row| row.instruction.act == Act::Block);
            Ok(vec![if block {
                to_one(db, Some(id), news, Side::Arrived, now)?
            } else {
                to_one(db, None, news, Side::Left, now)?
            }])
        }
        About::Nobody => Ok(vec![to_one(db, None, news, Side::Left, now)?]),
        About::Batch { id, part } => {
            let of = rows::of_batch(db, id)?;
            let instructions: Vec<_> = of.into_iter().map(|row| row.instruction).collect();
            let parts = crate::iso::parts(&instructions);
            let chosen = parts.into_iter().enumerate().filter(|(at, _)| part.is_none_or(|part| part == at + 1));
            let ids: Vec<String> = chosen.flat_map(|(_, part)| part).map(|i| i.id.clone()).collect();
            if ids.is_empty() {
                return Ok(vec![Applied::Refused(Refusal::new(Code::PaymentUnknown, "no batch has this id"))]);
            }
            ids.iter().map(|id| of_whole(db, id, news, now)).collect()
        }
    }
}

/// Which end of a payment is told about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Where the money left.
    Left,
    /// Where it arrived.
    Arrived,
}

/// Applies a word about a whole file or part of it to one instruction. It names no amount: about what failed before it is
/// no news of money.
fn of_whole(db: &mut SqliteConnection, id: &str, news: &News, now: Timestamp) -> Tx<Applied> {
    let failed = rows::find(db, id)?.is_some_and(|row| row.instruction.standing == Standing::Failed);
    if failed && news.standing.moves_money() {
        let sentence = "a word about the whole file says nothing of an instruction that failed";
        return Ok(Applied::Refused(Refusal::new(Code::PaymentState, sentence)));
    }
    to_one(db, Some(id), news, Side::Left, now)
}

fn to_one(db: &mut SqliteConnection, id: Option<&str>, news: &News, side: Side, now: Timestamp) -> Tx<Applied> {
    let row = match id {
        Some(id) => rows::find(db, id)?,
        None => None,
    };
    let standing = if side == Side::Arrived { Standing::Settled } else { news.standing };
    let news = &match &row {
        Some(row) if news.in_all => match not_yet_explained(db, row, news)? {
            Some(rest) => rest,
            None => return Ok(Applied::Known),
        },
        _ => news.clone(),
    };
    let kept = match &row {
        Some(row) => Some(Kept {
            standing: row.instruction.standing,
            tried: tried(db, row.batch.as_deref())?,
            amount_minor: row.instruction.amount_minor,
            currency: row.instruction.currency,
            settled_as: match side {
                Side::Left => row.settled_as.clone(),
                Side::Arrived => arrived_as(db, &row.instruction.id)?,
            },
        }),
        None => None,
    };
    let act = row.as_ref().map(|row| row.instruction.act);
    let told = Told { standing, money: news.money, reference: news.reference.clone() };
    let verdict = match judge(kept.as_ref(), &told) {
        // Only a payment can be told to have come back; of a block or refund that is money that nobody expects.
        Ok(Verdict::Moves) if standing == Standing::Returned && act != Some(Act::Pay) => {
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
            move_on(db, &row, (news, standing), now)?;
            name(db, &row, news, standing, side)?;
            tracing::info!(instruction.id = row.instruction.id, state = standing.as_str(), "an instruction moved on");
            Ok(Applied::Moved(row.instruction.id, standing))
        }
        (Verdict::Known, Some(row)) => {
            name(db, &row, news, standing, side)?;
            Ok(Applied::Known)
        }
        (Verdict::Unmatched(why), row) => {
            suspend(db, row.map(|row| row.instruction.id).or(id.map(str::to_owned)), news, why, now)
        }
        (_, None) => Err(super::corrupt("verdict").into()),
    }
}

/// Keeps under which reference a settlement was told first, at either end.
fn name(db: &mut SqliteConnection, row: &rows::InstructionRow, news: &News, standing: Standing, side: Side) -> Tx<()> {
    let Some(reference) = news.reference.as_ref().filter(|_| standing == Standing::Settled) else { return Ok(()) };
    let id = &row.instruction.id;
    match side {
        Side::Left => {
            let unnamed = instructions::table.find(id).filter(instructions::settled_as.is_null());
            diesel::update(unnamed).set(instructions::settled_as.eq(Some(reference))).execute(db)?
        }
        Side::Arrived => {
            let named = (arrivals::instruction.eq(id), arrivals::reference.eq(reference));
            diesel::insert_or_ignore_into(arrivals::table).values(named).execute(db)?
        }
    };
    Ok(())
}

/// Under which reference blocked money was told to have arrived.
fn arrived_as(db: &mut SqliteConnection, id: &str) -> Tx<Option<String>> {
    Ok(arrivals::table.find(id).select(arrivals::reference).first(db).optional()?)
}

/// Of all that came back of a payment so far, what neither refunds of ours nor earlier words explain; none where nothing is
/// left. A payment that came back whole at once stays as it was told.
fn not_yet_explained(db: &mut SqliteConnection, row: &rows::InstructionRow, news: &News) -> Tx<Option<News>> {
    let Some((all, currency)) = news.money.filter(|(_, currency)| *currency == row.instruction.currency) else {
        return Ok(Some(news.clone()));
    };
    let own = rows::refunded(db, &row.instruction.id)?;
    let suspended: Vec<i64> = unmatched::table
        .filter(unmatched::instruction.eq(&row.instruction.id))
        .filter(unmatched::direction.eq(RETURNED))
        .filter(unmatched::currency.eq(currency.as_str()))
        .select(unmatched::amount_minor)
        .load(db)?;
    let returned = match row.instruction.standing {
        Standing::Returned => row.instruction.amount_minor.get(),
        _ => 0,
    };
    let before = suspended.into_iter().chain([own, returned]).fold(0i64, i64::saturating_add);
    if before == 0 {
        return Ok(Some(news.clone()));
    }
    let rest = all.get().saturating_sub(before);
    if rest <= 0 {
        return Ok(None);
    }
    let reference = news.reference.as_ref().map(|reference| format!("{reference}:{}", all.get()));
    Ok(Some(News { reference, money: Some((Minor::new(rest)?, currency)), ..news.clone() }))
}

/// Whether a batch was ever handed over, or is being.
fn tried(db: &mut SqliteConnection, batch: Option<&str>) -> Tx<bool> {
    let Some(batch) = batch else { return Ok(false) };
    let attempts: Option<i32> = batches::table.find(batch).select(batches::attempts).first(db).optional()?;
    Ok(attempts.is_some_and(|attempts| attempts > 0))
}

fn move_on(
    db: &mut SqliteConnection,
    row: &rows::InstructionRow,
    (news, standing): (&News, Standing),
    now: Timestamp,
) -> Tx<()> {
    let instruction = &row.instruction;
    diesel::update(instructions::table.find(&instruction.id))
        .set((
            instructions::state.eq(standing.as_str()),
            instructions::reference.eq(news.reference.clone().or(instruction.reference.clone())),
            instructions::not_before.eq(now.micros()),
            instructions::changed_at.eq(now.micros()),
            instructions::note.eq(&news.note),
        ))
        .execute(db)?;
    if let Some(result) = result(instruction.act, standing) {
        answers::overtake(db, &instruction.id)?;
        let reference = plain(&news.reference).or(plain(&instruction.reference));
        answers::owe(
            db,
            answers::kind::CALLBACK,
            &answers::subject(&instruction.id, standing),
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
    let direction = if news.standing == Standing::Returned { RETURNED } else { "paid" };
    let told = (direction, instruction.as_deref(), amount, currency);
    let reference = match plain(&news.reference) {
        Some(reference) => short(format!("{direction}:{reference}")),
        None => Digest::of(&canonical::to_bytes(&(told, why.as_str(), news.mark.as_deref()))?).to_string(),
    };
    let reference = match same(db, &reference, amount, currency)? {
        None => reference,
        Some(true) => return Ok(Applied::Known),
        // A reference that names another amount too is none: each amount gets one of its own, so that no money is lost.
        Some(false) => {
            let own = short(format!("{reference}:{currency}{}", amount.get()));
            match same(db, &own, amount, currency)? {
                None => own,
                Some(_) => return Ok(Applied::Known),
            }
        }
    };
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

/// Whether a reference is known, and with this amount.
fn same(db: &mut SqliteConnection, reference: &str, amount: Minor, currency: Currency) -> Tx<Option<bool>> {
    let columns = (unmatched::amount_minor, unmatched::currency);
    let known: Option<(i64, String)> = unmatched::table.find(reference).select(columns).first(db).optional()?;
    Ok(known.map(|(known, of)| known == amount.get() && of == currency.as_str()))
}

/// A reference of at most 100 characters; a longer one goes by its digest, since its beginning may be another one's too.
fn short(reference: String) -> String {
    if reference.chars().count() <= 100 { reference } else { Digest::of(reference.as_bytes()).to_string() }
}

/// A reference as the log takes it: 1 to 100 characters, none of them for control.
fn plain(reference: &Option<String>) -> Option<String> {
    let plain: String = reference.iter().flat_map(|r| r.chars()).filter(|c| !c.is_control()).take(100).collect();
    (!plain.is_empty()).then_some(plain)
}
