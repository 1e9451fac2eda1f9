//! The other side of appraisal: something that can show evidence for a transcript.

use schemas::R;
use schemas::evidence::{Evidence, EvidenceKind, Transcript};

/// Shows evidence of the machine it runs on, bound to a transcript.
pub trait Attester: Send + Sync {
    /// The kind of evidence it shows.
    fn kind(&self) -> EvidenceKind;
    /// Evidence whose user data and quote nonce are the transcript's binding.
    fn attest(&self, transcript: &Transcript) -> R<Evidence>;
}
