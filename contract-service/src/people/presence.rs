//! Whether a person of the SRO is there, and not only its key.

use schemas::id::Did;
use schemas::{Code, R, Refusal, Timestamp};

use super::session::STEP_UP_SECONDS;
use crate::app::App;

/// Refuses what the key of a person of the SRO has signed, unless the person showed a passkey in the last five minutes:
/// a key that was taken acts for nobody alone. Who signs without ever having enrolled a passkey is not asked for one.
pub fn needed(app: &App, signer: &Did) -> R<()> {
    let now = app.now();
    let presence = app.registry.presence(signer, now)?;
    if !presence.has_passkey || presence.stepped_up_at.is_some_and(|at| fresh(at, now)) {
        return Ok(());
    }
    let sentence =
        "an act of the SRO needs a passkey assertion of its signer of the last five minutes; see /auth/step-up";
    Err(Refusal::new(Code::StepUpNeeded, sentence))
}

fn fresh(at: Timestamp, now: Timestamp) -> bool {
    now < at.plus_seconds(STEP_UP_SECONDS)
}
