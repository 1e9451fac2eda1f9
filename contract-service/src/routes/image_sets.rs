//! Image sets: approved and revoked by two SRO people, read by everyone.

use policies::lifecycle::ImageSetRow;
use schemas::bundle::Logged;
use schemas::desk::{ImageSetList, ImageSetView};
use schemas::event::Body;
use schemas::evidence::ImageSet;
use schemas::id::ImageSetId;
use schemas::rules::ImageSetRevocation;
use schemas::{Code, Envelope, R, Refusal, Timestamp};

use super::two_people;
use crate::app::App;
use crate::call::{Answer, Call, page_size};

/// Takes an image set with the signatures of one or two SRO people.
pub fn approve(app: &App, call: &Call) -> R<Answer> {
    let image_set: Envelope<ImageSet> = call.read()?;
    two_people::hand_in(app, image_set, |image_set| Body::ImageSetApproved { image_set })
}

/// Takes the end of an approval with the signatures of one or two SRO people.
pub fn revoke(app: &App, call: &Call) -> R<Answer> {
    let revocation: Envelope<ImageSetRevocation> = call.read()?;
    two_people::hand_in(app, revocation, |revocation| Body::ImageSetRevoked { revocation })
}

/// An approved image set.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let id: ImageSetId = call.param("id")?;
    let state = app.registry.state();
    let row = state.image_set(&id).ok_or_else(|| Refusal::new(Code::NotFound, "no such image set is approved"))?;
    Answer::ok(&Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? })
}

/// A page of image sets by id; `state` is `approved`, `revoked` or `expired`.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size(call)?;
    let after = call.query.get("cursor").map(|text| ImageSetId::parse(text)).transpose()?;
    let (state, now) = (app.registry.state(), app.now());
    let wanted = call.query.get("state").map(String::as_str);
    if wanted.is_some_and(|word| !["approved", "revoked", "expired"].contains(&word)) {
        return Err(Refusal::new(Code::SchemaMismatch, "a state is approved, revoked or expired").at("state"));
    }
    let later = |row: &&ImageSetRow| after.as_ref().is_none_or(|after| row.image_set.image_set_id > *after);
    let mut rows = state.image_sets().filter(later).filter(|row| wanted.is_none_or(|w| w == word(row, now)));
    let page: Vec<&ImageSetRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.image_set.image_set_id.to_string());
    let image_sets = page.into_iter().map(|row| view(app, row, now)).collect::<R<Vec<_>>>()?;
    Answer::ok(&ImageSetList { image_sets, next })
}

fn view(app: &App, row: &ImageSetRow, now: Timestamp) -> R<ImageSetView> {
    let revocation = match &row.revoked {
        Some((index, envelope)) => Some(Logged { envelope: envelope.clone(), receipt: app.registry.receipt(*index)? }),
        None => None,
    };
    let image_set = Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? };
    Ok(ImageSetView { image_set, state: word(row, now).into(), revocation })
}

fn word(row: &ImageSetRow, now: Timestamp) -> &'static str {
    if row.revoked.is_some() {
        "revoked"
    } else if now < row.image_set.valid_to {
        "approved"
    } else {
        "expired"
    }
}
