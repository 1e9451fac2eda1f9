//! A small log with one did:web participant, its keys and the events about them.

use schemas::bundle::{BundledParticipant, Logged, LoggedKeyEvent};
use schemas::dataset::DatasetOffer;
use schemas::envelope::Document;
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::log::{CheckpointRef, Receipt, Record, body_digest, node_hash};
use schemas::party::{
    Decision, KeyAct, KeyEvent, KeyProof, KeyUse, Kind, Participant, ParticipantDecision, Resolution,
};
use schemas::text::Bytes;
use schemas::{Digest, Envelope, R, Signer};
use signing::book::{PinnedBook, Trust};
use signing::{FileKey, countersign, note, sign};

use crate::keys::{now, registry};

const ORIGIN: &str = "sro.example/log";
const SALT: [u8; 32] = [9; 32];

fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [one] => *one,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&root(&leaves[..k]), &root(&leaves[k..]))
        }
    }
}

fn path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut p, sibling) = if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
    p.push(sibling);
    p
}

pub fn did() -> Did {
    Did::parse("did:web:tdp.example").unwrap()
}

/// The key of the application.
pub fn first() -> FileKey {
    FileKey::from_seed(did().as_str(), &[5; 32])
}

/// An SRO person.
pub fn person(seed: u8) -> FileKey {
    let nameless = FileKey::from_seed("", &[seed; 32]);
    FileKey::from_seed(signing::did::key_did(nameless.jwk()).unwrap().as_str(), &[seed; 32])
}

/// A log, its registry, two SRO people, and a did:web with a first key.
pub struct World {
    pub registry_key: FileKey,
    pub people: [FileKey; 2],
    pub did: Did,
    pub first: FileKey,
    pub records: Vec<Record>,
    pub events: Vec<(usize, Envelope<KeyEvent>, Option<Resolution>)>,
}

impl World {
    pub fn new() -> World {
        let did = did();
        World {
            registry_key: FileKey::generate_for(&registry()).unwrap(),
            people: [person(1), person(2)],
            first: first(),
            did,
            records: vec![],
            events: vec![],
        }
    }

    pub fn trust(&self) -> Trust {
        let person = |k: &FileKey| SroPerson { did: k.did().unwrap(), name: "A person".into(), jwk: k.jwk().clone() };
        Trust {
            registry: registry(),
            registry_jwk: self.registry_key.jwk().clone(),
            origin: ORIGIN.into(),
            sro: self.people.iter().map(person).collect(),
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        }
    }

    pub fn append(&mut self, body: &Body) -> usize {
        self.records.push(Record {
            v: 1,
            kind: body.kind().into(),
            subject: Digest([1; 32]),
            seq: 1,
            at: now(),
            body_sha256: body_digest(&SALT, body).unwrap(),
            prev: Digest([0; 32]),
        });
        self.records.len() - 1
    }

    pub fn receipt(&self, index: usize) -> Receipt {
        let leaves: Vec<Digest> = self.records.iter().map(|r| r.leaf().unwrap()).collect();
        let head = CheckpointRef { size: leaves.len() as u64, root: root(&leaves) };
        Receipt {
            index: index as u64,
            record: self.records[index].clone(),
            body_salt: Bytes(SALT.to_vec()),
            path: path(index, &leaves),
            checkpoint: note::sign_checkpoint(ORIGIN, &head, &self.registry_key).unwrap().text(),
        }
    }

    pub fn offer(&mut self, key: &FileKey) -> usize {
        let offer = signed_offer(key);
        self.append(&Body::DatasetRegistered { offer })
    }

    /// Whether the offer at this index, signed by this key, counts.
    pub fn offered(&self, book: &PinnedBook, key: &FileKey, index: usize) -> R<()> {
        book.entered(Logged { envelope: signed_offer(key), receipt: self.receipt(index) }).map(drop)
    }

    pub fn event(&mut self, act: KeyAct, signers: &[&FileKey]) -> usize {
        let event = KeyEvent {
            schema: "key-event.v1".into(),
            registry: registry(),
            participant: self.did.clone(),
            event: act,
            reason: "rotation".into(),
            at: now(),
        };
        self.raw_event(&event, signers)
    }

    pub fn raw_event(&mut self, event: &KeyEvent, signers: &[&FileKey]) -> usize {
        let event = signed(event, signers);
        let keys: Vec<Jwk> = match &event.read_unverified().unwrap().event {
            KeyAct::Add { proof, .. } => vec![self.first.jwk().clone(), proof.read_unverified().unwrap().jwk],
            _ => vec![],
        };
        let document = serde_json::to_vec(&signing::did::web_document_of(&self.did, &keys)).unwrap();
        let resolution = (!keys.is_empty()).then(|| Resolution {
            url: "https://tdp.example/.well-known/did.json".into(),
            document: Bytes(document),
            fetched_at: now(),
            certificate_sha256: None,
        });
        let index = self.append(&Body::KeyChanged { event: event.clone(), resolution: resolution.clone() });
        self.events.push((index, event, resolution));
        index
    }

    pub fn participant(&mut self) -> BundledParticipant {
        let application = Participant {
            schema: "participant.v1".into(),
            registry: registry(),
            did: self.did.clone(),
            kind: Kind::Tdp,
            legal_name: "A hospital".into(),
            jurisdiction: "IN".into(),
            jwk: self.first.jwk().clone(),
            applied_at: now(),
        };
        let application = sign(&application, &self.first, now()).unwrap();
        let decision = ParticipantDecision {
            schema: "participant-decision.v1".into(),
            registry: registry(),
            participant: self.did.clone(),
            participant_sha256: application.digest(),
            decision: Decision::Verified,
            reason: "seen".into(),
            decided_at: now(),
        };
        let decision = signed(&decision, &[&self.people[0], &self.people[1]]);
        let index = self.append(&Body::ParticipantDecided { decision: decision.clone() });
        let decision = Logged { envelope: decision, receipt: self.receipt(index) };
        let event = |(index, event, resolution): &(usize, Envelope<KeyEvent>, Option<Resolution>)| LoggedKeyEvent {
            event: event.clone(),
            resolution: resolution.clone(),
            receipt: self.receipt(*index),
        };
        BundledParticipant { application, decision, key_events: self.events.iter().map(event).collect() }
    }

    pub fn book(&mut self) -> R<PinnedBook> {
        let participant = self.participant();
        let mut book = PinnedBook::new(self.trust());
        book.admit(participant)?;
        Ok(book)
    }

    pub fn key(&self) -> FileKey {
        FileKey::generate_for(&self.did).unwrap()
    }
}

pub fn signed<T: Document>(document: &T, signers: &[&FileKey]) -> Envelope<T> {
    let mut envelope = Envelope::draft(document).unwrap();
    for key in signers {
        envelope.signatures.push(countersign(&envelope, *key, now()).unwrap());
    }
    envelope
}

pub fn example<T: Document>(name: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn signed_offer(key: &FileKey) -> Envelope<DatasetOffer> {
    sign(&example::<DatasetOffer>("dataset-offer"), key, now()).unwrap()
}

pub fn add(key: &FileKey, uses: Vec<KeyUse>) -> KeyAct {
    let holder = key.did().unwrap();
    let proof =
        KeyProof { schema: "key-proof.v1".into(), registry: registry(), holder, jwk: key.jwk().clone(), at: now() };
    KeyAct::Add { proof: sign(&proof, key, now()).unwrap(), uses }
}

pub fn thumbprint(key: &FileKey) -> String {
    key.jwk().thumbprint()
}
