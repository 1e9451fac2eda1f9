//! SIMULATED measurement: digests of the running `ccr`, the worker, the libtorch files it loads, and the configuration.
//!
//! On hardware the firmware measures; here the room measures itself, so this shows *that* changed code gets no key,
//! not that nobody could lie. It is called software assurance everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use schemas::{Code, Digest, R, Refusal};

use crate::config::Config;

/// Measures this process and everything it will start.
pub fn measurement(config: &Config, config_path: &Path) -> R<Digest> {
    let running = Path::new("/proc/self/exe");
    measurement_of(running, config, config_path)
}

/// Measures a room whose warden is the binary `ccr`.
pub fn measurement_of(ccr: &Path, config: &Config, config_path: &Path) -> R<Digest> {
    let libraries = libraries(&config.trainer)?;
    let mut files: Vec<(String, &Path)> = vec![
        ("ccr".into(), ccr),
        ("ccr-trainer".into(), config.trainer.as_path()),
        ("config".into(), config_path),
        ("trust".into(), config.trust.as_path()),
    ];
    for library in &libraries {
        let name = library.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        files.push((format!("lib/{name}"), library));
    }
    let labelled: Vec<(&str, &Path)> = files.iter().map(|(label, path)| (label.as_str(), *path)).collect();
    attestation::software::measure(&labelled)
}

/// The libtorch files that the worker has loaded, sorted by name. The worker itself is asked, since it loads them.
fn libraries(trainer: &Path) -> R<Vec<PathBuf>> {
    let fault = |why: String| Refusal::new(Code::WorkerFailed, format!("{}: {why}", trainer.display()));
    let answer = Command::new(trainer)
        .arg("--library-paths")
        .env_clear()
        .output()
        .map_err(|e| fault(format!("cannot be started: {e}")))?;
    let text = String::from_utf8(answer.stdout).map_err(|_| fault("library paths are not UTF-8".into()))?;
    if !answer.status.success() {
        return Err(fault("does not name its libraries".into()));
    }
    let mut paths: Vec<PathBuf> = text.lines().filter(|l| !l.is_empty()).map(PathBuf::from).collect();
    paths.sort();
    if paths.iter().any(|p| !p.is_absolute()) || paths.len() > 64 {
        return Err(fault("names its libraries in a way that is not understood".into()));
    }
    Ok(paths)
}
