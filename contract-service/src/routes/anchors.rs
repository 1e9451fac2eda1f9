//! Digests that participants anchor: proof that something of theirs existed at a point of the log.

use schemas::R;
use schemas::desk::{AnchorRequest, Receipted};
use schemas::event::Body;

use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// Enters a digest under the name of the token's holder.
pub fn anchor(app: &App, call: &Call) -> R<Answer> {
    let AnchorRequest { sha256 } = call.read()?;
    let by = caller(app, call, &app.registry.state())?.did().clone();
    let entry = app.enter(Body::DigestAnchored { by, sha256 })?;
    Answer::created(&Receipted { receipt: entry.receipt })
}
