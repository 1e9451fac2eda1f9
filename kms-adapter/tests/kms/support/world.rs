//! A world: people, papers, log, and one key service on a free port of loopback with a clock that the test sets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use kms_adapter::{Clock, Config, Profile, Running, Service};
use schemas::bundle::{JobBundle, Logged};
use schemas::contract::{Assurance, Contract, ContractRef};
use schemas::dataset::DatasetOffer;
use schemas::evidence::ImageSet;
use schemas::job::JobSpec;
use schemas::party::Kind;
use schemas::release::{KeyImport, KmsInfo};
use schemas::{Envelope, Timestamp};
use sealing::DatasetKey;
use serde_json::Value;
use signing::FileKey;

use super::http::{self, Answer};
use super::log::Log;
use super::papers::{self, Table};
use super::people::{ORIGIN, People, software_root, start, uuid};

pub const OTHER_KMS: &str = "https://kms.other.example";

type Change<T> = Box<dyn Fn(&mut T)>;

/// What is spoilt before it is signed, and how much the import asks for.
pub struct Changes {
    pub offer: Change<DatasetOffer>,
    /// The other provider's.
    pub other_offer: Change<DatasetOffer>,
    pub contract: Change<Contract>,
    pub job: Change<JobSpec>,
    pub image_set: Change<ImageSet>,
    pub config: Change<Config>,
    pub min_assurance: Assurance,
    /// Our provider's key: `people.tdp`.
    pub provider: Box<dyn Fn() -> FileKey>,
    /// The key that the SRO vouches for instead, under the same DID; it signs offer and contract.
    pub impostor: Option<FileKey>,
}

impl Default for Changes {
    fn default() -> Changes {
        Changes {
            offer: Box::new(|_| ()),
            other_offer: Box::new(|_| ()),
            contract: Box::new(|_| ()),
            job: Box::new(|_| ()),
            image_set: Box::new(|_| ()),
            config: Box::new(|_| ()),
            min_assurance: Assurance::Software,
            provider: Box::new(|| FileKey::generate().unwrap()),
            impostor: None,
        }
    }
}

pub struct World {
    pub people: People,
    pub log: Mutex<Log>,
    pub dir: PathBuf,
    pub config: Config,
    pub running: Option<Running>,
    pub info: KmsInfo,
    pub key: DatasetKey,
    pub bundle: JobBundle,
    pub contract: ContractRef,
    pub terms: Contract,
    pub image_set: Logged<ImageSet>,
    pub tables: [Table; 2],
    pub import: Envelope<KeyImport>,
    now: Arc<AtomicI64>,
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.running.take());
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The folder and configuration of a fresh key service on a free port.
pub fn prepare(people: &People, profile: Profile) -> (PathBuf, Config) {
    let dir = std::env::temp_dir().join(format!("depa-kms-{}", uuid()));
    std::fs::create_dir_all(&dir).unwrap();
    let trust = dir.join("trust.json");
    std::fs::write(&trust, serde_json::to_vec(&people.trust()).unwrap()).unwrap();
    let mut config = Config::new(profile, "http://127.0.0.1:0", &dir.join("kms"), &people.tdp.did().unwrap(), &trust);
    config.listen = "127.0.0.1:0".parse().unwrap();
    (dir, config)
}

impl World {
    pub fn new() -> World {
        World::with(Changes::default())
    }

    pub fn with(changes: Changes) -> World {
        let people = People::with_provider((changes.provider)());
        let (dir, mut config) = prepare(&people, Profile::Demo);
        config.software_roots = vec![software_root().pin()];
        config.database = crate::database::url();
        (changes.config)(&mut config);
        kms_adapter::init(&config).unwrap();
        let now = Arc::new(AtomicI64::new(start().micros()));
        let running = Service::start(config.clone(), clock(&now)).unwrap();
        let url = running.url().to_owned();
        config.listen = url.strip_prefix("http://").unwrap().parse().unwrap();
        config.url = url.clone();
        let info: KmsInfo = http::get(&format!("{url}/v1/kms"), None).unwrap();

        let tables = [Table::new("a"), Table::new("b")];
        let key = DatasetKey::random().unwrap();
        let import = sign_import(&people, &tables[0], &info, &key, changes.min_assurance);
        let _: Value = http::post(&format!("{url}/v1/keys"), &import).unwrap();

        let mut log = Log::default();
        let registry = &people.registry;
        let tdp = changes.impostor.as_ref().unwrap_or(&people.tdp);
        let participants =
            [(tdp, Kind::Tdp), (&people.other_tdp, Kind::Tdp), (&people.tdc, Kind::Tdc), (&people.ccrp, Kind::Ccrp)]
                .map(|(key, kind)| people.participant(&mut log, key, kind));
        let image_set = people.image_set(&mut log, &*changes.image_set);
        let image_set_id = image_set.envelope.read_unverified().unwrap().image_set_id;

        let mut ours = papers::offer(&people, &people.tdp, &tables[0], &url, &info.sign_jwk);
        (changes.offer)(&mut ours);
        let other_kms = papers::jwk(&people.other_kms);
        let mut theirs = papers::offer(&people, &people.other_tdp, &tables[1], OTHER_KMS, &other_kms);
        (changes.other_offer)(&mut theirs);
        let offers = [(ours, tdp), (theirs, &people.other_tdp)].map(|(offer, key)| {
            let envelope = People::sign(&offer, &[key]);
            (offer, log.enter(envelope, ORIGIN, registry, start()))
        });
        let datasets =
            offers.iter().map(|(offer, logged)| papers::contracted(offer, logged.envelope.digest())).collect();
        let mut terms = papers::contract(&people, datasets, &image_set_id);
        (changes.contract)(&mut terms);
        let signers = [tdp, &people.other_tdp, &people.tdc, &people.ccrp];
        let contract = log.enter(People::sign(&terms, &signers), ORIGIN, registry, start());
        let reference = ContractRef { id: terms.contract_id.clone(), sha256: contract.envelope.digest() };
        let mut job = papers::job(&people, vec![reference.clone()], [&tables[0], &tables[1]], &image_set_id);
        (changes.job)(&mut job);
        let bundle = JobBundle {
            job: People::sign(&job, &[&people.tdc]),
            contracts: vec![contract],
            offers: offers.map(|(_, logged)| logged).to_vec(),
            participants: participants.to_vec(),
            image_set: image_set.clone(),
            renewals: vec![],
            log_keys: None,
        };
        World {
            people,
            log: Mutex::new(log),
            dir,
            config,
            running: Some(running),
            info,
            key,
            bundle,
            contract: reference,
            terms,
            image_set,
            tables,
            import,
            now,
        }
    }

    pub fn url(&self) -> &str {
        &self.config.url
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.config.url)
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    /// The hands of the clock, for who lets time pass from elsewhere: a backend that thinks for long.
    #[allow(dead_code)]
    pub fn hands(&self) -> Arc<AtomicI64> {
        self.now.clone()
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The contract in its next version, with a job under it. Papers of before are the caller's to keep.
    #[allow(dead_code)]
    pub fn amend(&mut self, change: impl FnOnce(&mut Contract)) {
        let people = &self.people;
        let mut terms = self.terms.clone();
        terms.version += 1;
        terms.supersedes = Some(self.contract.sha256);
        change(&mut terms);
        let signers = [&people.tdp, &people.other_tdp, &people.tdc, &people.ccrp];
        let envelope = People::sign(&terms, &signers);
        let contract = self.log.lock().unwrap().enter(envelope, ORIGIN, &people.registry, self.now());
        self.contract.sha256 = contract.envelope.digest();
        let image_set = self.image_set.envelope.read_unverified().unwrap().image_set_id;
        let job = papers::job(people, vec![self.contract.clone()], [&self.tables[0], &self.tables[1]], &image_set);
        self.bundle.job = People::sign(&job, &[&people.tdc]);
        self.bundle.contracts = vec![contract];
        self.terms = terms;
    }

    /// Ends the service. Its last thread closes the database a moment later, and SQLite then takes its side file away: who
    /// goes on to touch the file waits for that.
    pub fn stop(&mut self) {
        drop(self.running.take());
        let beside = self.config.dir.join("kms.sqlite-wal");
        let begun = std::time::Instant::now();
        while beside.exists() && begun.elapsed() < std::time::Duration::from_secs(30) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn restart(&mut self) -> schemas::R<()> {
        self.running = Some(Service::start(self.config.clone(), clock(&self.now))?);
        Ok(())
    }

    pub fn database(&self) -> PathBuf {
        self.config.database_file()
    }

    /// The ledger as the provider reads it.
    pub fn budget(&self) -> Value {
        let jti = uuid().simple().to_string();
        let token = signing::token::assertion(&self.people.tdp, self.url(), jti, self.now()).unwrap();
        http::get(&self.at("/v1/budget"), Some(&token)).unwrap()
    }

    /// States of all charges in the order of their entry.
    pub fn charges(&self) -> Vec<String> {
        let events = self.budget()["ledgers"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|l| l["events"].as_array().unwrap().clone())
            .collect::<Vec<_>>();
        events.iter().map(|e| e["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts a refusal with this code that changed no charge and handed out no key.
    pub fn refuses<T: std::fmt::Debug>(&self, code: schemas::Code, act: impl FnOnce() -> Answer<T>) {
        let before = self.charges();
        let refused = act().expect_err("a refusal is expected");
        assert_eq!(refused.code, code, "{}", refused.text);
        assert!(!refused.text.contains("jwe") && !refused.text.contains("eyJ"), "{}", refused.text);
        assert_eq!(self.charges(), before, "a refusal changed the ledger");
    }
}

/// The clock of a world, for another service in it.
pub fn clock_of(world: &World) -> Clock {
    clock(&world.now)
}

pub fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = now.clone();
    Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst)))
}

pub fn sign_import(
    people: &People,
    table: &Table,
    info: &KmsInfo,
    key: &DatasetKey,
    least: Assurance,
) -> Envelope<KeyImport> {
    let bound = sealing::wrap::import_context(&table.key_id, &table.manifest_root);
    let import = KeyImport {
        schema: "kms-key.v1".into(),
        registry: people.registry_did(),
        kms: info.kms.clone(),
        key_id: table.key_id.clone(),
        provider: people.tdp.did().unwrap(),
        dataset_id: table.dataset_id.clone(),
        version: 1,
        manifest_root: table.manifest_root,
        min_assurance: least,
        jwe: signing::jose::wrap_key(key.expose(), &info.import_jwk, &bound).unwrap(),
        at: start(),
    };
    People::sign(&import, &[&people.tdp])
}
