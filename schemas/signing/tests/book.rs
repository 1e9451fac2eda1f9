//! Keys over the course of the log: who may sign at which entry, and whose word changes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod keys;

use keys::{Key, now, registry};
use schemas::bundle::{BundledParticipant, Logged, LoggedKeyEvent};
use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::envelope::{Document, Usage};
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::log::{CheckpointRef, Receipt, Record, body_digest, node_hash};
use schemas::party::{
    Decision, KeyAct, KeyEvent, KeyProof, KeyUse, Kind, Participant, ParticipantDecision, Resolution,
};
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, KeyBook, R, Signer};
use signing::book::{PinnedBook, Trust};
use signing::{FileKey, countersign, note, sign, verify};

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

fn did() -> Did {
    Did::parse("did:web:tdp.example").unwrap()
}

/// The key of the application.
fn first() -> FileKey {
    FileKey::from_seed(did().as_str(), &[5; 32])
}

/// An SRO person.
fn person(seed: u8) -> FileKey {
    let nameless = FileKey::from_seed("", &[seed; 32]);
    FileKey::from_seed(signing::did::key_did(nameless.jwk()).unwrap().as_str(), &[seed; 32])
}

/// A log, its registry, two SRO people, and a did:web with a first key.
struct World {
    registry_key: FileKey,
    people: [FileKey; 2],
    did: Did,
    first: FileKey,
    records: Vec<Record>,
    events: Vec<(usize, Envelope<KeyEvent>, Option<Resolution>)>,
}

impl World {
    fn new() -> World {
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

    fn trust(&self) -> Trust {
        let person = |k: &FileKey| SroPerson { did: k.did().unwrap(), name: "A person".into(), jwk: k.jwk().clone() };
        Trust {
            registry: registry(),
            registry_jwk: self.registry_key.jwk().clone(),
            origin: ORIGIN.into(),
            sro: self.people.iter().map(person).collect(),
            witnesses: vec![],
            quorum: 0,
        }
    }

    fn append(&mut self, body: &Body) -> usize {
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

    fn receipt(&self, index: usize) -> Receipt {
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

    fn offer(&mut self, key: &FileKey) -> usize {
        let offer = signed_offer(key);
        self.append(&Body::DatasetRegistered { offer })
    }

    /// Whether the offer at this index, signed by this key, counts.
    fn offered(&self, book: &PinnedBook, key: &FileKey, index: usize) -> R<()> {
        book.entered(Logged { envelope: signed_offer(key), receipt: self.receipt(index) }).map(drop)
    }

    fn event(&mut self, act: KeyAct, signers: &[&FileKey]) -> usize {
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

    fn raw_event(&mut self, event: &KeyEvent, signers: &[&FileKey]) -> usize {
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

    fn participant(&mut self) -> BundledParticipant {
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

    fn book(&mut self) -> R<PinnedBook> {
        let participant = self.participant();
        let mut book = PinnedBook::new(self.trust());
        book.admit(participant)?;
        Ok(book)
    }

    fn key(&self) -> FileKey {
        FileKey::generate_for(&self.did).unwrap()
    }
}

fn signed<T: Document>(document: &T, signers: &[&FileKey]) -> Envelope<T> {
    let mut envelope = Envelope::draft(document).unwrap();
    for key in signers {
        envelope.signatures.push(countersign(&envelope, *key, now()).unwrap());
    }
    envelope
}

fn example<T: Document>(name: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn signed_offer(key: &FileKey) -> Envelope<DatasetOffer> {
    sign(&example::<DatasetOffer>("dataset-offer"), key, now()).unwrap()
}

fn add(key: &FileKey, uses: Vec<KeyUse>) -> KeyAct {
    let holder = key.did().unwrap();
    let proof =
        KeyProof { schema: "key-proof.v1".into(), registry: registry(), holder, jwk: key.jwk().clone(), at: now() };
    KeyAct::Add { proof: sign(&proof, key, now()).unwrap(), uses }
}

fn thumbprint(key: &FileKey) -> String {
    key.jwk().thumbprint()
}

#[test]
fn a_key_counts_from_its_entry_to_its_end() {
    let mut world = World::new();
    let (first, second) = (first(), world.key());
    let before = world.offer(&first);
    let too_early = world.offer(&second);
    world.event(add(&second, vec![KeyUse::Document]), &[&first]);
    let (by_first, by_second) = (world.offer(&first), world.offer(&second));
    world.event(KeyAct::Retire { thumbprint: thumbprint(&first) }, &[&second]);
    let (too_late, after) = (world.offer(&first), world.offer(&second));
    let book = world.book().unwrap();
    for (key, index) in [(&first, before), (&first, by_first), (&second, by_second), (&second, after)] {
        world.offered(&book, key, index).unwrap();
    }
    for (key, index) in [(&second, too_early), (&first, too_late)] {
        assert_eq!(world.offered(&book, key, index).unwrap_err().code, Code::KeyNotActive);
    }
    assert!(book.key(first.kid(), Usage::Party).is_none(), "not now");
    assert!(book.key(second.kid(), Usage::Party).is_some());
    let stranger = world.key();
    let index = world.offer(&stranger);
    assert_eq!(world.offered(&book, &stranger, index).unwrap_err().code, Code::SignerUnknown);
}

#[test]
fn a_compromised_key_loses_what_was_entered_since() {
    let mut world = World::new();
    let first = first();
    let (before, since) = (world.offer(&first), world.offer(&first));
    let act = KeyAct::Compromise { thumbprint: thumbprint(&first), since_index: since as u64 };
    world.event(act, &[&person(1), &person(2)]);
    let book = world.book().unwrap();
    world.offered(&book, &first, before).unwrap();
    assert_eq!(world.offered(&book, &first, since).unwrap_err().code, Code::KeyNotActive);
    assert!(book.key(first.kid(), Usage::Party).is_none());
}

#[test]
fn a_key_for_calls_signs_no_document() {
    let mut world = World::new();
    let (first, api) = (first(), world.key());
    world.event(add(&api, vec![KeyUse::Api]), &[&first]);
    let index = world.offer(&api);
    let book = world.book().unwrap();
    assert_eq!(world.offered(&book, &api, index).unwrap_err().code, Code::KeyNotActive);
}

/// One change of the good world, and the code of its refusal.
fn refusal(change: impl FnOnce(&mut World, &FileKey, &FileKey)) -> Code {
    let mut world = World::new();
    let (first, second) = (first(), world.key());
    world.event(add(&second, vec![KeyUse::Document]), &[&first]);
    change(&mut world, &first, &second);
    world.book().map(drop).unwrap_err().code
}

#[test]
fn key_events_need_the_right_word() {
    let retire = |key: &FileKey| KeyAct::Retire { thumbprint: thumbprint(key) };
    assert_eq!(
        refusal(|w, f, _| {
            w.event(retire(f), &[&person(1)]);
        }),
        Code::TwoPeopleNeeded
    );
    assert_eq!(
        refusal(|w, f, _| {
            w.event(retire(f), &[&w.key()]);
        }),
        Code::SignerUnknown
    );
    let ended = |w: &mut World, f: &FileKey, s: &FileKey| {
        w.event(retire(f), &[s]);
        w.event(retire(s), &[f]);
    };
    assert_eq!(refusal(ended), Code::SignerUnknown, "a retired key ends no other");
    assert_eq!(
        refusal(|w, f, _| {
            w.event(retire(&w.key()), &[f]);
        }),
        Code::KeyUnknown
    );
    assert_eq!(
        refusal(|w, f, s| {
            w.event(add(s, vec![KeyUse::Document]), &[f]);
        }),
        Code::KeyExists
    );
    assert_eq!(refusal(|w, _, _| w.events.push(w.events[0].clone())), Code::ReceiptMismatch, "twice");
    assert_eq!(refusal(|w, _, _| w.events[0].2 = None), Code::MalformedJson, "no evidence of the did:web");
    assert_eq!(refusal(|w, _, _| w.records[0].body_sha256 = Digest([3; 32])), Code::ReceiptMismatch);
    let foreign = |w: &mut World, f: &FileKey, _: &FileKey| {
        let participant = Did::parse("did:web:other.example").unwrap();
        let event = KeyEvent {
            schema: "key-event.v1".into(),
            registry: registry(),
            participant,
            event: retire(f),
            reason: "x".into(),
            at: now(),
        };
        w.raw_event(&event, &[f]);
    };
    assert_eq!(refusal(foreign), Code::SignerNotParty);
    let unproven = |w: &mut World, f: &FileKey, s: &FileKey| {
        let KeyAct::Add { proof, .. } = add(&w.key(), vec![KeyUse::Document]) else { unreachable!() };
        let claim = KeyProof { jwk: w.key().jwk().clone(), ..proof.read_unverified().unwrap() };
        let proof = sign(&claim, s, now()).unwrap();
        w.event(KeyAct::Add { proof, uses: vec![KeyUse::Document] }, &[f]);
    };
    assert_eq!(refusal(unproven), Code::SignerUnknown, "the proof is by another key");
}

/// Applications and proofs by keys of every type that did:web and did:jwk hold.
#[test]
fn an_application_is_signed_by_its_key_of_any_type() {
    for key in Key::all().into_iter().filter(|k| matches!(k.jws(), "EdDSA" | "ES256" | "ES384" | "PS256")) {
        for did in [key.did(), signing::did::jwk_did(key.jwk()).unwrap_or(key.did())] {
            let application = Participant {
                schema: "participant.v1".into(),
                registry: registry(),
                did: did.clone(),
                kind: Kind::Tdp,
                legal_name: "A hospital".into(),
                jurisdiction: "IN".into(),
                jwk: key.jwk().clone(),
                applied_at: now(),
            };
            let mut envelope = Envelope::draft(&application).unwrap();
            let kid = schemas::id::KeyId::new(&did, key.jwk().thumbprint());
            let header =
                format!(r#"{{"alg":"{}","cty":"{}","iat":1,"kid":"{kid}"}}"#, key.jws(), Participant::PAYLOAD_TYPE);
            let protected = Bytes(header.into_bytes());
            let sig = Bytes(key.sign(format!("{}.{}", protected.text(), envelope.payload.text()).as_bytes()));
            let form = schemas::envelope::Form::Jws;
            envelope.signatures.push(schemas::envelope::PartySignature { form, protected, kid, sig });
            signing::book::verify_application(envelope.clone(), &registry()).unwrap();
            let claim = Participant { jwk: Key::p256().jwk().clone(), ..application };
            let other = Envelope::new(Envelope::draft(&claim).unwrap().payload.0, envelope.signatures);
            assert!(signing::book::verify_application(other, &registry()).is_err());
        }
    }
}

#[test]
fn a_contract_takes_countersignatures_of_the_sro_and_of_nobody_else() {
    let world = World::new();
    let parties: Vec<FileKey> = (0..3).map(|_| FileKey::generate().unwrap()).collect();
    let mut contract: Contract = example("contract");
    contract.parties.truncate(3);
    assert_eq!(contract.parties.len(), 3);
    for (party, key) in contract.parties.iter_mut().zip(&parties) {
        party.did = key.did().unwrap();
    }
    let stranger = FileKey::generate().unwrap();
    let everyone: Vec<&FileKey> = parties.iter().chain(&world.people).chain([&stranger]).collect();
    let book = keys::Book::of(&everyone);
    let by = |signers: &[&FileKey]| verify(signed(&contract, signers), &registry(), &book).unwrap();
    let all: Vec<&FileKey> = parties.iter().collect();
    let trust = world.trust();
    trust.fully_signed(&by(&all)).unwrap();
    signing::book::fully_signed(&by(&all)).unwrap();
    let countersigned = by(&[&all[..], &[&world.people[0], &world.people[1]]].concat());
    trust.fully_signed(&countersigned).unwrap();
    assert_eq!(signing::book::fully_signed(&countersigned).unwrap_err().code, Code::SignerNotParty);
    let strange = by(&[&all[..], &[&stranger]].concat());
    assert_eq!(trust.fully_signed(&strange).unwrap_err().code, Code::SignerNotParty);
    let short = by(&[&all[..2], &[&world.people[0], &world.people[1]]].concat());
    assert_eq!(trust.fully_signed(&short).unwrap_err().code, Code::SignatureMissing);
}
