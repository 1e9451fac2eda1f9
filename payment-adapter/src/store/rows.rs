//! Rows and what they say.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::instruction::Standing;
use schemas::id::Did;
use schemas::money::{Currency, Minor};
use schemas::{R, Timestamp};

use super::{Store, Tx, corrupt};
use crate::instruction::{Act, Instruction};
use crate::tables::{answers, batches, instructions, unmatched};

/// An instruction with what is kept beside it.
#[derive(Clone, Debug)]
pub(crate) struct InstructionRow {
    pub instruction: Instruction,
    pub settled_as: Option<String>,
    pub batch: Option<String>,
    pub changed_at: Timestamp,
    pub note: Option<String>,
}

/// Money that belongs to no instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UnmatchedRow {
    pub reference: String,
    pub instruction: Option<String>,
    pub direction: String,
    pub amount_minor: Minor,
    pub currency: Currency,
    pub why: String,
    pub found_at: Timestamp,
}

/// How much there is of everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Instructions by state, in the order of the states.
    pub instructions: Vec<(Standing, i64)>,
    /// Answers that the contract service has not taken.
    pub untaken: i64,
    /// Answers that it refused for good.
    pub refused: i64,
    /// Movements of money that belong to no instruction.
    pub unmatched: i64,
}

type Row = (
    String,
    String,
    String,
    String,
    i64,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    Option<String>,
);

type Columns = (
    instructions::id,
    instructions::payer,
    instructions::payee,
    instructions::currency,
    instructions::amount_minor,
    instructions::act,
    instructions::from_block,
    instructions::state,
    instructions::reference,
    instructions::settled_as,
    instructions::batch,
    instructions::changed_at,
    instructions::note,
);

const COLUMNS: Columns = (
    instructions::id,
    instructions::payer,
    instructions::payee,
    instructions::currency,
    instructions::amount_minor,
    instructions::act,
    instructions::from_block,
    instructions::state,
    instructions::reference,
    instructions::settled_as,
    instructions::batch,
    instructions::changed_at,
    instructions::note,
);

fn read(row: Row) -> R<InstructionRow> {
    let (id, payer, payee, currency, amount, act, from_block, state, reference, settled_as, batch, changed, note) = row;
    let instruction = Instruction {
        id,
        payer: Did::parse(&payer)?,
        payee: Did::parse(&payee)?,
        currency: Currency::parse(&currency)?,
        amount_minor: Minor::new(amount)?,
        act: Act::parse(&act).ok_or_else(|| corrupt("act"))?,
        from_block,
        block_reference: None,
        due_at: None,
        standing: Standing::parse(&state).ok_or_else(|| corrupt("state"))?,
        reference,
    };
    Ok(InstructionRow { instruction, settled_as, batch, changed_at: Timestamp::from_micros(changed), note })
}

/// The instruction with this id.
pub(super) fn find(db: &mut SqliteConnection, id: &str) -> Tx<Option<InstructionRow>> {
    let row: Option<Row> = instructions::table.find(id).select(COLUMNS).first(db).optional()?;
    Ok(row.map(read).transpose()?)
}

/// The instructions of a batch, by id.
pub(super) fn of_batch(db: &mut SqliteConnection, batch: &str) -> Tx<Vec<InstructionRow>> {
    let rows: Vec<Row> =
        instructions::table.filter(instructions::batch.eq(batch)).order(instructions::id).select(COLUMNS).load(db)?;
    Ok(rows.into_iter().map(read).collect::<R<_>>()?)
}

/// What refunds of ours take out of a block: those that were handed over and did not fail.
pub(super) fn refunded(db: &mut SqliteConnection, block: &str) -> Tx<i64> {
    let amounts: Vec<i64> = instructions::table
        .inner_join(batches::table)
        .filter(instructions::from_block.eq(block))
        .filter(instructions::act.eq(Act::Refund.as_str()))
        .filter(instructions::state.ne(Standing::Failed.as_str()))
        .filter(batches::attempts.gt(0))
        .select(instructions::amount_minor)
        .load(db)?;
    Ok(amounts.into_iter().fold(0, i64::saturating_add))
}

/// Instructions in a state whose time has come, the oldest first.
pub(super) fn due(db: &mut SqliteConnection, state: Standing, now: Timestamp, limit: usize) -> Tx<Vec<InstructionRow>> {
    let all = instructions::table.filter(instructions::state.eq(state.as_str()));
    let due = all.filter(instructions::not_before.le(now.micros()));
    let due = match state {
        Standing::Created => due.filter(instructions::batch.is_null()).into_boxed(),
        _ => due.into_boxed(),
    };
    let order = (instructions::created_at, instructions::id);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Row> = due.order(order).limit(limit).select(COLUMNS).load(db)?;
    Ok(rows.into_iter().map(read).collect::<R<_>>()?)
}

impl Store {
    /// The newest instructions.
    pub(crate) fn newest(&self, limit: i64) -> R<Vec<InstructionRow>> {
        self.act(|db| {
            let order = (instructions::changed_at.desc(), instructions::id);
            let rows: Vec<Row> = instructions::table.order(order).limit(limit).select(COLUMNS).load(db)?;
            Ok(rows.into_iter().map(read).collect::<R<_>>()?)
        })
    }

    /// Counts of everything.
    pub(crate) fn counts(&self) -> R<Counts> {
        self.act(|db| {
            let mut counts = Counts::default();
            for standing in Standing::ALL {
                let of = instructions::table.filter(instructions::state.eq(standing.as_str()));
                counts.instructions.push((standing, of.count().get_result(db)?));
            }
            let open = answers::table.filter(answers::taken_at.is_null().and(answers::refused.is_null()));
            counts.untaken = open.count().get_result(db)?;
            counts.refused = answers::table.filter(answers::refused.is_not_null()).count().get_result(db)?;
            counts.unmatched = unmatched::table.count().get_result(db)?;
            Ok(counts)
        })
    }

    /// Money that belongs to no instruction, the newest first.
    pub(crate) fn unmatched(&self) -> R<Vec<UnmatchedRow>> {
        type Kept = (String, Option<String>, String, i64, String, String, i64);
        let rows: Vec<Kept> = self.act(|db| {
            Ok(unmatched::table.order((unmatched::found_at.desc(), unmatched::reference)).limit(1000).load(db)?)
        })?;
        let row = |(reference, instruction, direction, amount, currency, why, found): Kept| {
            Ok(UnmatchedRow {
                reference,
                instruction,
                direction,
                amount_minor: Minor::new(amount)?,
                currency: Currency::parse(&currency)?,
                why,
                found_at: Timestamp::from_micros(found),
            })
        };
        rows.into_iter().map(row).collect()
    }
}
