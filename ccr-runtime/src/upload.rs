//! Upload: the sealed model goes to storage before the completion is sent.

use objects::{Direction, Location};
use schemas::R;
use schemas::id::RunId;

use crate::fetch::objects;
use crate::output::Sealed;
use crate::room::Room;

fn target(folder: &str, run: &RunId) -> String {
    format!("{}/{run}.sealed", folder.trim_end_matches('/'))
}

/// Refuses an address that this room cannot write to (`ADDRESS_REFUSED`): asked before any budget is held, since a model
/// that has nowhere to go is charged all the same.
pub fn writable(folder: &str, run: &RunId, room: &Room) -> R<()> {
    Location::parse(&target(folder, run), &objects(&room.config), Direction::Write).map(drop)
}

/// Writes the sealed model to `<upload>/<run id>.sealed` and returns its location. An existing object is not replaced;
/// where it is this very model, an earlier try wrote it whose answer was lost, and it is there.
pub fn upload(sealed: &Sealed, folder: &str, run: &RunId, room: &Room) -> R<String> {
    let target = target(folder, run);
    objects(&room.config).write_once(&target, &sealed.bytes)?;
    Ok(target)
}
