//! Batches: put together before they are handed over, so that a repetition hands over the same.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use policies::instruction::Standing;
use schemas::{Digest, R, Timestamp, canonical};

use super::news::{Applied, apply};
use super::{Store, Tx, rows};
use crate::instruction::Instruction;
use crate::provider::{Batch, News, PaymentProvider};
use crate::tables::{batches, instructions};

/// Batches put together in one look.
const AT_ONCE: usize = 64;
/// Seconds until an instruction that is not ready is looked at again.
const UNREADY: i64 = 60;

impl Store {
    /// Puts batches together of the instructions that are due; returns how many.
    pub(crate) fn plan(&self, provider: &dyn PaymentProvider, now: Timestamp) -> R<usize> {
        self.act(|db| {
            let most = provider.batch_size().max(1);
            let mut ready = Vec::new();
            for row in rows::due(db, Standing::Created, now, most.saturating_mul(AT_ONCE).min(10_000))? {
                match provider.ready(&row.instruction) {
                    Ok(()) => ready.push(row),
                    Err(refusal) => wait(db, &row.instruction, &refusal.sentence, now)?,
                }
            }
            let mut planned = 0;
            for chunk in ready.chunks(most) {
                // A batch that could still grow waits for others, counted from its first instruction.
                let first = chunk.iter().map(|row| row.changed_at).min().unwrap_or(now);
                let gathers = i64::from(provider.gather_seconds());
                if chunk.len() < most && now < first.plus_seconds(gathers) {
                    continue;
                }
                let mut ids: Vec<&str> = chunk.iter().map(|row| row.instruction.id.as_str()).collect();
                ids.sort_unstable();
                let digest = Digest::of(&canonical::to_bytes(&(&ids, now.to_string()))?).to_string();
                let batch = digest.get(..32).unwrap_or_default().to_owned();
                let row = (
                    batches::id.eq(&batch),
                    batches::planned_at.eq(now.micros()),
                    batches::attempts.eq(0),
                    batches::not_before.eq(0),
                );
                diesel::insert_into(batches::table).values(row).execute(db)?;
                diesel::update(instructions::table.filter(instructions::id.eq_any(ids)))
                    .set((instructions::batch.eq(Some(&batch)), instructions::note.eq(None::<String>)))
                    .execute(db)?;
                planned += 1;
            }
            Ok(planned)
        })
    }

    /// The batches to be handed over now. That they are tried is kept first.
    pub(crate) fn take_batches(&self, now: Timestamp) -> R<Vec<Batch>> {
        self.act(|db| {
            let open = batches::table.filter(batches::handed_at.is_null().and(batches::not_before.le(now.micros())));
            let columns = (batches::id, batches::planned_at, batches::attempts);
            let open: Vec<(String, i64, i32)> = open
                .order((batches::planned_at, batches::id))
                .limit(i64::try_from(AT_ONCE).unwrap_or(i64::MAX))
                .select(columns)
                .load(db)?;
            let mut taken = Vec::new();
            for (id, planned_at, attempts) in open {
                diesel::update(batches::table.find(&id)).set(batches::attempts.eq(attempts + 1)).execute(db)?;
                let mut of = Vec::new();
                for row in rows::of_batch(db, &id)? {
                    let block = match &row.instruction.from_block {
                        Some(block) => rows::find(db, block)?,
                        None => None,
                    };
                    let block_reference = block.and_then(|row| row.instruction.reference);
                    of.push(Instruction { block_reference, ..row.instruction });
                }
                taken.push(Batch {
                    id,
                    planned_at: Timestamp::from_micros(planned_at),
                    again: attempts > 0,
                    instructions: of,
                });
            }
            Ok(taken)
        })
    }

    /// A batch was taken: what the payment system told about it applies, and the rest of it is submitted.
    pub(crate) fn handed(&self, batch: &Batch, news: &[News], now: Timestamp) -> R<Vec<Applied>> {
        self.act(|db| {
            let mut applied = Vec::new();
            for one in news {
                applied.extend(apply(db, one, now)?);
            }
            for row in rows::of_batch(db, &batch.id)? {
                if row.instruction.standing == Standing::Created {
                    applied.extend(apply(db, &News::of(&row.instruction.id, Standing::Submitted), now)?);
                }
            }
            diesel::update(batches::table.find(&batch.id))
                .set((batches::handed_at.eq(Some(now.micros())), batches::note.eq(None::<String>)))
                .execute(db)?;
            Ok(applied)
        })
    }

    /// A batch was not taken, or nobody knows; it is handed over again later.
    pub(crate) fn not_handed(&self, batch: &Batch, why: &str, schedule: &[u32], now: Timestamp) -> R<()> {
        self.act(|db| {
            let attempts: i32 = batches::table.find(&batch.id).select(batches::attempts).first(db)?;
            let later = now.plus_seconds(pause(schedule, attempts));
            diesel::update(batches::table.find(&batch.id))
                .set((batches::not_before.eq(later.micros()), batches::note.eq(Some(why))))
                .execute(db)?;
            diesel::update(instructions::table.filter(instructions::batch.eq(&batch.id)))
                .set(instructions::note.eq(Some(why)))
                .execute(db)?;
            Ok(())
        })
    }

    /// Instructions to ask the payment system about now.
    pub(crate) fn to_ask(&self, now: Timestamp) -> R<Vec<Instruction>> {
        self.act(|db| {
            let mut all = rows::due(db, Standing::Submitted, now, AT_ONCE)?;
            all.extend(rows::due(db, Standing::Accepted, now, AT_ONCE)?);
            Ok(all.into_iter().map(|row| row.instruction).collect())
        })
    }

    /// An instruction was asked about: what was told applies, and it is asked again after a while.
    pub(crate) fn asked(&self, id: &str, news: &[News], again_seconds: i64, now: Timestamp) -> R<Vec<Applied>> {
        self.act(|db| {
            let mut applied = Vec::new();
            for one in news {
                applied.extend(apply(db, one, now)?);
            }
            diesel::update(instructions::table.find(id))
                .set(instructions::not_before.eq(now.plus_seconds(again_seconds).micros()))
                .execute(db)?;
            Ok(applied)
        })
    }
}

/// Seconds before the next attempt after this many.
pub(super) fn pause(schedule: &[u32], attempts: i32) -> i64 {
    let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    schedule.get(at).or(schedule.last()).map_or(60, |seconds| i64::from(*seconds))
}

fn wait(db: &mut SqliteConnection, instruction: &Instruction, why: &str, now: Timestamp) -> Tx<()> {
    diesel::update(instructions::table.find(&instruction.id))
        .set((instructions::not_before.eq(now.plus_seconds(UNREADY).micros()), instructions::note.eq(Some(why))))
        .execute(db)?;
    Ok(())
}
