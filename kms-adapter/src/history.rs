//! One history: every signed head of the log that this service is shown is kept, and a second root for the same size
//! is refused. Both heads are signed by the registry, so together they prove that it showed two histories.
//!
//! This notices a fork as soon as two branches meet at one size. A branch that never does is for the witnesses and
//! for the audit to notice (`depa audit verify --witness`). A word about a log that was longer before is refused too: an
//! old backup, or a reader that has lost the log, does not know what was revoked since.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, R, Refusal, Timestamp};
use signing::OpenedBundle;

use crate::store::Tx;
use crate::tables::log_head;

/// The heads under which the documents of a bundle were entered; their signatures were verified with the bundle.
pub(crate) fn heads(opened: &OpenedBundle) -> R<Vec<CheckpointRef>> {
    let contracts = opened.contracts.iter().map(|c| c.receipt());
    let offers = opened.offers.iter().map(|o| o.receipt());
    let receipts = contracts.chain(offers).chain([opened.image_set.receipt()]);
    receipts.map(|receipt| Ok(Checkpoint::parse(&receipt.checkpoint)?.head)).collect()
}

/// Seconds by which the registry's readers may be behind its writer, and its clock beside ours.
const BEHIND_SECONDS: i64 = 60;

/// Refuses a word of the registry about a log of this head, issued then, where a longer log was shown here well before.
pub(crate) fn not_behind(c: &mut SqliteConnection, head: &CheckpointRef, issued_at: Timestamp) -> Tx<()> {
    let size = i64::try_from(head.size).unwrap_or(i64::MAX);
    let before = issued_at.plus_seconds(-BEHIND_SECONDS).micros();
    let longer = log_head::table.filter(log_head::size.gt(size)).filter(log_head::seen_at.lt(before));
    let longest: Option<i64> = longer.select(diesel::dsl::max(log_head::size)).first(c)?;
    if let Some(longest) = longest {
        tracing::error!(alarm = "log_went_back", size, longest, "the registry spoke about an older log than before");
        let sentence = "the registry speaks about a log that is shorter than the one it showed before";
        return Err(Refusal::new(Code::CheckpointInvalid, sentence).at("checkpoint").into());
    }
    Ok(())
}

/// Keeps the heads, and refuses one that contradicts a head seen before.
pub(crate) fn keep(c: &mut SqliteConnection, heads: &[CheckpointRef], now: Timestamp) -> Tx<()> {
    for head in heads {
        let size = i64::try_from(head.size)
            .map_err(|_| Refusal::new(Code::CheckpointInvalid, "the log cannot be that large"))?;
        let root = head.root.to_string();
        let seen = log_head::table.find(size).select(log_head::root).first::<String>(c).optional()?;
        match seen {
            Some(first) if first == root => {}
            Some(first) => {
                tracing::error!(alarm = "two_histories", size, first, root, "the log showed two roots for one size");
                let sentence = "the registry has shown two histories of its log; ask its SRO and a witness which holds";
                return Err(Refusal::new(Code::ConsistencyInvalid, sentence).at("checkpoint").into());
            }
            None => {
                let row = (log_head::size.eq(size), log_head::root.eq(&root), log_head::seen_at.eq(now.micros()));
                diesel::insert_into(log_head::table).values(row).execute(c)?;
            }
        }
    }
    Ok(())
}
