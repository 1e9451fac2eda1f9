//! Keys over the course of the log: who may sign at which entry, and whose word changes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // tests

#[path = "../keys/mod.rs"]
mod keys;
mod lineage;
mod people;
mod world;

use keys::{Key, now, registry};
use schemas::contract::Contract;
use schemas::envelope::{Document, Usage};
use schemas::event::Body;
use schemas::id::Did;
use schemas::party::{KeyAct, KeyEvent, KeyProof, KeyUse, Kind, Participant};
use schemas::rules::LogSucceeded;
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, KeyBook, Signer};
use signing::{FileKey, sign, verify, verify_body};
use world::{World, add, example, first, person, signed, thumbprint};

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
fn keys_that_a_compromised_key_brought_fall_with_it() {
    let mut world = World::new();
    let (first, earlier, theirs, further, vouched) = (first(), world.key(), world.key(), world.key(), world.key());
    let uses = || vec![KeyUse::Document];
    world.event(add(&earlier, uses()), &[&first]);
    let since = world.event(add(&theirs, uses()), &[&first]);
    world.event(add(&further, uses()), &[&theirs]);
    world.event(add(&vouched, uses()), &[&person(1), &person(2)]);
    let entered = [&theirs, &further].map(|key| (key, world.offer(key)));
    let act = KeyAct::Compromise { thumbprint: thumbprint(&first), since_index: since as u64 };
    world.event(act, &[&person(1), &person(2)]);
    let book = world.book().unwrap();
    for (key, index) in entered {
        assert_eq!(world.offered(&book, key, index).unwrap_err().code, Code::KeyNotActive);
        assert!(book.key(key.kid(), Usage::Party).is_none());
    }
    assert!(book.key(earlier.kid(), Usage::Party).is_some(), "brought before");
    assert!(book.key(vouched.kid(), Usage::Party).is_some(), "the SRO brought it");
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

/// A genesis that continues a closed log carries signatures of its own SRO people only.
#[test]
fn a_succession_is_signed_by_people_of_the_genesis() {
    let world = World::new();
    let trust = world.trust();
    let succession = LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: registry(),
        old_origin: "sro.example/old".into(),
        old_checkpoint: "note".into(),
        kept: 3,
        new_origin: trust.origin.clone(),
        new_key: None,
        reason: "restored".into(),
        at: now(),
    };
    let genesis = |signers: &[&FileKey]| {
        let body = Body::Genesis {
            registry: registry(),
            registry_jwk: trust.registry_jwk.clone(),
            origin: trust.origin.clone(),
            sro: trust.sro.clone(),
            succeeds: Some(signed(&succession, signers)),
        };
        verify_body(body, &registry(), &signing::body::NoKeys, &|_| None).map(drop)
    };
    genesis(&[&person(1), &person(2)]).unwrap();
    assert_eq!(genesis(&[&person(1), &person(3)]).unwrap_err().code, Code::SignerUnknown);
}

/// Nothing but a contract put together from verified entries passes without its signatures being verified.
#[test]
fn only_an_executed_contract_is_assembled() {
    let contract = Envelope::draft(&example::<Contract>("contract")).unwrap();
    let other = signing::body::assembled(Body::ContractProposed { contract: contract.clone() });
    assert_eq!(other.unwrap_err().code, Code::Internal);
    signing::body::assembled(Body::ContractExecuted { contract }).unwrap();
}
