//! What one person of the SRO has begun and a second one must sign: the queue of the SRO's desk.

use schemas::R;
use schemas::desk::{PendingAct, PendingActs};
use schemas::text::Bytes;

use crate::app::App;
use crate::call::{Answer, Call};

/// The documents that wait, each with its first signature. One whose signer is no person of the SRO any more waits for
/// nobody. For people of the SRO alone: what they have not decided yet is nobody else's business.
pub fn list(app: &App, _: &Call) -> R<Answer> {
    let state = app.registry.state();
    let waiting = app.registry.pending_acts(app.now())?.into_iter();
    let counts = |act: &registry::PendingAct| act.signatures.iter().any(|s| state.is_sro(&s.kid.holder));
    let acts = waiting.filter(counts).map(|act| PendingAct {
        payload_type: act.payload_type,
        payload: Bytes(act.payload),
        signatures: act.signatures,
        since: act.since,
        until: act.until,
    });
    Answer::ok(&PendingActs { acts: acts.collect() })
}
