//! A registry in a temporary folder with its actors: two SRO people, two TDPs with a KMS each, TDC, room provider, PSP.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use registry::{Entry, Options, Registry};
use schemas::contract::{Contract, ContractRef};
use schemas::dataset::DatasetOffer;
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::party::{Decision, Kind};
use schemas::{Document, Envelope, R, Signer, Timestamp};
use signing::FileKey;
use uuid::Uuid;

use crate::papers;

/// A house of actors around one registry.
pub struct House {
    pub dir: PathBuf,
    pub registry: Registry,
    pub options: Options,
    pub sro: [FileKey; 3],
    pub tdps: [FileKey; 2],
    pub kms: [FileKey; 2],
    pub tdc: FileKey,
    pub ccrp: FileKey,
    pub psp: FileKey,
    /// Whether the second provider gives its table the first one's family id.
    pub same_family: bool,
    clock: AtomicU64,
    /// Sequence and head of each KMS's journal.
    pub journals: [(u64, schemas::Digest); 2],
}

impl Drop for House {
    fn drop(&mut self) {
        // After every test.
        if !std::thread::panicking() {
            self.registry.state().check_books().unwrap();
        }
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

pub fn start() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

pub fn uuid() -> Uuid {
    Uuid::now_v7()
}

fn key(n: u8) -> FileKey {
    let did = signing::did::key_did(FileKey::from_seed("did:web:x", &[n; 32]).jwk()).unwrap();
    FileKey::from_seed(did.as_str(), &[n; 32])
}

pub fn options(dir: &std::path::Path) -> Options {
    let registry = Did::parse("did:web:sro.example").unwrap();
    let person =
        |n: u8| SroPerson { did: key(n).did().unwrap(), jwk: key(n).jwk().clone(), name: format!("Person {n}") };
    Options {
        url: crate::database::url(dir),
        origin: "sro.example/log".into(),
        signer: Arc::new(FileKey::from_seed(registry.as_str(), &[100; 32])),
        registry,
        sro: vec![person(1), person(2)],
        next: Arc::default(),
        readers: 2,
    }
}

pub fn folder() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-registry-{}", uuid()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

impl House {
    /// An opened registry whose log holds the genesis entry only.
    pub fn empty() -> House {
        let dir = folder();
        let options = options(&dir);
        let kms = |tdp: u8, n: u8| FileKey::from_seed(key(tdp).did().unwrap().as_str(), &[n; 32]);
        House {
            registry: Registry::open(options.clone(), start()).unwrap(),
            dir,
            options,
            sro: [key(1), key(2), key(3)],
            tdps: [key(11), key(12)],
            kms: [kms(11, 21), kms(12, 22)],
            tdc: key(13),
            ccrp: key(14),
            psp: key(15),
            same_family: false,
            clock: AtomicU64::new(0),
            journals: [(0, schemas::Digest([0; 32])), (0, schemas::Digest([0; 32]))],
        }
    }

    /// Everybody verified, an image set approved, two offers registered.
    pub fn furnished() -> House {
        House::empty().furnish()
    }

    /// [`House::furnished`] of an empty house.
    pub fn furnish(self) -> House {
        let house = self;
        for (who, kind) in [
            (&house.tdps[0], Kind::Tdp),
            (&house.tdps[1], Kind::Tdp),
            (&house.tdc, Kind::Tdc),
            (&house.ccrp, Kind::Ccrp),
            (&house.psp, Kind::Psp),
        ] {
            house.admit(who, kind);
        }
        house.enter(Body::ImageSetApproved { image_set: house.by_sro(&papers::image_set()) }).unwrap();
        for n in 0..2 {
            house.enter(Body::DatasetRegistered { offer: house.offer(n) }).unwrap();
        }
        house
    }

    /// The clock: one second on at every look.
    pub fn now(&self) -> Timestamp {
        start().plus_seconds(self.clock.fetch_add(1, Ordering::Relaxed) as i64)
    }

    pub fn skip(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn sign<T: Document>(&self, document: &T, who: &FileKey) -> Envelope<T> {
        signing::sign(document, who, start()).unwrap()
    }

    pub fn by_sro<T: Document>(&self, document: &T) -> Envelope<T> {
        let mut envelope = self.sign(document, &self.sro[0]);
        envelope.signatures.push(signing::countersign(&envelope, &self.sro[1], start()).unwrap());
        envelope
    }

    /// Verifies and enters.
    pub fn enter(&self, body: Body) -> R<Entry> {
        self.registry.append(self.registry.verify(body)?, self.now())
    }

    pub fn apply(&self, who: &FileKey, kind: Kind) -> R<Entry> {
        let application = self.sign(&papers::participant(who, kind), who);
        self.enter(Body::ParticipantApplied { application, resolution: None })
    }

    pub fn decide(&self, who: &FileKey, decision: Decision) -> R<Entry> {
        let state = self.registry.state();
        let row = state.participant(&who.did().unwrap()).unwrap();
        let decision = papers::decision(row, decision, self.now());
        self.enter(Body::ParticipantDecided { decision: self.by_sro(&decision) })
    }

    pub fn admit(&self, who: &FileKey, kind: Kind) {
        self.apply(who, kind).unwrap();
        self.decide(who, Decision::Verified).unwrap();
    }

    pub fn offer(&self, n: usize) -> Envelope<DatasetOffer> {
        let mut offer = papers::offer(n, &self.tdps[n], &self.kms[n]);
        if self.same_family {
            offer.family = papers::offer(0, &self.tdps[0], &self.kms[0]).family;
        }
        self.sign(&offer, &self.tdps[n])
    }

    pub fn draft(&self) -> Contract {
        papers::contract([self.offer(0), self.offer(1)], &self.tdc.did().unwrap(), &self.ccrp.did().unwrap())
    }

    /// Proposes by the TDC.
    pub fn propose(&self, contract: &Contract) -> R<Envelope<Contract>> {
        let envelope = self.sign(contract, &self.tdc);
        self.enter(Body::ContractProposed { contract: envelope.clone() })?;
        Ok(envelope)
    }

    pub fn signature(&self, contract: &Envelope<Contract>, who: &FileKey) -> Body {
        let signature = signing::countersign(contract, who, start()).unwrap();
        Body::ContractSigned { contract: reference(contract), signature }
    }

    /// A contract that all parties have signed.
    pub fn executed(&self) -> (ContractRef, Entry) {
        let contract = self.propose(&self.draft()).unwrap();
        let mut last = None;
        for who in [&self.tdps[0], &self.tdps[1], &self.ccrp] {
            last = Some(self.enter(self.signature(&contract, who)).unwrap());
        }
        (reference(&contract), last.unwrap())
    }

    /// Closes the registry and opens the same database again.
    pub fn reopen(&mut self) -> R<()> {
        self.close();
        self.registry = Registry::open(self.options.clone(), self.now())?;
        Ok(())
    }

    /// Closes the registry. An empty one stands in for it.
    pub fn close(&mut self) {
        let spare = self.dir.join(uuid().to_string());
        std::fs::create_dir(&spare).unwrap();
        let stand_in = Registry::open(options(&spare), start()).unwrap();
        drop(std::mem::replace(&mut self.registry, stand_in));
    }

    /// The file, where there is one.
    #[allow(dead_code)]
    pub fn database(&self) -> PathBuf {
        self.dir.join("registry.db")
    }
}

pub fn reference(contract: &Envelope<Contract>) -> ContractRef {
    ContractRef { id: contract.read_unverified().unwrap().contract_id, sha256: contract.digest() }
}
