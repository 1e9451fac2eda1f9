//! Embeds the portal: every file under `portal/dist`, which `infra/portal.sh` makes. Without it the list is empty, and
//! the service serves a plain page in its place.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| Error::other("CARGO_MANIFEST_DIR"))?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| Error::other("OUT_DIR"))?);
    let dist = here.join("../portal/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    walk(&dist, &dist, &mut files)?;
    files.sort();
    // Copied first: a portal that is built anew meanwhile does not disturb this build.
    let copies = out.join("portal");
    let mut text = String::from("/// The files of the portal: name, bytes.\nconst FILES: &[(&str, &[u8])] = &[\n");
    for (number, (name, path)) in files.iter().enumerate() {
        let copy = copies.join(number.to_string());
        fs::create_dir_all(&copies)?;
        fs::copy(path, &copy)?;
        writeln!(text, "    ({name:?}, include_bytes!({copy:?})),").map_err(Error::other)?;
    }
    text.push_str("];\n");
    fs::write(out.join("portal.rs"), text)
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.strip_prefix(root).map_err(Error::other)?.to_string_lossy().into_owned();
        if path.is_dir() {
            walk(root, &path, files)?;
        } else if !name.starts_with('.') {
            files.push((name, fs::canonicalize(&path)?));
        }
    }
    Ok(())
}
