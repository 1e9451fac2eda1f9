//! The five reference scenarios: what becomes of the reference's own files, and safe variants that run.

pub mod check;

use std::path::{Path, PathBuf};

use scenarios::{Order, Scenario, Written};
use schemas::R;

use crate::edge;

/// Writes the safe variant of a scenario into a new folder.
///
/// # Errors
/// `CONFIG_INVALID` where something is there already, and where rows or tables do not fit the scenario.
pub fn new(order: &Order, dir: &Path) -> R<Written> {
    edge::vacant(dir)?;
    scenarios::write(order, dir)
}

/// The verdict on the reference's own files once their gaps are filled, as `check` finds it.
pub fn verdict(scenario: Scenario) -> schemas::Code {
    match scenario {
        Scenario::Covid | Scenario::CreditRisk | Scenario::Brats => schemas::Code::DeltaTooLarge,
        Scenario::Mnist | Scenario::Cifar10 => schemas::Code::PrivacyClauseMissing,
    }
}

/// A name for a model in a folder that no file has yet: `model.safetensors`, `model-2.safetensors`, …
pub fn free_name(dir: &Path) -> PathBuf {
    let name = |n: u32| dir.join(if n == 1 { "model.safetensors".into() } else { format!("model-{n}.safetensors") });
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1))
}
