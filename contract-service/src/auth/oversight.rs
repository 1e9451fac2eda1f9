//! What overseers read is entered: people of the SRO and auditors see bodies of others only after the log says so.

use schemas::R;
use schemas::event::Body;

use crate::app::App;
use crate::auth::roles::Caller;

/// Enters that the caller reads the bodies of `count` entries from `from` on, where they are not the caller's own.
/// Fails closed: without the entry nothing is shown. Blocks.
pub fn enter(app: &App, caller: &Caller, from: u64, count: u64) -> R<()> {
    if caller.oversees() {
        app.enter(Body::BodiesRead { by: caller.did().clone(), from, count })?;
    }
    Ok(())
}
