//! Upload: the sealed model goes to storage before the completion is sent.

use std::io::Write as _;

use schemas::id::RunId;
use schemas::{Code, R, Refusal};

use crate::fetch::{Location, below_a_root, http};
use crate::output::Sealed;
use crate::room::Room;

/// Writes the sealed model to `<upload>/<run id>.sealed` and returns its location. An existing object is not replaced.
pub fn upload(sealed: &Sealed, folder: &str, run: &RunId, room: &Room) -> R<String> {
    let target = format!("{}/{run}.sealed", folder.trim_end_matches('/'));
    let fault = |why: String| Refusal::new(Code::UploadFailed, format!("{target} cannot be written: {why}"));
    match Location::parse(&target, &room.config)? {
        Location::File(path) => {
            let (folder, name) = path.parent().zip(path.file_name()).ok_or_else(|| fault("no file name".into()))?;
            let folder = folder.canonicalize().map_err(|e| fault(e.to_string()))?;
            below_a_root(&folder, &room.config)?;
            let path = folder.join(name);
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(|e| fault(e.to_string()))?;
            file.write_all(&sealed.bytes).and_then(|()| file.sync_all()).map_err(|e| fault(e.to_string()))?;
        }
        Location::Http(url) => {
            let put = http()?.put(url).header("if-none-match", "*").body(sealed.bytes.clone()).send();
            let answer = put.map_err(|e| fault(e.without_url().to_string()))?;
            if !answer.status().is_success() {
                return Err(fault(format!("HTTP {}", answer.status().as_u16())));
            }
        }
    }
    Ok(target)
}
