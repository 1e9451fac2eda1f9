//! Files of a bank: each is read once, whole, in one transaction.

use std::path::{Path, PathBuf};

use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::Serialize;

use crate::iso;
use crate::store::{Applied, Store};

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Imported {
    /// The file.
    pub file: PathBuf,
    /// Like `camt.053`.
    pub kind: String,
    /// The bank's id of the message.
    pub message: String,
    /// Whether these bytes were read before; then nothing happened.
    pub known: bool,
    /// Instructions that reached a new state.
    pub moved: u32,
    /// Told before by another file or call.
    pub repeated: u32,
    /// Amounts for suspense.
    pub unmatched: u32,
    /// Out of order, or about instructions that are not known; no money moved.
    pub refused: u32,
}

/// Reads a file. The same bytes again change nothing; another file under a message id that is known is refused
/// (`REQUEST_REPLAYED`), a file that cannot be read with `PAYMENT_FILE` or `BODY_TOO_LARGE`.
pub(crate) fn file(store: &Store, path: &Path, limit: u64, now: Timestamp) -> R<Imported> {
    let bytes = read(path, limit)?;
    let file = iso::read(&bytes, limit)?;
    let id = format!("{}:{}", file.kind, file.message);
    let applied = store.hear(&id, Digest::of(&bytes), &file.news, now)?;
    let mut imported = Imported {
        file: path.to_owned(),
        kind: file.kind.to_owned(),
        message: file.message,
        known: applied.is_none(),
        ..Imported::default()
    };
    for one in applied.unwrap_or_default() {
        *match one {
            Applied::Moved(..) => &mut imported.moved,
            Applied::Known => &mut imported.repeated,
            Applied::Unmatched(..) => &mut imported.unmatched,
            Applied::Refused(_) => &mut imported.refused,
        } += 1;
    }
    Ok(imported)
}

/// Reads every file of a folder, in the order of their names; read ones go to `done` in it, refused ones to `refused`
/// with the reason beside them. A file whose name begins with a dot is still being written.
pub(crate) fn folder(store: &Store, dir: &Path, limit: u64, now: Timestamp) -> R<usize> {
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("inbox {}: {e}", dir.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().map_err(fault)?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    for path in &files {
        match self::file(store, path, limit, now) {
            Ok(imported) => {
                tracing::info!(file = %path.display(), moved = imported.moved, unmatched = imported.unmatched, "imported");
                put(path, &dir.join("done"))?;
            }
            Err(refusal) if refusal.code == Code::Unavailable => return Err(refusal),
            Err(refusal) => {
                tracing::error!(file = %path.display(), code = %refusal.code, cause = %refusal.sentence, "refused");
                let refused = put(path, &dir.join("refused"))?;
                let why = refused.with_extension("why");
                std::fs::write(why, format!("{refusal}\n")).map_err(fault)?;
            }
        }
    }
    Ok(files.len())
}

/// Moves a file into a folder; one that has its name there already stays beside it under a further one.
fn put(path: &Path, to: &Path) -> R<PathBuf> {
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", to.display()));
    std::fs::create_dir_all(to).map_err(fault)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = std::iter::once(name.clone()).chain((1..10_000).map(|n| format!("{n}-{name}")));
    let free = names.map(|name| to.join(name)).find(|place| !place.exists());
    let free = free.ok_or_else(|| Refusal::new(Code::ConfigInvalid, format!("{} is full", to.display())))?;
    std::fs::rename(path, &free).map_err(fault)?;
    Ok(free)
}

fn read(path: &Path, limit: u64) -> R<Vec<u8>> {
    use std::io::Read as _;
    let fault = |e: std::io::Error| Refusal::new(Code::PaymentFile, format!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(fault)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}
