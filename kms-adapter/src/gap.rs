//! Where the journal has no receipts although it went on: after a restore. What this service may have said between the
//! backup and the loss has numbers that are not used again. A MAC under the root key covers each gap, so that nobody
//! else can make one.

use diesel::prelude::*;
use schemas::R;

use crate::cupboard::{Cupboard, same_mac};
use crate::store::{Db, Tx};
use crate::tables::{journal, journal_gap};

/// Numbers that are left free after a restore, for what may have been said and never logged.
pub(crate) const LEFT_FREE: i64 = 1000;

/// The number after this one: the next, or where the journal goes on.
pub(crate) fn next(c: &mut Db, seq: i64) -> Tx<i64> {
    let gap = journal_gap::table.find(seq).select(journal_gap::next_seq).first(c).optional()?;
    Ok(gap.unwrap_or(seq + 1))
}

impl Cupboard {
    pub(crate) fn gap_mac(&self, after: i64, next: i64) -> R<[u8; 32]> {
        self.mac.mac(&[b"journal_gap", &after.to_be_bytes(), &next.to_be_bytes()])
    }

    /// Whether the journal may go on there after that.
    pub(crate) fn is_gap(&self, c: &mut Db, after: i64, next: i64) -> Tx<bool> {
        let row = journal_gap::table.find(after).select((journal_gap::next_seq, journal_gap::mac));
        let found: Option<(i64, Vec<u8>)> = row.first(c).optional()?;
        let mac = self.gap_mac(after, next)?;
        Ok(found.is_some_and(|(seq, found)| seq == next && same_mac(&mac, &found)))
    }

    /// Whether this number was left free.
    pub(crate) fn is_free(&self, c: &mut Db, seq: i64) -> Tx<bool> {
        let around = journal_gap::after_seq.lt(seq).and(journal_gap::next_seq.gt(seq));
        let gap = journal_gap::table.filter(around).select((journal_gap::after_seq, journal_gap::next_seq));
        match gap.first::<(i64, i64)>(c).optional()? {
            Some((after, next)) => self.is_gap(c, after, next),
            None => Ok(false),
        }
    }

    /// Makes the gaps anew: between the receipts that are there, and after the newest. The journal goes on beyond the
    /// newest and beyond the number `said`, which a checkpoint shows to be used.
    pub(crate) fn set_gaps(&self, c: &mut Db, said: i64) -> Tx<()> {
        diesel::delete(journal_gap::table).execute(c)?;
        let seqs: Vec<i64> = journal::table.order(journal::seq.asc()).select(journal::seq).load(c)?;
        let before = std::iter::once(0).chain(seqs.iter().copied());
        let mut gaps: Vec<(i64, i64)> = before.zip(seqs.iter().copied()).filter(|(a, b)| a + 1 != *b).collect();
        let last = seqs.last().copied().unwrap_or_default();
        gaps.push((last, last.max(said) + LEFT_FREE));
        for (after, next) in gaps {
            let row = (
                journal_gap::after_seq.eq(after),
                journal_gap::next_seq.eq(next),
                journal_gap::mac.eq(self.gap_mac(after, next)?.to_vec()),
            );
            diesel::insert_into(journal_gap::table).values(row).execute(c)?;
        }
        Ok(())
    }
}
