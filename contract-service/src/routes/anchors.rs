//! Digests that participants anchor: proof that something of theirs existed at a point of the log.

use std::sync::Arc;

use schemas::R;
use schemas::desk::{AnchorRequest, Receipted};
use schemas::envelope::Verified;
use schemas::event::Body;

use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};
use crate::serve::Reply;

/// Enters a digest under the name of the token's holder. Holds no thread while the writer works.
pub fn anchor(app: &Arc<App>, call: &Call, reply: Reply) {
    match prepared(app, call) {
        Ok(body) => app.registry.append_then(body, app.now(), |entry| {
            reply.give(entry.and_then(|entry| Answer::created(&Receipted { receipt: entry.receipt })));
        }),
        Err(refusal) => reply.give(Err(refusal)),
    }
}

fn prepared(app: &App, call: &Call) -> R<Verified<Body>> {
    let AnchorRequest { sha256 } = call.read()?;
    let by = caller(app, call, &app.registry.state())?.did().clone();
    app.registry.verify(Body::DigestAnchored { by, sha256 })
}
