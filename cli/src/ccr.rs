//! The clean-room provider's hand: an agent that takes queued runs, and the tools to say what a room measures to.

pub mod agent;

use std::path::Path;
use std::process::{Command, Stdio};

use schemas::{Code, R, Refusal, canonical};

use crate::image_set::Measurement;

/// Asks a `ccr` binary what it measures to under a configuration.
pub fn measure(ccr: &Path, config: &Path) -> R<Measurement> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{} measure: {why}", ccr.display()));
    let answer = Command::new(ccr)
        .arg("measure")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| fault(format!("cannot be started: {e}")))?;
    if !answer.status.success() {
        return Err(fault(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
    }
    canonical::parse(&answer.stdout)
        .map_err(|e| fault(format!("gave an answer that is not understood: {}", e.sentence)))
}

/// Makes the root of a software attester in a new folder. SIMULATED: whoever holds it can claim to be any room.
#[cfg(feature = "software-attester")]
pub fn software_root(folder: &Path, now: schemas::Timestamp) -> R<schemas::Digest> {
    let root = attestation::software::SoftwareRoot::create(now)?;
    root.save(folder)?;
    Ok(root.pin())
}
