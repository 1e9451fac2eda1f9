//! The clean-room provider: configures a room, says what it measures to, and has an agent take queued runs.

use std::fs;
use std::path::{Path, PathBuf};

use attestation::software::{SoftwareAttester, SoftwareRoot};
use ccr_runtime::{Config, Room};
use depa::image_set::Measurement;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::{Code, Digest, Envelope, R, Refusal};

use super::Person;

/// The demo's clean-room provider.
#[derive(Debug)]
pub struct Ccrp {
    /// Who it is.
    pub person: Person,
    /// The warden's binary.
    pub ccr: PathBuf,
    /// The worker's binary.
    pub trainer: PathBuf,
    /// Folder of the SIMULATED attestation root.
    pub root: PathBuf,
    /// Its pin, which demo profiles are told.
    pub pin: Digest,
}

impl Ccrp {
    /// The room's configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.person.dir.join("ccr.toml")
    }

    /// The room's configuration.
    pub fn config(&self, desk: &str, trust: &Path, storage: &Path) -> Config {
        Config {
            profile: ccr_runtime::config::Profile::Demo,
            contract_service: desk.to_owned(),
            trust: trust.to_owned(),
            trainer: self.trainer.clone(),
            device: Default::default(),
            evidence: EvidenceKind::Software,
            software_root: Some(self.root.clone()),
            swtpm: None,
            platform_certificates: None,
            maa: None,
            storage_roots: vec![storage.to_owned()],
            stores: vec![],
            max_object_bytes: 1 << 30,
            worker_timeout_seconds: 600,
            platform: Default::default(),
        }
    }

    /// Writes the configuration; its bytes are part of what the room measures to.
    pub fn configure(&self, desk: &str, trust: &Path, storage: &Path) -> R<()> {
        let text = toml::to_string(&self.config(desk, trust, storage));
        let text = text.map_err(|e| Refusal::new(Code::Internal, format!("the room's configuration: {e}")))?;
        depa::edge::write_new(&self.config_file(), text.as_bytes())
    }

    /// Asks the `ccr` binary what it measures to: digests of it, the worker, the libtorch files and the configuration.
    pub fn measure(&self) -> R<Measurement> {
        depa::ccr::measure(&self.ccr, &self.config_file())
    }

    /// The same without starting `ccr`: for a room in this process.
    pub fn measure_here(&self) -> R<Measurement> {
        let file = self.config_file();
        let (config, _) = Config::load(&file)?;
        Ok(depa::image_set::software(ccr_runtime::measure::measurement_of(&self.ccr, &config, &file)?))
    }

    /// Drafts the image set of a measurement, for two SRO people to approve.
    pub fn image_set(&self, measured: &Measurement) -> R<Envelope<ImageSet>> {
        let person = &self.person;
        depa::image_set::draft(
            "demo room (SIMULATED)",
            measured,
            365,
            person.trust()?,
            depa::edge::fresh(),
            person.now(),
        )
    }

    /// A room in this process that shows software evidence for this measurement. Every member may be changed before
    /// `ccr_runtime::run` is called: another attester, a transport hook, another worker.
    pub fn room(&self, measurement: Digest) -> R<Room> {
        let person = &self.person;
        let (config, _) = Config::load(&self.config_file())?;
        let attester = SoftwareAttester::new(SoftwareRoot::load(&self.root)?, measurement)?;
        let desk = contract_client::Client::new(&config.contract_service, None)?.with_clock(person.clock.clone());
        let trust = Room::load_trust(&config)?;
        let clock = person.clock.clone();
        Ok(Room {
            config,
            trust,
            attester: Box::new(attester),
            clock,
            desk,
            members: Vec::new(),
            lease_token: None,
            second_gate: None,
            hook: None,
            stop: Default::default(),
        })
    }
}

/// Makes a SIMULATED attestation root in a folder; `bits` of its RSA keys: 4,096 as AMD's, fewer for quick tests.
pub(crate) fn software_root(folder: &Path, bits: u32, now: schemas::Timestamp) -> R<Digest> {
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", folder.display()));
    fs::create_dir_all(folder).map_err(fault)?;
    let root = SoftwareRoot::create_with(bits, now)?;
    root.save(folder)?;
    Ok(root.pin())
}
