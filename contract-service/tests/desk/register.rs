//! Participants, keys, datasets and rules of the SRO over HTTP.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use reqwest::blocking::Client as Http;
use schemas::dataset::{ColumnType, DatasetAct, DatasetActKind, DatasetOffer};
use schemas::desk::{
    CroissantDraft, DataSchemaList, DatasetList, DatasetVersions, DatasetView, ImageSetList, KeyList, ParticipantList,
    Receipted, TemplateList, TwoPeople,
};
use schemas::envelope::Document;
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::party::{Decision, KeyAct, KeyEvent, KeyProof, KeyUse, Kind, ParticipantWithdrawal};
use schemas::problem::Problem;
use schemas::rules::{BUILT_IN_SCHEMA, DataSchema, Erasure, ImageSetRevocation, Template};
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, R, Signer, canonical};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signing::FileKey;

use crate::catcher::Catcher;
use crate::house::House;
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

fn http() -> Http {
    Http::builder().no_proxy().build().unwrap()
}

fn get<T: DeserializeOwned>(house: &House, path: &str) -> Result<T, Code> {
    let response = http().get(format!("{}{path}", house.url())).send().unwrap();
    match response.status().as_u16() {
        200 => Ok(response.json().unwrap()),
        _ => Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap()),
    }
}

/// Posts a signed document and reads what a success of this status says.
fn post<T: DeserializeOwned, D>(house: &House, path: &str, document: &Envelope<D>, status: u16) -> Result<T, Code> {
    let key = uuid::Uuid::now_v7().to_string();
    let request = http().post(format!("{}{path}", house.url())).header("content-type", "application/json");
    let response = request.header("idempotency-key", key).body(canonical::to_bytes(document).unwrap()).send().unwrap();
    if response.status().as_u16() >= 400 {
        return Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap());
    }
    assert_eq!(response.status().as_u16(), status);
    Ok(response.json().unwrap())
}

/// First one person of the SRO, then another.
fn by_two<D: Document>(house: &House, path: &str, document: &D) {
    let first: TwoPeople = post(house, path, &house.sign(document, &house.sro[0]), 202).unwrap();
    assert_eq!((first.signatures, first.receipt), (1, None));
    let second: Value = post(house, path, &house.sign(document, &house.sro[1]), 201).unwrap();
    assert!(second["receipt"].is_object());
}

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
fn participants_are_listed_and_leave() {
    let house = House::furnished();
    let page: ParticipantList = get(&house, "/v1/participants?limit=2").unwrap();
    assert_eq!(page.participants.len(), 2);
    let next: ParticipantList = get(&house, &format!("/v1/participants?cursor={}", page.next.unwrap())).unwrap();
    assert_eq!((next.participants.len(), next.next), (3, None));
    let tdps: ParticipantList = get(&house, "/v1/participants?kind=tdp&state=verified").unwrap();
    assert_eq!(tdps.participants.len(), 2);
    let key = FileKey::generate().unwrap();
    let mut applicant = papers::participant(&house, &key, Kind::Auditor);
    applicant.legal_name = "Audit Office".into();
    house.client.apply(&house.sign(&applicant, &key)).unwrap();
    for query in ["state=applied", "q=AUDIT%20off", "kind=auditor"] {
        let found: ParticipantList = get(&house, &format!("/v1/participants?{query}")).unwrap();
        assert_eq!(
            found.participants.iter().map(|p| p.did.clone()).collect::<Vec<_>>(),
            [key.did().unwrap()],
            "{query}"
        );
    }
    for (query, expected) in [
        ("kind=king", Code::SchemaMismatch),
        ("state=gone", Code::SchemaMismatch),
        ("cursor=x", Code::MalformedId),
        ("limit=0", Code::LimitExceeded),
    ] {
        assert_eq!(get::<ParticipantList>(&house, &format!("/v1/participants?{query}")).unwrap_err(), expected);
    }
    let long = "q".repeat(201);
    assert_eq!(get::<ParticipantList>(&house, &format!("/v1/participants?q={long}")).unwrap_err(), Code::LimitExceeded);
    let withdrawal = ParticipantWithdrawal {
        schema: "participant-withdrawal.v1".into(),
        registry: house.registry(),
        participant: house.psp.did().unwrap(),
        reason: "We close".into(),
        at: house.now(),
    };
    let forged =
        post::<Receipted, _>(&house, "/v1/participants/withdrawals", &house.sign(&withdrawal, &house.tdc), 201);
    assert_eq!(forged.unwrap_err(), Code::SignerNotParty);
    house.client.withdraw_participant(&house.sign(&withdrawal, &house.psp)).unwrap();
    let gone: ParticipantList = get(&house, "/v1/participants?state=withdrawn").unwrap();
    assert_eq!(gone.participants.len(), 1);
    assert_eq!(code(house.as_(&house.psp).payments(None)), Code::Unauthenticated);
}

#[test]
fn look_alikes_are_refused_over_http() {
    let house = House::furnished();
    let taken = papers::participant(&house, &house.tdc, Kind::Tdc).legal_name;
    let key = FileKey::generate().unwrap();
    let mut applicant = papers::participant(&house, &key, Kind::Tdc);
    applicant.legal_name = taken.to_uppercase();
    assert_eq!(code(house.client.apply(&house.sign(&applicant, &key))), Code::LookAlike);
    let key = FileKey::generate_for(&Did::parse("did:web:xn--cme-5cd.example").unwrap()).unwrap();
    let applicant = papers::participant(&house, &key, Kind::Tdc);
    assert_eq!(code(house.client.apply(&house.sign(&applicant, &key))), Code::LookAlike);
}

fn act(house: &House, kind: DatasetActKind) -> DatasetAct {
    DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: house.registry(),
        dataset_id: papers::offer(house, 0).dataset_id,
        version: 1,
        act: kind,
        reason: "Consent is renewed".into(),
        at: house.now(),
    }
}

#[test]
fn datasets_are_suspended_resumed_and_withdrawn() {
    let house = House::furnished();
    let path = format!("/v1/datasets/{}/acts", papers::offer(&house, 0).dataset_id);
    let other = format!("/v1/datasets/{}/acts", papers::offer(&house, 1).dataset_id);
    let suspending = act(&house, DatasetActKind::Suspend);
    let misplaced = post::<Receipted, _>(&house, &other, &house.sign(&suspending, &house.tdps[0]), 201);
    assert_eq!(misplaced.unwrap_err(), Code::SchemaMismatch);
    let foreign = post::<Receipted, _>(&house, &path, &house.sign(&suspending, &house.tdps[1]), 201);
    assert_eq!(foreign.unwrap_err(), Code::SignerNotParty);
    let by = || {
        let view: DatasetView = get(&house, path.trim_end_matches("/acts")).unwrap();
        (view.state, view.suspended_by, view.changed_by.is_some())
    };
    assert_eq!(by(), ("registered".into(), None, false));
    by_two(&house, &path, &suspending);
    assert_eq!(by(), ("suspended".into(), Some("sro".into()), true));
    house.skip(1);
    let resuming = act(&house, DatasetActKind::Resume);
    let own = post::<Receipted, _>(&house, &path, &house.sign(&resuming, &house.tdps[0]), 201);
    assert_eq!(own.unwrap_err(), Code::Forbidden);
    assert_eq!(code(house.propose(&papers::contract(&house))), Code::DatasetNotAvailable);
    by_two(&house, &path, &resuming);
    assert_eq!(by(), ("registered".into(), None, true));
    house.skip(1);
    let paused = house.sign(&act(&house, DatasetActKind::Suspend), &house.tdps[0]);
    post::<Receipted, _>(&house, &path, &paused, 201).unwrap();
    assert_eq!(by(), ("suspended".into(), Some("provider".into()), true));
    house.skip(1);
    let gone = house.sign(&act(&house, DatasetActKind::Withdraw), &house.tdps[0]);
    post::<Receipted, _>(&house, &path, &gone, 201).unwrap();
    let left: DatasetList = get(&house, "/v1/datasets?state=registered").unwrap();
    assert_eq!(left.datasets.len(), 1);
    let mut next = papers::offer(&house, 0);
    (next.version, next.manifest_root) = (2, Digest([99; 32]));
    next.objects[0].url = "file:///data/next.sealed".into();
    house.client.register_dataset(&house.sign(&next, &house.tdps[0])).unwrap();
    let versions: DatasetVersions = get(&house, &path.replace("/acts", "/versions")).unwrap();
    let states: Vec<&str> = versions.versions.iter().map(|v| v.state.as_str()).collect();
    assert_eq!(states, ["withdrawn", "registered"]);
}

#[test]
fn what_one_person_of_the_sro_began_waits_for_the_second_to_read_and_to_sign() {
    let house = House::furnished();
    let queue = |who: &Arc<FileKey>| house.as_(who).pending_acts();
    for stranger in [&house.tdc, &house.tdps[0], &house.ccrp] {
        assert_eq!(code(queue(stranger)), Code::Forbidden);
    }
    assert!(queue(&house.sro[1]).unwrap().acts.is_empty());
    let decision = house.decision(&house.tdps[0], Kind::Tdp, Decision::Suspended);
    let first = house.sign(&decision, &house.sro[0]);
    let path = "/v1/participants/decisions";
    let waiting: TwoPeople = post(&house, path, &first, 202).unwrap();
    assert_eq!(waiting.receipt, None);
    // Both read the very bytes that were signed, and by whom.
    for who in &house.sro {
        let [act] = queue(who).unwrap().acts.try_into().unwrap();
        assert_eq!((act.payload, act.signatures), (first.payload.clone(), first.signatures.clone()));
        assert_eq!(act.payload_type, <schemas::party::ParticipantDecision as Document>::PAYLOAD_TYPE);
        assert_eq!(act.until, act.since.plus_seconds(7 * 24 * 3600));
    }
    // It waits no longer once it stands in the log.
    let second: Envelope<schemas::party::ParticipantDecision> = house.sign(&decision, &house.sro[1]);
    post::<TwoPeople, _>(&house, path, &second, 201).unwrap();
    assert!(queue(&house.sro[0]).unwrap().acts.is_empty());
    // What nobody signs with is forgotten after a week.
    let again = house.decision(&house.tdps[1], Kind::Tdp, Decision::Suspended);
    post::<TwoPeople, _>(&house, path, &house.sign(&again, &house.sro[0]), 202).unwrap();
    assert_eq!(queue(&house.sro[1]).unwrap().acts.len(), 1);
    house.skip(7 * 24 * 3600 + 1);
    assert!(queue(&house.sro[1]).unwrap().acts.is_empty());
}

/// What anybody is told under this path.
fn text(house: &House, path: &str, accept: &str) -> String {
    let response = http().get(format!("{}{path}", house.url())).header("accept", accept).send().unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.text().unwrap()
}

#[test]
fn where_a_key_lies_is_shown_to_those_who_contract_and_to_nobody_else() {
    let house = House::furnished();
    let offer = papers::offer(&house, 0);
    let id = &offer.dataset_id;
    let jwk = serde_json::to_value(&offer.key.kms_jwk).unwrap();
    let secrets = [offer.key.kms.as_str(), offer.key.key_id.as_str(), jwk["x"].as_str().unwrap()];
    let signed = offer_payload(&offer);
    for (path, accept) in [
        ("/v1/datasets".to_owned(), "application/json"),
        ("/v1/datasets?q=table&limit=200".to_owned(), "application/json"),
        (format!("/v1/datasets/{id}"), "application/json"),
        (format!("/v1/datasets/{id}/versions"), "application/json"),
        (format!("/v1/datasets/{id}/renewals"), "application/json"),
        (format!("/v1/datasets/{id}/croissant"), "application/ld+json"),
        (format!("/v1/datasets/{id}/croissant"), "application/ld+json;profile=\"http://www.w3.org/ns/dcat\""),
    ] {
        let told = text(&house, &path, accept);
        for secret in secrets {
            assert!(!told.contains(secret), "{path} tells {secret}");
        }
        assert!(!told.contains(&signed), "{path} holds the signed offer");
    }
    let ask = |who: &Arc<FileKey>| house.as_(who).signed_offer(id);
    assert_eq!(code(house.client.signed_offer(id)), Code::Unauthenticated);
    for stranger in [&house.tdps[1], &house.ccrp] {
        assert_eq!(code(ask(stranger)), Code::Forbidden);
    }
    // Its provider, and whoever may propose a contract.
    for who in [&house.tdps[0], &house.tdc] {
        assert_eq!(ask(who).unwrap().envelope.read_unverified().unwrap(), offer);
    }
    // Parties of a contract over it find it in the contract's own papers too.
    house.executed();
    for party in [&house.tdps[1], &house.ccrp] {
        assert_eq!(ask(party).unwrap().envelope.read_unverified().unwrap(), offer);
    }
    // An overseer's reading is entered first.
    let size = || text(&house, "/log/checkpoint", "*/*").lines().nth(1).unwrap().parse::<u64>().unwrap();
    let before = size();
    ask(&house.tdc).unwrap();
    assert_eq!(size(), before);
    ask(&house.sro[0]).unwrap();
    assert!(size() > before);
}

/// The first half of the signed bytes, as envelopes write them.
fn offer_payload(offer: &DatasetOffer) -> String {
    Bytes(canonical::to_bytes(offer).unwrap()).text()[..200].to_owned()
}

#[test]
fn datasets_are_found_by_what_they_are() {
    let house = House::furnished();
    let mut offer = papers::offer(&house, 1);
    offer.offer_version = 2;
    offer.reference.keywords = vec!["oncology".into(), "survival".into()];
    offer.payment[0].amount_minor = schemas::money::Minor::new(7).unwrap();
    house.client.register_dataset(&house.sign(&offer, &house.tdps[1])).unwrap();
    let found = |query: &str| -> Vec<String> {
        let list: DatasetList = get(&house, &format!("/v1/datasets?{query}")).unwrap();
        list.datasets.into_iter().map(|d| d.offer.name).collect()
    };
    let both = ["Table 0", "Table 1"];
    for (query, expected) in [
        ("", &both[..]),
        ("q=oncology%20TABLE", &both[1..]),
        ("q=nothing", &[]),
        ("column=x&column_type=number", &both),
        ("column=x&column_type=text", &[]),
        ("column=absent", &[]),
        ("purpose=TRAINING", &both),
        ("purpose=SALE", &[]),
        ("min_epsilon=1.0&max_epsilon=1.0", &both),
        ("min_epsilon=1.1", &[]),
        ("max_epsilon=0.9", &[]),
        ("max_price=7", &both[1..]),
        ("max_price=7&currency=EUR", &[]),
        ("state=suspended", &[]),
        ("state=registered", &both),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    assert_eq!(found(&format!("provider={}", house.tdps[0].did().unwrap())), both[..1]);
    assert_eq!(found(&format!("data_schema={BUILT_IN_SCHEMA}")), both);
    let page: DatasetList = get(&house, "/v1/datasets?limit=1").unwrap();
    let rest: DatasetList = get(&house, &format!("/v1/datasets?limit=1&cursor={}", page.next.unwrap())).unwrap();
    assert_eq!((rest.datasets.len(), rest.next), (1, None));
    for (query, expected) in [
        ("min_epsilon=x", Code::MalformedNumber),
        ("max_price=-1", Code::MalformedNumber),
        ("state=odd", Code::SchemaMismatch),
        ("provider=x", Code::MalformedId),
        ("cursor=x", Code::MalformedId),
    ] {
        assert_eq!(get::<DatasetList>(&house, &format!("/v1/datasets?{query}")).unwrap_err(), expected, "{query}");
    }
}

/// An access token of somebody.
fn token(house: &House, who: &FileKey) -> String {
    let jti = uuid::Uuid::now_v7().to_string();
    let request = schemas::desk::TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: signing::token::assertion(who, house.url(), jti, house.now()).unwrap(),
    };
    let response = http().post(format!("{}/oauth/token", house.url())).json(&request).send().unwrap();
    response.json::<schemas::desk::TokenAnswer>().unwrap().access_token
}

/// Sends a Croissant document in: status and answer.
fn imported(house: &House, token: Option<&str>, text: &str) -> (u16, String) {
    let request = http().post(format!("{}/v1/datasets/croissant", house.url()));
    let request = request.header("content-type", "application/ld+json").body(text.to_owned());
    let request = request.header("idempotency-key", uuid::Uuid::now_v7().to_string());
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let response = request.send().unwrap();
    (response.status().as_u16(), response.text().unwrap())
}

#[test]
fn a_dataset_goes_out_as_croissant_and_comes_back_as_a_draft() {
    let house = House::furnished();
    let mut offer: DatasetOffer = papers::offer(&house, 0);
    offer.offer_version = 2;
    offer.reference.regions = vec!["IN".into(), "NP".into()];
    offer.statistics = Some(papers::statistics(&offer));
    let sealed = house.sign(&offer, &house.tdps[0]);
    post::<Receipted, _>(&house, "/v1/datasets", &sealed, 201).unwrap();
    let path = format!("/v1/datasets/{}/croissant", offer.dataset_id);
    let response = http().get(format!("{}{path}", house.url())).send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/ld+json");
    let text = response.text().unwrap();
    if let Ok(file) = std::env::var("DEPA_CROISSANT_OUT") {
        std::fs::write(file, &text).unwrap();
    }
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["conformsTo"][0], "http://mlcommons.org/croissant/1.1");
    assert_eq!(document["distribution"][0]["depa:manifestRoot"], offer.manifest_root.to_string());
    assert_eq!(document["rai:dataLimitations"], offer.data_card.limitations);
    assert_eq!(document["usageInfo"]["@type"], "odrl:Offer");
    let dcat = http().get(format!("{}{path}", house.url()));
    let dcat = dcat.header("accept", "application/ld+json; profile=\"http://www.w3.org/ns/dcat#\"").send().unwrap();
    assert_eq!(dcat.json::<Value>().unwrap()["@type"], "dcat:Dataset");
    // Statistics are read with the dataset, and no list carries them.
    let one: DatasetView = get(&house, &format!("/v1/datasets/{}", offer.dataset_id)).unwrap();
    assert_eq!(one.offer.statistics, offer.statistics);
    let listed: DatasetList = get(&house, "/v1/datasets").unwrap();
    assert!(listed.datasets.iter().all(|one| one.offer.statistics.is_none()));
    let token = token(&house, &house.tdps[0]);
    let draft: CroissantDraft = serde_json::from_str(&imported(&house, Some(&token), &text).1).unwrap();
    assert_eq!(
        (&draft.name, &draft.columns, &draft.creators),
        (&offer.name, &offer.columns, &offer.reference.creators)
    );
    assert_eq!(draft.columns[1].column_type, ColumnType::Number);
    assert_eq!(draft.regions, offer.reference.regions);
    assert_eq!(draft.sealed, offer.objects);
    assert_eq!(draft.card.licence.as_deref(), Some(offer.data_card.licence.as_str()));
    assert!(draft.gaps.iter().any(|gap| gap.member == "payment"));
    assert_eq!(imported(&house, Some(&token), r#"{"name": "x"}"#).0, Code::CroissantInvalid.status());
    assert_eq!(imported(&house, None, &text).0, Code::Unauthenticated.status());
    assert_eq!(get::<Value>(&house, &path.replace("000", "fff")).unwrap_err(), Code::NotFound);
}

#[test]
fn the_sro_lays_down_templates_schemas_and_revokes_image_sets() {
    let house = House::furnished();
    let template: Template = serde_json::from_value(json!({"schema": "template.v1", "registry": house.registry(),
        "template": "oncology-v2", "title": "Oncology", "text_url": "https://sro.example/t.pdf",
        "text_sha256": Digest([4; 32]), "purposes": ["TRAINING"], "jurisdictions": [], "max_days": 365,
        "lapse_days": 14, "sro_countersigns": false, "risk_statement": true, "at": house.now()}))
    .unwrap();
    let stranger = post::<TwoPeople, _>(&house, "/v1/templates", &house.sign(&template, &house.tdc), 202);
    assert_eq!(stranger.unwrap_err(), Code::Forbidden);
    by_two(&house, "/v1/templates", &template);
    assert_eq!(get::<TemplateList>(&house, "/v1/templates").unwrap().templates.len(), 1);
    assert!(get::<Value>(&house, "/v1/templates/oncology-v2").is_ok());
    assert_eq!(get::<Value>(&house, "/v1/templates/none-v1").unwrap_err(), Code::NotFound);
    let schema: DataSchema = serde_json::from_value(json!({"schema": "data-schema.v1", "registry": house.registry(),
        "uri": "urn:sro:tests", "title": "Tests", "at": house.now(),
        "columns": [{"name": "k", "type": "text", "lower": null, "upper": null}]}))
    .unwrap();
    by_two(&house, "/v1/data-schemas", &schema);
    assert_eq!(get::<DataSchemaList>(&house, "/v1/data-schemas?uri=urn:sro:tests").unwrap().data_schemas.len(), 1);
    assert_eq!(get::<DataSchemaList>(&house, "/v1/data-schemas?uri=urn:other").unwrap().data_schemas.len(), 0);
    let revocation = ImageSetRevocation {
        schema: "image-set-revocation.v1".into(),
        registry: house.registry(),
        image_set_id: papers::image_set_id(),
        reason: "A hole".into(),
        at: house.now(),
    };
    let standing: ImageSetList = get(&house, "/v1/image-sets?state=approved").unwrap();
    assert_eq!(standing.image_sets.len(), 1);
    by_two(&house, "/v1/image-sets/revocations", &revocation);
    let revoked: ImageSetList = get(&house, "/v1/image-sets").unwrap();
    assert_eq!(revoked.image_sets[0].state, "revoked");
    assert!(revoked.image_sets[0].revocation.is_some() && revoked.next.is_none());
    assert_eq!(get::<ImageSetList>(&house, "/v1/image-sets?state=odd").unwrap_err(), Code::SchemaMismatch);
    assert_eq!(code(house.propose(&papers::contract(&house))), Code::ImageSetNotApproved);
}

#[test]
fn a_rejected_applicant_is_erased() {
    let house = House::furnished();
    let key = FileKey::generate().unwrap();
    let applied = house.client.apply(&house.sign(&papers::participant(&house, &key, Kind::Tdp), &key)).unwrap();
    let rejected = house.client.decide(&house.by_sro(&house.decision(&key, Kind::Tdp, Decision::Rejected))).unwrap();
    let erasure = |entries: Vec<u64>| Erasure {
        schema: "erasure.v1".into(),
        registry: house.registry(),
        entries,
        reason: "Asked for".into(),
        at: house.now(),
    };
    let half = house.by_sro(&erasure(vec![applied.index]));
    assert_eq!(post::<TwoPeople, _>(&house, "/v1/erasures", &half, 201).unwrap_err(), Code::SchemaMismatch);
    by_two(&house, "/v1/erasures", &erasure(vec![applied.index, rejected.receipt.unwrap().index]));
    assert_eq!(code(house.client.participant(&key.did().unwrap())), Code::NotFound);
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
