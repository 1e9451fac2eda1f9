//! The export of the whole log with bodies and salts, for people of the SRO and auditors.

use schemas::desk::AuditExport;
use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// A page of entries with the newest checkpoint.
pub fn export(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    if !caller.oversees() {
        return Err(Refusal::new(Code::Forbidden, "this is for people of the SRO and auditors"));
    }
    let from = call.number("from", 0)?;
    let limit = call.number("limit", 200)?;
    // The reading is entered first and stands in the export itself: else a mirror could never be complete.
    let count = app.registry.head()?.size.saturating_sub(from).min(limit).min(registry::MAX_EXPORT);
    if count > 0 {
        oversight::enter(app, &caller, from, count)?;
    }
    // Checkpoint before entries: those up to its size are there when it is signed.
    let note = app.registry.checkpoint()?;
    let size = note.head.size;
    let entries: Vec<_> = app.registry.entries(from, limit)?.into_iter().filter(|e| e.index < size).collect();
    tracing::info!(reader = %caller.did(), from, limit, "the log was exported");
    Answer::ok(&AuditExport { entries, checkpoint: note.text(), size })
}
