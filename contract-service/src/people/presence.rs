//! Whether a person of the SRO is there, and not only its key.

use schemas::envelope::PartySignature;
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

/// The same of all who signed, of whom others than the SRO's people are asked nothing.
pub fn of_signers(app: &App, signatures: &[PartySignature]) -> R<()> {
    let state = app.registry.state();
    let people = signatures.iter().map(|signature| &signature.kid.holder).filter(|holder| state.is_sro(holder));
    people.map(|holder| Did::parse(holder)).try_for_each(|person| needed(app, &person?))
}

fn fresh(at: Timestamp, now: Timestamp) -> bool {
    now < at.plus_seconds(STEP_UP_SECONDS)
}
