//! Files: regular ones only, by no link that leads out of the allowed folders.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use schemas::{Code, R, Refusal};

use crate::{Counted, Files, PART, next_part, source_short};

/// Reads a file.
pub(crate) fn read(path: &Path, files: &Files, count: &mut Counted<'_, '_>) -> R<()> {
    let fault = |e: std::io::Error| Refusal::new(Code::PeerUnreachable, format!("file://{}: {e}", path.display()));
    let path = path.canonicalize().map_err(fault)?;
    below_a_root(&path, files)?;
    let mut file = open_regular(&path).map_err(fault)?;
    let size = file.metadata().map_err(fault)?.len();
    count.announced(size)?;
    loop {
        let part = next_part(&mut file, PART)?;
        if part.is_empty() {
            return Ok(());
        }
        count.part(&part, Some(size))?;
    }
}

/// Writes a new file; one that stands there is not replaced. Under its name stands the whole of it or nothing, whatever
/// ends the writing.
pub(crate) fn write_new(path: &Path, files: &Files, source: &mut dyn Read, bytes: u64) -> R<()> {
    let fault = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Refusal::new(Code::ObjectExists, format!("file://{}: a file stands there already", path.display()))
        }
        _ => Refusal::new(Code::UploadFailed, format!("file://{}: {e}", path.display())),
    };
    let nameless = || Refusal::new(Code::UploadFailed, format!("file://{} names no file", path.display()));
    let (folder, name) = path.parent().zip(path.file_name()).ok_or_else(nameless)?;
    let folder = folder.canonicalize().map_err(fault)?;
    below_a_root(&folder, files)?;
    let target = folder.join(name);
    if target.symlink_metadata().is_ok() {
        return Err(fault(std::io::ErrorKind::AlreadyExists.into()));
    }
    let (mut file, partial) = Partial::beside(&target).map_err(fault)?;
    let mut left = bytes;
    while left > 0 {
        let part = next_part(source, left.min(PART))?;
        if part.is_empty() {
            return Err(source_short());
        }
        left -= part.len() as u64;
        file.write_all(&part).map_err(fault)?;
    }
    file.sync_all().map_err(fault)?;
    // A second name for what is whole: unlike a rename it replaces nothing.
    std::fs::hard_link(&partial.0, &target).map_err(fault)
}

/// What is written so far, under a name of its own; taken away when this ends.
struct Partial(PathBuf);

impl Partial {
    /// A name that nobody uses: what a writer that was killed left behind is passed over, never touched.
    fn beside(target: &Path) -> std::io::Result<(File, Partial)> {
        let mut last = None;
        for n in 0..100 {
            let mut name = target.as_os_str().to_owned();
            name.push(format!(".{}-{n}.partial", std::process::id()));
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&name) {
                Ok(file) => return Ok((file, Partial(name.into()))),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(std::io::Error::other(last.map_or_else(String::new, |e| format!("partial files are in the way: {e}"))))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A path without links in it must lie where the configuration says: a link below a root leads nowhere else.
fn below_a_root(real: &Path, files: &Files) -> R<()> {
    let below = match files {
        Files::Anywhere => true,
        Files::Below(roots) => {
            roots.iter().filter_map(|root| root.canonicalize().ok()).any(|root| real.starts_with(root))
        }
    };
    if below {
        return Ok(());
    }
    let sentence = format!("location file://{}: a link leads outside the storage roots of this room", real.display());
    Err(Refusal::new(Code::AddressRefused, sentence))
}

/// Opens a regular file; what blocks at opening, as a pipe does, is refused before.
fn open_regular(path: &Path) -> std::io::Result<File> {
    let other = || std::io::Error::other("not a regular file");
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(other());
    }
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}
