//! Documents about disputes and payouts, by themselves. What may follow on what is the fold's question.

use schemas::dataset::DatasetOffer;
use schemas::dispute::PaymentUnmatched;
use schemas::id::Did;
use schemas::payout::PayoutBatch;
use schemas::problem::{Code, R};
use schemas::time::Timestamp;

use super::{act, same_registry};
use crate::forms::{ensure, text, written};
use crate::money::payout::AT_LEAST;

/// An act on a dispute: its registry, a reason, and when it was written.
pub fn money_act(named: &Did, registry: &Did, (reason, at): (&str, Timestamp), now: Timestamp) -> R<()> {
    same_registry(named, registry)?;
    act(reason, at, now)
}

/// A payment service provider's own reference: one line of at most 100 characters that can be printed.
pub fn psp_reference(reference: &str) -> R<()> {
    text(reference, 100, "reference")?;
    let sentence = "A payment provider's reference is one line.";
    ensure(!reference.contains('\n'), Code::SchemaMismatch, "reference", sentence)
}

/// Money that no instruction explains, as its holder states it.
pub fn payment_unmatched(unmatched: &PaymentUnmatched, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&unmatched.registry, registry)?;
    if let Some(id) = &unmatched.instruction_id {
        text(id, 100, "instruction_id")?;
    }
    written(unmatched.at, now, "at")
}

/// A batch of payouts.
pub fn payout_batch(batch: &PayoutBatch, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&batch.registry, registry)?;
    written(batch.at, now, "at")
}

/// The principals' pool of an offer: a share that is one, and enough people that a sum tells nothing about one of them.
pub(super) fn principal_pool(offer: &DatasetOffer) -> R<()> {
    let Some(pool) = &offer.principal_pool else { return Ok(()) };
    let sentence = "The principals' share lies between 1 and 1,000,000 parts per million.";
    ensure((1..=1_000_000).contains(&pool.ppm), Code::OfferInvalid, "principal_pool.ppm", sentence)?;
    let people = u64::from(pool.at_least) <= offer.public_rows && pool.at_least >= AT_LEAST;
    let sentence = format!("A pool is split among at least {AT_LEAST} principals, and no more than there are.");
    ensure(people, Code::OfferInvalid, "principal_pool.at_least", sentence)
}
