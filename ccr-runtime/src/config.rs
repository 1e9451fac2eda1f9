//! Configuration of a room: one TOML file, measured with the binaries; unknown keys are refused.

use std::path::{Path, PathBuf};

use schemas::evidence::EvidenceKind;
use schemas::worker::Device;
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::second_gate;

/// `demo` or `production`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Software evidence and loopback HTTP are allowed, and called so.
    Demo,
    /// Hardware evidence only.
    Production,
}

/// The one variable that a room heeds.
const PROFILE: &str = "DEPA_CCR__PROFILE";

/// Everything a room is told from outside. Its bytes are part of the software measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `demo` or `production`.
    pub profile: Profile,
    /// Base URL of the contract service.
    pub contract_service: String,
    /// File with the pinned trust (`depa trust fetch`).
    pub trust: PathBuf,
    /// The worker binary.
    pub trainer: PathBuf,
    /// Where the worker's tensors lie: `auto`, `cpu` or `cuda`; profile `production` takes no card ([`Config::device`]).
    #[serde(default, skip_serializing_if = "Device::is_auto")]
    pub device: Device,
    /// Kind of evidence to show.
    pub evidence: EvidenceKind,
    /// Folder of the SIMULATED root, for software evidence.
    #[serde(default)]
    pub software_root: Option<PathBuf>,
    /// SIMULATED: the way to a software TPM that signs the quotes (`swtpm:host=127.0.0.1,port=2321`); without it the
    /// room signs them itself.
    #[serde(default)]
    pub swtpm: Option<String>,
    /// Folder with `vcek`, `ask` and `ark` (`.der` or `.pem`) of a bare guest whose host hands over none.
    #[serde(default)]
    pub platform_certificates: Option<PathBuf>,
    /// Where tokens for key services behind a second gate come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maa: Option<second_gate::Settings>,
    /// Folders below which `file:` locations may be read and written.
    #[serde(default)]
    pub storage_roots: Vec<PathBuf>,
    /// Buckets that `s3:`, `az:`, `abfss:` and `gs:` locations may lie in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<objects::Store>,
    /// Largest sealed object that is fetched, in bytes.
    #[serde(default = "default_max_object")]
    pub max_object_bytes: u64,
    /// Seconds after which a silent worker is stopped.
    #[serde(default = "default_worker_seconds")]
    pub worker_timeout_seconds: u64,
    /// What else counts as a trustworthy platform where rooms of a group judge each other: newer platform data, revocation
    /// lists, vTPM roots, chips, as services are told. Paths that are not absolute lie beside this file.
    #[serde(default, skip_serializing_if = "collateral::Settings::is_default")]
    pub platform: collateral::Settings,
}

fn default_max_object() -> u64 {
    1 << 30
}

fn default_worker_seconds() -> u64 {
    3600
}

impl Config {
    /// Reads and checks a configuration file; returns it with the digest of its bytes.
    pub fn load(path: &Path) -> R<(Config, Digest)> {
        Config::load_in(path, std::env::var(PROFILE).ok().as_deref())
    }

    /// The same in an environment that may say `production` too. Nothing else of the environment counts, since it is
    /// not measured, and `production` only makes a room stricter.
    fn load_in(path: &Path, profile: Option<&str>) -> R<(Config, Digest)> {
        let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| fault("not UTF-8".into()))?;
        let mut config: Config = toml::from_str(text).map_err(|e| fault(e.to_string()))?;
        match (profile, config.profile) {
            (None, _) | (Some("production"), Profile::Production) | (Some("demo"), Profile::Demo) => {}
            (Some("production"), Profile::Demo) => config.profile = Profile::Production,
            (Some(_), _) => {
                return Err(fault(format!("{PROFILE} may say production and nothing weaker than the file")));
            }
        }
        config.platform = config.platform.beside(path.parent().unwrap_or(Path::new("")));
        config.check()?;
        Ok((config, Digest::of(&bytes)))
    }

    /// What is set and who said so, without secrets.
    pub fn shown(path: &Path) -> R<settings::Shown> {
        let (config, _) = Config::load(path)?;
        settings::show(&config, path, "DEPA_CCR__", std::env::vars().filter(|(name, _)| name == PROFILE))
    }

    /// Where the worker's tensors lie. In profile `production` that is never a card, whatever its host plugs in: a card has
    /// memory of its own, whose evidence nobody here appraises.
    pub fn device(&self) -> Device {
        match self.profile {
            Profile::Production => Device::Cpu,
            Profile::Demo => self.device,
        }
    }

    /// Refuses what production must not do, and what cannot work.
    pub fn check(&self) -> R<()> {
        let software = self.evidence == EvidenceKind::Software;
        let simulated = software || self.software_root.is_some() || self.swtpm.is_some();
        if self.profile == Profile::Production && simulated {
            return Err(
                Refusal::new(Code::ProductionRefused, "profile production shows no software evidence").at("evidence")
            );
        }
        if self.profile == Profile::Production && self.device == Device::Cuda {
            let sentence = "profile production trains on no card: nobody here appraises its evidence";
            return Err(Refusal::new(Code::ProductionRefused, sentence).at("device"));
        }
        if self.profile == Profile::Production && attestation::SOFTWARE_ATTESTER {
            return Err(Refusal::new(
                Code::ProductionRefused,
                "this build carries the software attester; build ccr without the feature software-attester for production",
            ));
        }
        if software && self.software_root.is_none() {
            return Err(Refusal::new(Code::ConfigInvalid, "software evidence needs software_root").at("software_root"));
        }
        if let Some(maa) = &self.maa {
            maa.check()?;
        }
        objects::store::check(&self.stores, self.profile == Profile::Demo)?;
        if self.swtpm.is_some() && !software {
            return Err(Refusal::new(Code::ConfigInvalid, "a software TPM shows software evidence only").at("swtpm"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            profile: Profile::Demo,
            contract_service: "http://localhost:1".into(),
            trust: "trust.json".into(),
            trainer: "ccr-trainer".into(),
            device: Device::Auto,
            evidence: EvidenceKind::Software,
            software_root: Some("root".into()),
            swtpm: None,
            platform_certificates: None,
            maa: None,
            storage_roots: vec![],
            stores: vec![],
            max_object_bytes: 1,
            worker_timeout_seconds: 1,
            platform: collateral::Settings::default(),
        }
    }

    #[test]
    fn production_shows_no_software_evidence() {
        config().check().unwrap();
        let production = Config { profile: Profile::Production, ..config() };
        assert_eq!(production.check().unwrap_err().code, Code::ProductionRefused);
        let hidden = Config { evidence: EvidenceKind::AzureSnp, ..production };
        assert_eq!(hidden.check().unwrap_err().code, Code::ProductionRefused);
        let bare = Config { software_root: None, ..hidden.clone() };
        assert_eq!(bare.check().is_ok(), !attestation::SOFTWARE_ATTESTER);
        let card = Config { device: Device::Cuda, ..bare.clone() }.check().unwrap_err();
        assert_eq!((card.code, card.field.as_deref()), (Code::ProductionRefused, Some("device")));
        let tpm = Config { swtpm: Some("swtpm".into()), ..bare };
        assert_eq!(tpm.check().unwrap_err().code, Code::ProductionRefused);
        let tpm = Config { profile: Profile::Demo, ..tpm };
        assert_eq!(tpm.check().unwrap_err().code, Code::ConfigInvalid);
        let rootless = Config { software_root: None, ..config() };
        assert_eq!(rootless.check().unwrap_err().code, Code::ConfigInvalid);
    }

    #[test]
    fn the_environment_makes_a_room_stricter_and_never_weaker() {
        let path = std::env::temp_dir().join(format!("ccr-config-{}.toml", std::process::id()));
        std::fs::write(&path, toml::to_string(&config()).unwrap()).unwrap();
        assert_eq!(Config::load_in(&path, None).unwrap().0.profile, Profile::Demo);
        assert_eq!(Config::load_in(&path, Some("demo")).unwrap().0.profile, Profile::Demo);
        assert_eq!(Config::load_in(&path, Some("production")).unwrap_err().code, Code::ProductionRefused);
        assert_eq!(Config::load_in(&path, Some("any")).unwrap_err().code, Code::ConfigInvalid);
        std::fs::write(&path, toml::to_string(&Config { profile: Profile::Production, ..config() }).unwrap()).unwrap();
        assert_eq!(Config::load_in(&path, Some("demo")).unwrap_err().code, Code::ConfigInvalid);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_set_names_who_said_so() {
        let path = std::env::temp_dir().join(format!("ccr-shown-{}.toml", std::process::id()));
        let text = "profile = \"demo\"\ncontract_service = \"http://localhost:1\"\ntrust = \"t\"\ntrainer = \"w\"\n\
                    evidence = \"azure-snp\"\n";
        std::fs::write(&path, text).unwrap();
        let shown = Config::shown(&path).unwrap().text(true);
        std::fs::remove_file(&path).unwrap();
        for line in [
            format!("evidence = \"azure-snp\"  # {}:5", path.display()),
            "worker_timeout_seconds = 3600  # default".into(),
        ] {
            assert!(shown.lines().any(|one| one == line), "{line} in {shown}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = toml::to_string(&config()).unwrap();
        assert!(toml::from_str::<Config>(&text).is_ok());
        assert!(toml::from_str::<Config>(&format!("surprise = 1\n{text}")).is_err());
    }
}
