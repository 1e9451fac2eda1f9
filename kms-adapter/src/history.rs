//! One history: every signed head of the log that this service is shown is kept, and a second root for the same size
//! is refused. Both heads are signed by the registry, so together they prove that it showed two histories.
//!
//! This notices a fork as soon as two branches meet at one size. A branch that never does is for the witnesses and
//! for the audit to notice (`depa audit verify --witness`). A word about a log that was longer before is refused too: an
//! old backup, or a reader that has lost the log, does not know what was revoked since.
//!
//! Heads are kept by the origin of their log. Another origin in the place of one that was shown before counts only by the
//! succession that two SRO people signed.

use diesel::prelude::*;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, R, Refusal, Timestamp};
use signing::{OpenedBundle, Trust};

use crate::store::{Db, Tx};
use crate::tables::log_head;

/// The heads under which the documents of a bundle were entered; their signatures were verified with the bundle.
pub(crate) fn heads(opened: &OpenedBundle) -> R<Vec<CheckpointRef>> {
    let contracts = opened.contracts.iter().map(|c| c.receipt());
    let offers = opened.offers.iter().map(|o| o.receipt());
    let renewals = opened.renewals.iter().map(|r| r.receipt());
    let receipts = contracts.chain(offers).chain(renewals).chain([opened.image_set.receipt()]);
    receipts.map(|receipt| Ok(Checkpoint::parse(&receipt.checkpoint)?.head)).collect()
}

/// Seconds by which the registry's readers may be behind its writer, and its clock beside ours.
const BEHIND_SECONDS: i64 = 60;

/// Refuses a word of the registry about a log of this head, issued then, where a longer log was shown here well before.
pub(crate) fn not_behind(c: &mut Db, origin: &str, head: &CheckpointRef, issued_at: Timestamp) -> Tx<()> {
    let size = i64::try_from(head.size).unwrap_or(i64::MAX);
    let before = issued_at.plus_seconds(-BEHIND_SECONDS).micros();
    let own = log_head::table.filter(log_head::origin.eq(origin));
    let longer = own.filter(log_head::size.gt(size)).filter(log_head::seen_at.lt(before));
    let longest: Option<i64> = longer.select(diesel::dsl::max(log_head::size)).first(c)?;
    if let Some(longest) = longest {
        tracing::error!(alarm = "log_went_back", size, longest, "the registry spoke about an older log than before");
        let sentence = "the registry speaks about a log that is shorter than the one it showed before";
        return Err(Refusal::new(Code::CheckpointInvalid, sentence).at("checkpoint").into());
    }
    Ok(())
}

/// A log of this origin is the one shown before, the first one, or one that two SRO people put in the place of one shown
/// before (`LOG_LINEAGE_INVALID` otherwise).
fn known(c: &mut Db, trust: &Trust) -> Tx<()> {
    let origins: Vec<String> = log_head::table.select(log_head::origin).distinct().load(c)?;
    let succeeds = trust.lineage.succeeds().is_some_and(|old| origins.contains(&old));
    if origins.is_empty() || origins.contains(&trust.origin) || succeeds {
        return Ok(());
    }
    tracing::error!(alarm = "another_log", origin = trust.origin, "another log is shown in the place of the one known");
    let sentence = "this log stands in the place of another one, and no succession signed by two SRO people was shown";
    Err(Refusal::new(Code::LogLineageInvalid, sentence).at("checkpoint").into())
}

/// Keeps the heads of the trusted log, and refuses one that contradicts a head seen before.
pub(crate) fn keep(c: &mut Db, trust: &Trust, heads: &[CheckpointRef], now: Timestamp) -> Tx<()> {
    known(c, trust)?;
    let origin = trust.origin.as_str();
    for head in heads {
        let size = i64::try_from(head.size)
            .map_err(|_| Refusal::new(Code::CheckpointInvalid, "the log cannot be that large"))?;
        let root = head.root.to_string();
        let seen = log_head::table.find((origin, size)).select(log_head::root).first::<String>(c).optional()?;
        match seen {
            Some(first) if first == root => {}
            Some(first) => {
                tracing::error!(alarm = "two_histories", size, first, root, "the log showed two roots for one size");
                let sentence = "the registry has shown two histories of its log; ask its SRO and a witness which holds";
                return Err(Refusal::new(Code::ConsistencyInvalid, sentence).at("checkpoint").into());
            }
            None => {
                let at = (log_head::origin.eq(origin), log_head::size.eq(size));
                let row = (at, log_head::root.eq(&root), log_head::seen_at.eq(now.micros()));
                diesel::insert_into(log_head::table).values(row).execute(c)?;
            }
        }
    }
    Ok(())
}
