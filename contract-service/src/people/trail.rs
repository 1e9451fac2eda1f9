//! The trail of access: one line for each sign-in, failure and change, with fixed fields and no secret.

use schemas::R;
use schemas::id::PersonId;

use crate::call::Call;

/// What people do at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A link was made.
    LinkMade,
    /// A person was enrolled, or got a further way to sign in.
    Enrolled,
    /// A person signed in.
    SignIn,
    /// A session was stepped up.
    StepUp,
    /// A recovery code was used.
    Recovery,
    /// A person signed out.
    SignOut,
    /// A person's means were changed.
    MeansChanged,
    /// A person was suspended.
    Suspended,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Act::LinkMade => "link_made",
            Act::Enrolled => "enrolled",
            Act::SignIn => "sign_in",
            Act::StepUp => "step_up",
            Act::Recovery => "recovery",
            Act::SignOut => "sign_out",
            Act::MeansChanged => "means_changed",
            Act::Suspended => "suspended",
        }
    }
}

/// Writes what came of an act. `reason` is for the operator and never told to the caller.
pub fn write<T>(act: Act, means: &'static str, call: &Call, person: Option<&PersonId>, outcome: &R<T>, reason: &str) {
    let person = person.map(PersonId::as_str).unwrap_or("-");
    let (act, request) = (act.word(), call.request_id.as_str());
    match outcome {
        Ok(_) => tracing::info!(target: "access", act, means, outcome = "ok", person, request),
        Err(refusal) => {
            tracing::warn!(target: "access", act, means, outcome = "refused", person, code = %refusal.code, reason, request);
        }
    }
}
