//! The export of the whole log with bodies and salts, for people of the SRO and auditors.

use std::time::{Duration, Instant};

use schemas::desk::AuditExport;
use schemas::event::Body;
use schemas::log::{Checkpoint, ExportedEntry};
use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// How long an export waits for the witnesses to cosign the head that its own reading made.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// The newest checkpoint, with the cosignatures of all witnesses where they come in time: an auditor asks for them, and
/// the reading itself has just made a head that none of them had seen.
fn cosigned(app: &App) -> R<Checkpoint> {
    let (began, wanted) = (Instant::now(), app.config.witnesses.len());
    loop {
        let note = app.registry.checkpoint()?;
        if note.signatures.len() > wanted || began.elapsed() > PATIENCE || app.stopping() {
            return Ok(note);
        }
        std::thread::sleep(LOOK);
    }
}

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
    let until = from.saturating_add(count);
    // Checkpoint before entries: those up to its size are there when it is signed.
    let note = cosigned(app)?;
    let size = note.head.size;
    // Nothing is shown that the reading does not count, but the reading itself and the tree's root after it: what others
    // entered meanwhile is the next page's.
    let shown = |e: &ExportedEntry| match &e.body {
        _ if e.index < until => true,
        Body::BodiesRead { by, .. } => count > 0 && by == caller.did(),
        Body::TwinRoot { .. } => count > 0,
        _ => false,
    };
    let entries = app.registry.entries(from, limit)?.into_iter().take_while(|e| e.index < size && shown(e)).collect();
    tracing::info!(reader = %caller.did(), from, limit, "the log was exported");
    Answer::ok(&AuditExport { entries, checkpoint: note.text(), size })
}
