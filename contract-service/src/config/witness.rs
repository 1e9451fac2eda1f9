//! Log witnesses: those that are asked, and the configuration of one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemas::R;
use schemas::jwk::Jwk;
use serde::{Deserialize, Serialize};

use super::file::read;
use super::{invalid, loopback_only};

/// A log witness to which every checkpoint is pushed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessPeer {
    /// Base URL.
    pub url: String,
    /// Name on its cosignature lines.
    pub name: String,
    /// Its key; cosignatures that do not verify are not published.
    pub jwk: Jwk,
}

impl WitnessPeer {
    /// The witness as relying parties know it.
    pub fn key(&self) -> signing::book::WitnessKey {
        signing::book::WitnessKey { name: self.name.clone(), jwk: self.jwk.clone() }
    }
}

/// Configuration of a log witness.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Address to listen on; loopback only.
    pub bind: SocketAddr,
    /// Folder of what it has cosigned.
    pub data_dir: PathBuf,
    /// Its signing key, mode 0600.
    pub key_file: PathBuf,
    /// Name on its cosignature lines, like `witness.example/w1`.
    pub name: String,
    /// Files with the trust of the logs it follows, as `/v1/trust` prints it.
    pub trust_files: Vec<PathBuf>,
}

impl WitnessConfig {
    /// The same with key and folder named beside the configuration file, as [`WitnessConfig::load`] reads them.
    pub fn beside_its_file(self) -> WitnessConfig {
        WitnessConfig { data_dir: "data".into(), key_file: "witness.key".into(), ..self }
    }

    /// The configuration as TOML.
    pub fn text(&self) -> R<String> {
        toml::to_string_pretty(self).map_err(|e| invalid(e.to_string()))
    }

    /// Reads the file and the environment and resolves paths against the file's folder.
    pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<WitnessConfig> {
        let mut config: WitnessConfig = read(path, env)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.data_dir = folder.join(&config.data_dir);
        config.key_file = folder.join(&config.key_file);
        for file in &mut config.trust_files {
            *file = folder.join(&*file);
        }
        loopback_only(&config.bind)?;
        Ok(config)
    }
}
