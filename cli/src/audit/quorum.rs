//! Who else has seen a checkpoint: cosignatures of the witnesses that a trust file pins.

use schemas::log::Checkpoint;
use schemas::{Code, R, Refusal, Timestamp};
use serde::Serialize;
use signing::{Trust, note};

/// A cosignature that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cosigned {
    /// The witness.
    pub witness: String,
    /// When it cosigned.
    pub at: Timestamp,
}

/// The cosignatures of pinned witnesses on a checkpoint; refused where fewer than the pinned quorum hold.
pub fn require(checkpoint: &Checkpoint, trust: &Trust) -> R<Vec<Cosigned>> {
    let cosigned: Vec<Cosigned> = trust
        .witnesses
        .iter()
        .filter_map(|w| {
            let at = note::verify_cosignature(checkpoint, &w.name, &w.jwk).ok()?;
            Some(Cosigned { witness: w.name.clone(), at })
        })
        .collect();
    if (cosigned.len() as u64) < u64::from(trust.quorum) {
        let sentence =
            format!("{} of the {} witnesses that are asked for cosigned the checkpoint", cosigned.len(), trust.quorum);
        return Err(Refusal::new(Code::CosignaturesMissing, sentence));
    }
    Ok(cosigned)
}
