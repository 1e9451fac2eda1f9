//! Participants: apply, decide, read.

use schemas::bundle::Logged;
use schemas::desk::{ParticipantView, Receipted};
use schemas::event::Body;
use schemas::id::Did;
use schemas::party::{Participant, ParticipantDecision};
use schemas::{Code, Envelope, R, Refusal};

use super::two_people;
use crate::app::App;
use crate::call::{Answer, Call};

/// Enters an application. A did:web is resolved now, once, and its document enters with it.
pub fn apply(app: &App, call: &Call) -> R<Answer> {
    let application: Envelope<Participant> = call.read()?;
    // Verified first: nobody makes the service fetch an address with an unsigned document.
    let applicant = signing::book::verify_application(application.clone(), app.did())?;
    let web = signing::did::is_web(&applicant.did);
    let resolution = if web { Some(app.did_web.fetch(&applicant.did, app.now())?) } else { None };
    let receipt = app.enter(Body::ParticipantApplied { application, resolution })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// Takes a decision with the signatures of one or two SRO people.
pub fn decide(app: &App, call: &Call) -> R<Answer> {
    let decision: Envelope<ParticipantDecision> = call.read()?;
    two_people::hand_in(app, decision, |decision| Body::ParticipantDecided { decision })
}

/// A participant. Registration is public.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let did: Did = call.param("did")?;
    let state = app.registry.state();
    let row = state.participant(&did).ok_or_else(|| Refusal::new(Code::NotFound, "no such participant"))?;
    let decision = match &row.decision {
        Some((index, envelope)) => Some(Logged { envelope: envelope.clone(), receipt: app.registry.receipt(*index)? }),
        None => None,
    };
    let word = super::word(&row.state)?;
    Answer::ok(&ParticipantView { application: row.application.clone(), decision, state: word })
}
