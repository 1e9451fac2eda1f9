//! Witnesses before keys: what a relying party asks for that trusts no log alone.

use schemas::contract::Contract;
use schemas::log::CheckpointRef;
use schemas::release::Admission;
use schemas::{Code, Entered, R, Refusal, Timestamp};

use crate::book::Trust;
use crate::note;

/// Seconds for which a witness's cosignature of the newest checkpoint counts.
pub const WITNESSED_SECONDS: i64 = 600;

/// Requires that as many witnesses as the trust asks for have cosigned the log of an Admission: its `cosigned` note is the
/// log's own, cosigned within [`WITNESSED_SECONDS`], reaches past the entry of every contract, and is no newer than and not
/// at odds with the checkpoint that the Admission names. Returns what they cosigned; nothing where no quorum is asked for.
///
/// The note covers the contracts by its size. That the receipts' own checkpoints lie in the same history is not proven
/// here but by the memory of heads that each relying party keeps, by the witnesses, and by every audit.
///
/// # Errors
/// `COSIGNATURES_MISSING`; `CHECKPOINT_INVALID` where note and Admission contradict each other.
pub fn witnessed(
    trust: &Trust,
    admission: &Admission,
    contracts: &[Entered<Contract>],
    now: Timestamp,
) -> R<Option<CheckpointRef>> {
    if trust.quorum == 0 {
        return Ok(None);
    }
    let missing = |why: &str| Refusal::new(Code::CosignaturesMissing, why).at("cosigned");
    let text = admission.cosigned.as_deref();
    let text = text.ok_or_else(|| missing("the Admission carries no checkpoint that witnesses cosigned"))?;
    let seen = note::verify_checkpoint(text, &trust.origin, trust)?;
    note::cosigned(&seen, &trust.witnesses, trust.quorum, now, WITNESSED_SECONDS)?;
    if contracts.iter().any(|c| c.receipt().index >= seen.head.size) {
        return Err(missing("what the witnesses cosigned does not reach the entry of a contract yet; try again"));
    }
    let told = &admission.checkpoint;
    if seen.head.size > told.size || (seen.head.size == told.size && seen.head.root != told.root) {
        let why = "the witnesses cosigned another log than the one that the Admission names";
        return Err(Refusal::new(Code::CheckpointInvalid, why).at("cosigned"));
    }
    Ok(Some(seen.head))
}
