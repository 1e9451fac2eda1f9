//! A running service in a temporary folder, with its actors: two SRO people, two TDPs with a KMS each, TDC, room
//! provider, payment provider.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use attestation::software::{SoftwareAttester, SoftwareRoot};
use contract_client::{Client, Hook};
use contract_service::{Clock, Config, Running, Service, init};
use schemas::contract::{Contract, ContractRef};
use schemas::event::SroPerson;
use schemas::id::Did;
use schemas::party::{Decision, Kind, ParticipantDecision};
use schemas::{Digest, Document, Envelope, R, Signer, Timestamp};
use signing::{FileKey, Trust};

use crate::papers;

pub struct House {
    pub dir: PathBuf,
    pub running: Option<Running>,
    pub config: Config,
    pub client: Client,
    pub sro: [Arc<FileKey>; 2],
    pub tdps: [Arc<FileKey>; 2],
    pub kms: [FileKey; 2],
    pub tdc: Arc<FileKey>,
    pub ccrp: Arc<FileKey>,
    pub psp: Arc<FileKey>,
    clock: Arc<AtomicI64>,
    /// Sequence and head of each KMS's journal.
    pub journals: [(u64, Digest); 2],
}

impl Drop for House {
    fn drop(&mut self) {
        // After every test.
        if let Some(running) = self.running.as_ref().filter(|_| !std::thread::panicking()) {
            running.check_books().unwrap();
        }
        drop(self.running.take());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// The software platform of the tests: its pin, and an attester for the approved code.
pub fn platform() -> &'static (Digest, SoftwareAttester, SoftwareAttester) {
    static PLATFORM: OnceLock<(Digest, SoftwareAttester, SoftwareAttester)> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let root = SoftwareRoot::create_with(2048, start()).unwrap();
        let approved = SoftwareAttester::new(root.clone(), papers::measurement()).unwrap();
        let changed = SoftwareAttester::new(root.clone(), Digest([2; 32])).unwrap();
        (root.pin(), approved, changed)
    })
}

pub fn start() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

pub fn folder() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-desk-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn key() -> Arc<FileKey> {
    Arc::new(FileKey::generate().unwrap())
}

/// A KMS key stands under its provider's DID.
fn kms_key(tdp: &FileKey) -> FileKey {
    FileKey::generate_for(&tdp.did().unwrap()).unwrap()
}

impl House {
    /// A service whose log holds the genesis entry only.
    pub fn empty() -> House {
        House::with(|_| {})
    }

    /// The same with a changed configuration.
    pub fn with(change: impl FnOnce(&mut Config)) -> House {
        let (sro, tdps) = ([key(), key()], [key(), key()]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let people = sro.iter().zip(["Asha", "Bela"]).map(|(key, name)| person(key, name)).collect();
        let dir = folder();
        let mut config = init(&dir.join("sro"), &url, people).unwrap();
        config.software_roots = vec![platform().0];
        config.webhooks.poll_millis = 20;
        config.database = crate::database::url();
        change(&mut config);
        let clock = Arc::new(AtomicI64::new(start().micros()));
        let running = Some(Service::start_on(listener, config.clone(), ticking(&clock)).unwrap());
        let client = Client::new(&url, None).unwrap().with_clock(ticking(&clock));
        let kms = [kms_key(&tdps[0]), kms_key(&tdps[1])];
        let journals = [(0, Digest([0; 32])), (0, Digest([0; 32]))];
        House { dir, running, config, client, sro, tdps, kms, tdc: key(), ccrp: key(), psp: key(), clock, journals }
    }

    /// Stops the service, if it runs, and starts it again over the same files.
    pub fn restart(&mut self) {
        drop(self.running.take());
        self.running = Some(Service::start(self.config.clone(), self.clock()).unwrap());
        self.client = Client::new(self.url(), None).unwrap().with_clock(self.clock());
    }

    /// Everybody verified, an image set approved, two offers registered.
    pub fn furnished() -> House {
        House::empty().furnish()
    }

    pub fn furnish(self) -> House {
        let (tdps, tdc, ccrp, psp) = (&self.tdps, &self.tdc, &self.ccrp, &self.psp);
        let all =
            [(&tdps[0], Kind::Tdp), (&tdps[1], Kind::Tdp), (tdc, Kind::Tdc), (ccrp, Kind::Ccrp), (psp, Kind::Psp)];
        for (who, kind) in all {
            self.admit(who, kind);
        }
        self.client.approve_image_set(&self.by_sro(&papers::image_set(&self))).unwrap();
        for n in 0..2 {
            self.client.register_dataset(&self.sign(&papers::offer(&self, n), &self.tdps[n])).unwrap();
        }
        self
    }

    pub fn trust(&self) -> &Trust {
        &self.running.as_ref().unwrap().trust
    }

    pub fn registry(&self) -> Did {
        self.config.did().unwrap()
    }

    pub fn url(&self) -> &str {
        self.client.url()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::Relaxed))
    }

    pub fn skip(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    pub fn clock(&self) -> Clock {
        ticking(&self.clock)
    }

    /// A client that acts for somebody.
    pub fn as_(&self, who: &Arc<FileKey>) -> Client {
        self.client.acting_for(who.clone())
    }

    /// A client whose calls pass through a hook.
    pub fn hooked(&self, hook: Arc<dyn Hook>) -> Client {
        Client::new(self.url(), Some(hook)).unwrap().with_clock(self.clock())
    }

    pub fn sign<T: Document>(&self, document: &T, who: &FileKey) -> Envelope<T> {
        signing::sign(document, who, self.now()).unwrap()
    }

    pub fn by_sro<T: Document>(&self, document: &T) -> Envelope<T> {
        let mut envelope = self.sign(document, &self.sro[0]);
        envelope.signatures.push(signing::countersign(&envelope, &*self.sro[1], self.now()).unwrap());
        envelope
    }

    pub fn decision(&self, who: &FileKey, kind: Kind, decision: Decision) -> ParticipantDecision {
        let application = Envelope::draft(&papers::participant(self, who, kind)).unwrap();
        papers::decision(self, who, application.digest(), decision)
    }

    pub fn admit(&self, who: &FileKey, kind: Kind) {
        self.client.apply(&self.sign(&papers::participant(self, who, kind), who)).unwrap();
        self.client.decide(&self.by_sro(&self.decision(who, kind, Decision::Verified))).unwrap();
    }

    /// Proposes by the TDC.
    pub fn propose(&self, contract: &Contract) -> R<Envelope<Contract>> {
        let envelope = self.sign(contract, &self.tdc);
        self.client.propose(&envelope).map(|_| envelope)
    }

    /// Signs a proposed contract by somebody.
    pub fn countersign(&self, contract: &Envelope<Contract>, who: &FileKey) -> R<schemas::desk::ContractAnswer> {
        let signature = signing::countersign(contract, who, self.now()).unwrap();
        let reference = reference(contract);
        self.client.sign_contract(&reference.id, reference.sha256, signature)
    }

    /// A contract that all parties have signed.
    pub fn executed(&self) -> ContractRef {
        let contract = self.propose(&papers::contract(self)).unwrap();
        for who in [&self.tdps[0], &self.tdps[1], &self.ccrp] {
            self.countersign(&contract, who).unwrap();
        }
        reference(&contract)
    }
}

fn person(key: &FileKey, name: &str) -> SroPerson {
    SroPerson { did: key.did().unwrap(), jwk: key.jwk().clone(), name: name.into() }
}

fn ticking(clock: &Arc<AtomicI64>) -> Clock {
    let clock = clock.clone();
    Arc::new(move || Timestamp::from_micros(clock.load(Ordering::Relaxed)))
}

pub fn reference(contract: &Envelope<Contract>) -> ContractRef {
    ContractRef { id: contract.read_unverified().unwrap().contract_id, sha256: contract.digest() }
}
