//! Keys over HTTP: added, used, retired, compromised, by their holders and by two people of the SRO.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use schemas::desk::{KeyList, Receipted, TwoPeople};
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::party::{Decision, KeyAct, KeyEvent, KeyProof, KeyUse, Kind};
use schemas::text::Bytes;
use schemas::{Code, Signer};
use signing::FileKey;

use crate::catcher::Catcher;
use crate::house::House;
use crate::papers;
use crate::register::{by_two, code, get, post};

fn key_event(house: &House, who: &Did, event: KeyAct) -> KeyEvent {
    KeyEvent {
        schema: "key-event.v1".into(),
        registry: house.registry(),
        participant: who.clone(),
        event,
        reason: "Yearly change".into(),
        at: house.now(),
    }
}

fn add(house: &House, who: &Did, new: &FileKey, uses: &[KeyUse]) -> KeyEvent {
    let proof = KeyProof {
        schema: "key-proof.v1".into(),
        registry: house.registry(),
        holder: who.clone(),
        jwk: new.jwk().clone(),
        at: house.now(),
    };
    key_event(house, who, KeyAct::Add { proof: house.sign(&proof, new), uses: uses.to_vec() })
}

const KEYS: &str = "/v1/participants/keys";

#[test]
fn a_key_is_added_used_and_retired() {
    let house = House::furnished();
    let did = house.tdc.did().unwrap();
    let new = Arc::new(FileKey::generate_for(&did).unwrap());
    assert_eq!(code(house.as_(&new).contracts()), Code::Unauthenticated, "not known yet");
    let adding = add(&house, &did, &new, &[KeyUse::Document, KeyUse::Api]);
    let mut unproven = adding.clone();
    if let KeyAct::Add { proof, .. } = &mut unproven.event {
        proof.signatures[0].sig = Bytes(vec![0; 64]);
    }
    let refused = post::<Receipted, _>(&house, KEYS, &house.sign(&unproven, &house.tdc), 201);
    assert_eq!(refused.unwrap_err(), Code::SignatureInvalid, "no proof of possession");
    let by_itself = post::<Receipted, _>(&house, KEYS, &house.sign(&adding, &new), 201);
    assert_eq!(by_itself.unwrap_err(), Code::SignerUnknown, "a key does not add itself");
    house.client.change_key(&house.sign(&adding, &house.tdc)).unwrap();
    assert!(house.as_(&new).contracts().is_ok());
    let token = crate::http::bearer(&house, &house.tdc);
    let reads = || crate::http::get(&house, "/v1/contracts").bearer_auth(&token).send().unwrap();
    assert_eq!(reads().status(), 200);
    let old = house.tdc.jwk().thumbprint();
    let retiring = key_event(&house, &did, KeyAct::Retire { thumbprint: old.clone() });
    house.client.change_key(&house.sign(&retiring, &new)).unwrap();
    assert_eq!(crate::http::code(reads()), Code::Unauthenticated, "a token ends with the key it was asked for with");
    assert_eq!(code(house.as_(&Arc::new(FileKey::generate_for(&did).unwrap())).contracts()), Code::Unauthenticated);
    let keys: KeyList = get(&house, &format!("/v1/participants/{}/keys", did)).unwrap();
    let states: Vec<_> = keys.keys.iter().map(|key| (key.thumbprint.clone(), key.state.as_str())).collect();
    assert_eq!(states, [(old, "retired"), (new.jwk().thumbprint(), "active")]);
    let last = key_event(&house, &did, KeyAct::Retire { thumbprint: new.jwk().thumbprint() });
    assert_eq!(code(house.client.change_key(&house.sign(&last, &new))), Code::StateTransition);
    assert_eq!(get::<KeyList>(&house, "/v1/participants/did:web:nobody.example/keys").unwrap_err(), Code::NotFound);
}

#[test]
fn what_stands_is_no_first_of_two_signatures() {
    let house = House::furnished();
    let decision = house.decision(&house.tdc, Kind::Tdc, Decision::Verified);
    let path = "/v1/participants/decisions";
    let by_one =
        |document, status| post::<TwoPeople, _>(&house, path, &document, status).map(|answer| answer.signatures);
    let standing = by_one(house.sign(&decision, &house.sro[0]), 202);
    assert_eq!(standing.unwrap_err(), Code::StateTransition, "it entered when everybody was admitted");
    let suspended = house.decision(&house.tdc, Kind::Tdc, Decision::Suspended);
    assert_eq!(by_one(house.sign(&suspended, &house.sro[0]), 202), Ok(1));
    assert_eq!(by_one(house.sign(&suspended, &house.sro[0]), 202), Ok(1), "once more is still one");
    assert_eq!(by_one(house.sign(&suspended, &house.sro[1]), 201), Ok(2), "in the second of the first decision");
    assert_eq!(by_one(house.sign(&suspended, &house.sro[1]), 202).unwrap_err(), Code::StateTransition, "it stands");
}

#[test]
fn weak_keys_are_no_keys() {
    let house = House::furnished();
    let did = house.tdc.did().unwrap();
    let mut identity = [0u8; 32];
    identity[0] = 1;
    let mut above = [0xffu8; 32];
    above[0] = 0xee;
    above[31] = 0x7f;
    for (point, what) in [(identity, "the identity"), ([0; 32], "order four"), (above, "not canonical")] {
        let proof = KeyProof {
            schema: "key-proof.v1".into(),
            registry: house.registry(),
            holder: did.clone(),
            jwk: Jwk::ed25519(point),
            at: house.now(),
        };
        let proof = house.sign(&proof, &house.tdc);
        let event = key_event(&house, &did, KeyAct::Add { proof, uses: vec![KeyUse::Document] });
        let outcome = post::<Receipted, _>(&house, KEYS, &house.sign(&event, &house.tdc), 201);
        let refused = outcome.unwrap_err();
        assert!(matches!(refused, Code::KeyWeak | Code::KeyForm), "{what}: {refused}");
        let key = FileKey::generate().unwrap();
        let mut application = papers::participant(&house, &key, Kind::Tdp);
        application.jwk = Jwk::ed25519(point);
        let outcome = post::<Receipted, _>(&house, "/v1/participants", &house.sign(&application, &key), 201);
        let refused = outcome.unwrap_err();
        assert!(matches!(refused, Code::KeyWeak | Code::KeyForm | Code::DidUnresolved), "{what}: {refused}");
    }
}

#[test]
fn a_did_web_is_resolved_anew_for_each_key() {
    let house = House::empty();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let did = Did::parse(&format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port())).unwrap();
    let (first, second) = (FileKey::generate_for(&did).unwrap(), FileKey::generate_for(&did).unwrap());
    let served = Arc::new(Mutex::new(signing::did::web_document(&did, first.jwk()).to_string()));
    let document = served.clone();
    let catcher = Catcher::answering(listener, move |_| (200, document.lock().unwrap().clone()));
    house.admit(&first, Kind::Tdp);
    let adding = house.sign(&add(&house, &did, &second, &[KeyUse::Document]), &first);
    assert_eq!(code(house.client.change_key(&adding)), Code::DidUnresolved, "its document names the old key only");
    *served.lock().unwrap() = signing::did::web_document(&did, second.jwk()).to_string();
    house.client.change_key(&adding).unwrap();
    assert_eq!(catcher.seen().len(), 3, "asked once for each");
}

#[test]
fn a_compromised_key_stops_contracts_and_the_sro_brings_the_next() {
    let house = House::furnished();
    let contract = house.executed();
    let (tdp, did) = (&house.tdps[0], house.tdps[0].did().unwrap());
    let lost = key_event(&house, &did, KeyAct::Compromise { thumbprint: tdp.jwk().thumbprint(), since_index: 0 });
    house.client.change_key(&house.sign(&lost, tdp)).unwrap();
    let state = house.as_(&house.tdc).contract(&contract.id).unwrap().state;
    assert_eq!(state, schemas::contract::ContractState::Suspended);
    let view: schemas::desk::DatasetView =
        get(&house, &format!("/v1/datasets/{}", papers::offer(&house, 0).dataset_id)).unwrap();
    assert_eq!(view.state, "suspended");
    let new = Arc::new(FileKey::generate_for(&did).unwrap());
    by_two(&house, KEYS, &add(&house, &did, &new, &[KeyUse::Document, KeyUse::Api]));
    assert!(house.as_(&new).contracts().is_ok());
}

#[test]
fn a_person_of_the_sro_changes_keys_by_two_people_and_relying_parties_follow() {
    let house = House::furnished();
    let contract = house.executed();
    let pinned = house.trust().clone();
    let (asha, did) = (&house.sro[0], house.sro[0].did().unwrap());
    let new = Arc::new(FileKey::generate_for(&did).unwrap());
    let adding = add(&house, &did, &new, &[KeyUse::Document, KeyUse::Api]);
    assert_eq!(code(house.client.change_key(&house.sign(&adding, &house.tdc))), Code::TwoPeopleNeeded);
    by_two(&house, KEYS, &adding);
    let list: KeyList = get(&house, &format!("/v1/participants/{did}/keys")).unwrap();
    assert_eq!(list.keys.len(), 2);
    let both = |document: &KeyEvent, first: &FileKey| {
        let mut envelope = house.sign(document, first);
        envelope.signatures.push(signing::countersign(&envelope, &*house.sro[1], house.now()).unwrap());
        envelope
    };
    let old = asha.jwk().thumbprint();
    let retire = key_event(&house, &did, KeyAct::Retire { thumbprint: old.clone() });
    assert_eq!(code(house.client.change_key(&both(&retire, asha))), Code::TwoPeopleNeeded, "its own end");
    house.client.change_key(&both(&retire, &new)).unwrap();
    // The old key signs nothing later, and no longer asks for tokens; the new one does both.
    let who = FileKey::generate().unwrap();
    house.client.apply(&house.sign(&papers::participant(&house, &who, Kind::Tdp), &who)).unwrap();
    let decision = house.decision(&who, Kind::Tdp, Decision::Verified);
    assert_eq!(code(house.client.decide(&house.by_sro(&decision))), Code::SignerUnknown);
    assert!(house.as_(asha).contracts().is_err() && house.as_(&new).contracts().is_ok());
    let mut signed = house.sign(&decision, &new);
    signed.signatures.push(signing::countersign(&signed, &*house.sro[1], house.now()).unwrap());
    let entered = house.client.decide(&signed).unwrap().receipt.unwrap().index;
    // Whoever pinned the first keys opens bundles by the lineage that they carry.
    let lineage = house.client.log_keys().unwrap();
    assert_eq!(lineage.people.len(), 2);
    pinned.following(&lineage).unwrap();
    let bundle = house.bundle(&contract);
    assert_eq!(bundle.log_keys.as_ref().map(|lineage| lineage.people.len()), Some(2));
    signing::open_bundle(bundle, &pinned).unwrap();
    // A report names what the key signed since.
    let third = FileKey::generate_for(&did).unwrap();
    let further = add(&house, &did, &third, &[KeyUse::Document]);
    house.client.change_key(&both(&further, &new)).unwrap();
    let thumbprint = new.jwk().thumbprint();
    let report = key_event(&house, &did, KeyAct::Compromise { thumbprint: thumbprint.clone(), since_index: entered });
    house.client.change_key(&both(&report, &third)).unwrap();
    let list: KeyList = get(&house, &format!("/v1/participants/{did}/keys")).unwrap();
    let reported = list.keys.iter().find(|key| key.thumbprint == thumbprint).unwrap();
    assert_eq!((reported.state.as_str(), reported.compromised_since), ("compromised", Some(entered)));
    assert_eq!(reported.in_doubt.first(), Some(&entered), "the decision");
    assert!(list.keys.iter().filter(|key| key.thumbprint != thumbprint).all(|key| key.in_doubt.is_empty()));
}
