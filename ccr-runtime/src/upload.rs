//! Upload: the sealed model goes to storage before the completion is sent.

use schemas::R;
use schemas::id::RunId;

use crate::fetch::objects;
use crate::output::Sealed;
use crate::room::Room;

/// Writes the sealed model to `<upload>/<run id>.sealed` and returns its location. An existing object is not replaced.
pub fn upload(sealed: &Sealed, folder: &str, run: &RunId, room: &Room) -> R<String> {
    let target = format!("{}/{run}.sealed", folder.trim_end_matches('/'));
    objects(&room.config).write_new(&target, &mut sealed.bytes.as_slice(), sealed.bytes.len() as u64)?;
    Ok(target)
}
