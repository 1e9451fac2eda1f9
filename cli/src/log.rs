//! The log's newest checkpoint, verified; and that it continues one seen before.

use contract_client::Client;
use schemas::log::{Checkpoint, check_consistency};
use schemas::{R, Refusal};
use signing::{Trust, note};

/// The newest checkpoint note; refused unless the log's key signed it.
pub fn checkpoint(client: &Client, trust: &Trust) -> R<Checkpoint> {
    let text = client.checkpoint()?;
    let trust = crate::trust::for_note(client, trust, &text)?;
    note::verify_checkpoint(&text, &trust.origin, &trust)
}

/// The newest checkpoint, proved to continue an earlier one.
pub fn continued(client: &Client, trust: &Trust, earlier: &str) -> R<Checkpoint> {
    let trust = &crate::trust::for_note(client, trust, earlier)?;
    let old = note::verify_checkpoint(earlier, &trust.origin, trust)?;
    let new = checkpoint(client, trust)?;
    if new.head.size < old.head.size {
        let sentence = "the log is shorter than it was; it may have been rolled back";
        return Err(Refusal::new(schemas::Code::ConsistencyInvalid, sentence));
    }
    let proof = if old.head == new.head { Vec::new() } else { client.consistency(old.head.size, new.head.size)? };
    check_consistency(&old.head, &new.head, &proof)?;
    Ok(new)
}
