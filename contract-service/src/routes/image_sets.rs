//! Image sets: approved by two SRO people, read by everyone.

use schemas::bundle::Logged;
use schemas::event::Body;
use schemas::evidence::ImageSet;
use schemas::id::ImageSetId;
use schemas::{Code, Envelope, R, Refusal};

use super::two_people;
use crate::app::App;
use crate::call::{Answer, Call};

/// Takes an image set with the signatures of one or two SRO people.
pub fn approve(app: &App, call: &Call) -> R<Answer> {
    let image_set: Envelope<ImageSet> = call.read()?;
    two_people::hand_in(app, image_set, |image_set| Body::ImageSetApproved { image_set })
}

/// An approved image set.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let id: ImageSetId = call.param("id")?;
    let state = app.registry.state();
    let row = state.image_set(&id).ok_or_else(|| Refusal::new(Code::NotFound, "no such image set is approved"))?;
    Answer::ok(&Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? })
}
