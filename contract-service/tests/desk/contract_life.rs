//! The longer life of a contract over HTTP: counter-offers, stops by two people, what the clock brings, drafts, COSE,
//! DEPA's event face.

use std::time::{Duration, Instant};

use contract_client::Acted;
use reqwest::blocking::Response;
use schemas::contract::{Cause, Contract, ContractRef, ContractResume, ContractState, ContractSuspend};
use schemas::desk::{ContractAnswer, ContractEvents, ContractList, DraftView};
use schemas::event::Body;
use schemas::rules::Template;
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, canonical};
use serde_json::{Value, json};
use signing::FileKey;

use crate::house::{House, reference};
use crate::http::{bearer, client, code, get, post};
use crate::papers;

fn read<T: serde::de::DeserializeOwned>(house: &House, who: &FileKey, path: &str) -> T {
    get(house, path).bearer_auth(bearer(house, who)).send().unwrap().json().unwrap()
}

fn suspend(house: &House, contract: &ContractRef) -> ContractSuspend {
    ContractSuspend {
        schema: "contract-suspend.v1".into(),
        registry: house.registry(),
        contract: contract.clone(),
        cause: Cause::SecurityIncident,
        reason: "A key may be lost".into(),
        at: house.now(),
    }
}

fn resume(house: &House, contract: &ContractRef) -> ContractResume {
    ContractResume {
        schema: "contract-resume.v1".into(),
        registry: house.registry(),
        contract: contract.clone(),
        cause: Cause::SecurityIncident,
        reason: "It was found".into(),
        at: house.now(),
    }
}

fn listed(house: &House) -> Vec<ContractState> {
    let list = house.client.status_list().unwrap().read_unverified().unwrap();
    list.not_in_force.into_iter().map(|status| status.state).collect()
}

#[test]
fn a_counter_offer_takes_the_place_of_the_proposal() {
    let house = House::furnished();
    let first = house.propose(&papers::contract(&house)).unwrap();
    let mut better = first.read_unverified().unwrap();
    (better.version, better.supersedes) = (2, Some(first.digest()));
    better.expires_at = better.expires_at.plus_seconds(86_400);
    let mut cheaper = better.clone();
    cheaper.payment[0].amount_minor = schemas::money::Minor::new(1).unwrap();
    let refused = house.client.propose(&house.sign(&cheaper, &house.tdps[0])).unwrap_err();
    assert!(matches!(refused.code, Code::PriceChanged | Code::TermsNotOffer), "{refused}");
    let counter = house.sign(&better, &house.tdps[0]);
    assert_eq!(house.client.propose(&counter).unwrap().state, ContractState::Proposed);
    assert_eq!(house.countersign(&first, &house.tdps[1]).unwrap_err().code, Code::StateTransition);
    let view = house.as_(&house.tdc).contract(&better.contract_id).unwrap();
    assert_eq!((view.sha256, view.rev), (counter.digest(), 2));
    for who in [&house.tdc, &house.tdps[1], &house.ccrp] {
        house.countersign(&counter, who).unwrap();
    }
    assert_eq!(house.as_(&house.tdc).contract(&better.contract_id).unwrap().state, ContractState::Active);
    let path = format!("/v1/contracts/{}/events?limit=3", better.contract_id);
    let page: ContractEvents = read(&house, &house.tdps[1], &path);
    assert_eq!(page.events.len(), 3);
    assert!(matches!(page.events[0].body, Body::ContractProposed { .. }));
    let next: ContractEvents = read(&house, &house.tdps[1], &format!("{path}&cursor={}", page.next.unwrap()));
    assert!(matches!(next.events.last().unwrap().body, Body::ContractExecuted { .. }));
    assert!(next.next.is_none());
    let foreign = get(&house, &path).bearer_auth(bearer(&house, &house.psp)).send().unwrap();
    assert_eq!(code(foreign), Code::ContractUnknown);
}

#[test]
fn lists_are_narrowed_and_a_contract_is_checked_without_being_entered() {
    let house = House::furnished();
    let (active, open) = (house.executed(), house.propose(&papers::contract(&house)).unwrap());
    let list = |query: &str| -> ContractList { read(&house, &house.tdc, &format!("/v1/contracts{query}")) };
    let ids = |query: &str| list(query).contracts.into_iter().map(|row| row.contract_id).collect::<Vec<_>>();
    assert_eq!(ids("").len(), 2);
    assert_eq!(ids("?state=active"), std::slice::from_ref(&active.id));
    assert_eq!(ids(&format!("?q={}", active.id.as_str())), std::slice::from_ref(&active.id));
    assert_eq!(ids(&format!("?party={}", signing::Signer::kid(&*house.psp).holder)).len(), 0);
    let page = list("?limit=1");
    assert_eq!(page.contracts.len(), 1);
    assert_eq!(ids(&format!("?limit=1&cursor={}", page.next.unwrap())).len(), 1);
    let bad = get(&house, "/v1/contracts?state=happy").bearer_auth(bearer(&house, &house.tdc)).send().unwrap();
    assert_eq!(code(bad), Code::SchemaMismatch);

    let good = papers::contract(&house);
    let check = |contract: &Contract| house.as_(&house.tdc).check_contract(contract).unwrap().refusals;
    assert_eq!(check(&good), []);
    let mut spoilt = good.clone();
    spoilt.contract_id = reference(&open).id;
    spoilt.payment[0].amount_minor = schemas::money::Minor::new(1).unwrap();
    spoilt.template = "nobody-v9".into();
    spoilt.purpose = "RESALE".into();
    let codes: Vec<String> = check(&spoilt).into_iter().map(|fault| fault.code).collect();
    for expected in ["CONTRACT_EXISTS", "PURPOSE_NOT_ALLOWED", "TEMPLATE_UNKNOWN"] {
        assert!(codes.iter().any(|code| code == expected), "{expected} in {codes:?}");
    }
    assert_eq!(ids("").len(), 2, "nothing was entered");
}

#[test]
fn a_next_version_that_waits_for_the_sro_is_listed_by_its_state() {
    let house = House::furnished();
    let standing = house.executed();
    let template: Template = serde_json::from_value(json!({"schema": "template.v1", "registry": house.registry(),
        "template": "countersigned-v1", "title": "Countersigned", "text_url": "https://sro.example/t.pdf",
        "text_sha256": Digest([4; 32]), "purposes": ["TRAINING"], "jurisdictions": [], "max_days": 365,
        "lapse_days": 14, "sro_countersigns": true, "risk_statement": true, "at": house.now()}))
    .unwrap();
    house.client.approve_template(&house.by_sro(&template)).unwrap();
    let before = house.as_(&house.tdc).contract(&standing.id).unwrap().contract.read_unverified().unwrap();
    let next = Contract {
        version: 2,
        supersedes: Some(standing.sha256),
        template: "countersigned-v1".into(),
        max_runs: Some(3),
        ..before
    };
    let proposed = house.propose(&next).unwrap();
    let listed = |who: &FileKey, query: &str| {
        let list: ContractList = read(&house, who, &format!("/v1/contracts{query}"));
        list.contracts.into_iter().map(|row| (row.contract_id, row.sha256, row.state)).collect::<Vec<_>>()
    };
    let row = |sha256, state| vec![(standing.id.clone(), sha256, state)];
    assert_eq!(listed(&house.tdps[0], "?state=proposed"), row(proposed.digest(), ContractState::Proposed));
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&proposed, who).unwrap();
    }
    assert_eq!(listed(&house.sro[0], "?state=awaiting_sro"), row(proposed.digest(), ContractState::AwaitingSro));
    // The version in force is the contract's otherwise, and in its own state.
    assert_eq!(listed(&house.sro[0], ""), row(standing.sha256, ContractState::Active));
    assert_eq!(listed(&house.sro[0], "?state=active"), row(standing.sha256, ContractState::Active));
    assert_eq!(listed(&house.psp, "?state=awaiting_sro"), []);
    for who in [&house.sro[0], &house.sro[1]] {
        house.countersign(&proposed, who).unwrap();
    }
    assert_eq!(listed(&house.sro[0], "?state=awaiting_sro"), []);
    assert_eq!(listed(&house.sro[0], ""), row(proposed.digest(), ContractState::Active));
}

#[test]
fn two_people_of_the_sro_stop_and_resume_a_contract_one_after_the_other() {
    let house = House::furnished();
    let contract = house.executed();
    let stop = suspend(&house, &contract);
    let by = |who: &FileKey| house.client.contract_act(&contract.id, "suspend", &house.sign(&stop, who)).unwrap();
    let Acted::Waiting(waiting) = by(&house.sro[0]) else { panic!("one person is enough") };
    assert_eq!((waiting.signatures, listed(&house)), (1, vec![]));
    let Acted::Waiting(_) = by(&house.sro[0]) else { panic!("the same person counts twice") };
    let Acted::Entered(ContractAnswer { state, .. }) = by(&house.sro[1]) else { panic!("two people are not enough") };
    assert_eq!((state, listed(&house)), (ContractState::Suspended, vec![ContractState::Suspended]));
    let ordered = house.client.order_run(&house.bundle(&contract));
    assert_eq!(ordered.unwrap_err().code, Code::ContractSuspended);
    house.skip(1);
    let lift = house.by_sro(&resume(&house, &contract));
    let Acted::Entered(answer) = house.client.contract_act(&contract.id, "resume", &lift).unwrap() else { panic!() };
    assert_eq!((answer.state, listed(&house)), (ContractState::Active, vec![]));
}

#[test]
fn a_provider_stops_a_running_contract_and_the_room_gets_no_fresh_admission() {
    let house = House::furnished();
    let run = house.running();
    let contract = run.job.contracts[0].clone();
    let stop = house.sign(&suspend(&house, &contract), &house.tdps[0]);
    house.client.contract_act(&contract.id, "suspend", &stop).unwrap();
    let request = house.sign(&house.refresh_words(&run), &run.key);
    let refused = house.client.refresh_admission(&run.run_id, &request).unwrap_err();
    assert_eq!(refused.code, Code::ContractSuspended);
    let by_tdc = house.sign(&suspend(&house, &contract), &house.tdc);
    assert!(house.client.contract_act(&contract.id, "suspend", &by_tdc).is_err());
}

/// Looks until it is so, for at most ten seconds.
fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_service_tells_what_the_clock_brings() {
    let house = House::furnished();
    let contract = house.executed();
    house.skip(30 * 86_400);
    let path = format!("/v1/contracts/{}/events", contract.id);
    soon("the entry of the end", || {
        let page: ContractEvents = read(&house, &house.tdc, &path);
        let last = page.events.last().map(|event| event.body.clone());
        last == Some(Body::ContractTimed { contract: contract.clone(), state: ContractState::Expired })
    });
}

#[test]
fn a_contract_is_proposed_and_signed_by_one_cose_message() {
    let house = House::furnished();
    let contract = papers::contract(&house);
    let parties: Vec<_> = contract.parties.iter().map(|p| p.did.clone()).collect();
    let mut envelope = Envelope::draft(&contract).unwrap();
    for who in [&house.tdc, &house.tdps[0], &house.tdps[1], &house.ccrp] {
        let signature = signing::cose::sign(&envelope, &parties, "training", &**who).unwrap();
        envelope.signatures.push(signature);
    }
    let message = signing::cose::write(&envelope, &[]).unwrap();
    let send = |body: &[u8]| -> Response {
        let key = uuid::Uuid::now_v7().to_string();
        let request = client().post(format!("{}/v1/contracts", house.url())).body(body.to_vec());
        request.header("content-type", "application/cose").header("idempotency-key", key).send().unwrap()
    };
    let mut spoilt = message.clone();
    let last = spoilt.len() - 1;
    spoilt[last] ^= 1;
    assert_eq!(code(send(&spoilt)), Code::SignatureInvalid);
    let answer: ContractAnswer = send(&message).json().unwrap();
    assert_eq!(answer.state, ContractState::Active);
    assert!(answer.executed.is_some());
    assert_eq!(code(send(&message)), Code::SignerTwice);
    let view = house.as_(&house.tdc).contract(&contract.contract_id).unwrap();
    assert_eq!(view.contract.signatures.len(), 4);
}

/// A contract of DEPA's shape as it lies in the reference, shortened.
fn depa() -> Value {
    json!({"id": "f4f72a88-bab1-11ed-afa1-0242ac120002", "schemaVersion": "0.1", "startTime": "2023-03-14T00:00:00.000Z",
        "expiryTime": "2024-03-14T00:00:00.000Z", "tdc": "", "tdps": [], "ccrp": "did:web:$CCRP_USERNAME.github.io",
        "datasets": [{"id": "19517ba8-bab8-11ed-afa1-0242ac120002", "owner": "a", "name": "table", "url": "https://$X/data",
            "provider": "", "key": {"type": "azure", "properties": {"kid": "K", "endpoint": ""}}}],
        "purpose": "TRAINING", "constraints": [{"privacy": [{"dataset": "19517ba8-bab8-11ed-afa1-0242ac120002",
            "epsilon_threshold": "1.5", "noise_multiplier": 2.0, "delta": "0.01"}]}],
        "terms": {"payment": {}, "revocation": {}}})
}

#[test]
fn drafts_are_private_and_become_contracts() {
    let house = House::furnished();
    let token = bearer(&house, &house.tdc);
    let import = post(&house, "/v1/drafts/import", depa().to_string().as_bytes()).bearer_auth(&token).send().unwrap();
    assert_eq!(import.status(), 201);
    let draft: DraftView = import.json().unwrap();
    let codes: Vec<&str> = draft.refusals.iter().map(|fault| fault.code.as_str()).collect();
    assert!(codes.contains(&"CONTRACT_INCOMPLETE") && codes.contains(&"CONTRACT_EXPIRED"), "{codes:?}");
    assert_eq!(draft.origin.as_ref().unwrap().foreign_id.as_deref(), Some("f4f72a88-bab1-11ed-afa1-0242ac120002"));
    assert!(draft.notices.iter().any(|notice| notice.contains("noise_multiplier")));
    let path = format!("/v1/drafts/{}", draft.draft_id);
    let original = get(&house, &format!("{path}/original")).bearer_auth(&token).send().unwrap().bytes().unwrap();
    assert_eq!(original.as_ref(), depa().to_string().as_bytes(), "kept byte for byte");
    let foreign = get(&house, &path).bearer_auth(bearer(&house, &house.tdps[0])).send().unwrap();
    assert_eq!(foreign.status(), 404);
    let nobody = get(&house, "/v1/drafts/unheard").bearer_auth(&token).send().unwrap();
    assert_eq!(code(nobody), Code::DraftUnknown);
    let provider = get(&house, "/v1/drafts").bearer_auth(bearer(&house, &house.ccrp)).send().unwrap();
    assert_eq!(code(provider), Code::Forbidden);

    let whole = json!({"contract": papers::contract(&house)});
    let put = |rev: u32| {
        let request = client().put(format!("{}{path}?rev={rev}", house.url())).json(&whole);
        request.bearer_auth(&token).send().unwrap()
    };
    let written: DraftView = put(1).json().unwrap();
    assert_eq!((written.rev, written.refusals.len()), (2, 0), "{:?}", written.refusals);
    assert_eq!(code(put(1)), Code::PreconditionFailed);
    let contract: Contract = serde_json::from_value(written.contract).unwrap();
    house.propose(&contract).unwrap();
    let gone = client().delete(format!("{}{path}", house.url())).bearer_auth(&token).send().unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(get(&house, &path).bearer_auth(&token).send().unwrap().status(), 404);
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let house = House::furnished();
    let token = bearer(&house, &house.tdc);
    let send = |body: &[u8], media: &str| {
        let request = client().post(format!("{}/v1/drafts/import", house.url())).body(body.to_vec());
        let key = uuid::Uuid::now_v7().to_string();
        request.header("content-type", media).header("idempotency-key", key).bearer_auth(&token).send().unwrap()
    };
    assert_eq!(code(send(b"[]", "application/json")), Code::ImportInvalid);
    assert_eq!(code(send(b"\x00", "application/cose")), Code::CoseForm);
    assert_eq!(code(send(b"{}", "text/plain")), Code::MediaType);
}

/// An event of somebody, as DEPA sends it.
fn event(kind: &str, data: &Value, who: &FileKey) -> Value {
    event_for(None, kind, data, who)
}

/// The same, for the registry that it names.
fn event_for(registry: Option<&str>, kind: &str, data: &Value, who: &FileKey) -> Value {
    let data = Bytes(canonical::to_bytes(data).unwrap()).text();
    let mut event = json!({"id": "1", "time": "2026-12-01T00:00:00Z", "version": "1.0", "type": kind,
        "contentType": "application/json", "data": data});
    if let Some(registry) = registry {
        event["registry"] = json!(registry);
    }
    let signature = signing::event::sign(&canonical::to_bytes(&event).unwrap(), who).unwrap();
    event["signature"] = json!(signature);
    event
}

fn answered(house: &House, path: &str, event: &Value) -> (u16, String, Value) {
    let response = post(house, path, event.to_string().as_bytes()).send().unwrap();
    let status = response.status().as_u16();
    let answer: Value = response.json().unwrap();
    let data = Bytes::parse(answer["data"].as_str().unwrap()).unwrap();
    (status, answer["type"].as_str().unwrap().into(), serde_json::from_slice(&data.0).unwrap())
}

#[test]
fn depas_event_face_says_what_it_knows_and_where_the_rest_is_done() {
    let house = House::furnished();
    let contract = house.executed();
    let check = event("ccr.event.contract.check", &json!({"contract_id": contract.id}), &house.tdc);
    let (status, kind, data) = answered(&house, "/authorize", &check);
    assert_eq!((status, kind.as_str()), (200, "ccr.event.contract.check.response"));
    assert_eq!((data["state"].as_str(), data["contract_state"].as_str()), (Some("ACTIVE"), Some("active")));
    assert_eq!(data["participants"][0]["state"], "VERIFIED");
    let bad = |path: &str, event: &Value| {
        let (status, kind, data) = answered(&house, path, event);
        assert_eq!((status, kind.as_str()), (400, "ccr.event.bad"), "{path}");
        (data["code"].as_u64().unwrap(), data["message"].as_str().unwrap().to_owned())
    };
    let rows = [
        ("/provision", "ccr.event.provision.init", "/v1/run-orders"),
        ("/attest", "ccr.attest.init", "/v1/runs"),
        ("/data", "ccr.event.data.ready", "/v1/datasets"),
        ("/key", "ccr.event.key.released", "/receipts"),
        ("/authorize", "ccr.authorization.requested", "/admission"),
        ("/authorize", "ccr.event.contract.revoke", "/revoke"),
    ];
    for (path, kind, route) in rows {
        let (code, message) = bad(path, &event(kind, &json!({}), &house.tdc));
        assert!(code == 501 && message.contains(route), "{kind}: {code} {message}");
    }
    assert_eq!(bad("/key", &event("ccr.event.nonsense", &json!({}), &house.tdc)).0, 501);
    assert_eq!(bad("/authorize", &event("ccr.event.contract.check", &json!({}), &house.tdc)).0, 502);
    assert_eq!(bad("/key", &json!({"id": "1"})).0, 502);
    let mut spoilt = check.clone();
    spoilt["id"] = json!("2");
    assert_eq!(bad("/authorize", &spoilt).0, 504);
    let stranger = FileKey::from_seed("did:web:stranger.example", &[9; 32]);
    assert_eq!(bad("/key", &event("ccr.event.key.released", &json!({}), &stranger)).0, 505);
    let foreign = event("ccr.event.contract.check", &json!({"contract_id": contract.id}), &house.psp);
    assert_eq!(bad("/authorize", &foreign).0, 502, "what is not theirs they do not learn");
    let overseer = event("ccr.event.contract.check", &json!({"contract_id": contract.id}), &house.sro[0]);
    assert_eq!(bad("/authorize", &overseer).0, 502, "the SRO reads where its reading is entered");
    let here = |registry: &str| {
        event_for(Some(registry), "ccr.event.contract.check", &json!({"contract_id": contract.id}), &house.tdc)
    };
    assert_eq!(answered(&house, "/authorize", &here(house.registry().as_str())).0, 200, "it may name the registry");
    assert_eq!(bad("/authorize", &here("did:web:elsewhere.example")).0, 504, "signed for another registry");
    let mut readdressed = check.clone();
    readdressed["registry"] = json!(house.registry());
    assert_eq!(bad("/authorize", &readdressed).0, 504, "the registry is signed with the rest");
    let reply: Value = post(&house, "/authorize", check.to_string().as_bytes()).send().unwrap().json().unwrap();
    assert_eq!(reply["registry"], json!(house.registry()), "ours say whose they are");
    house.skip(400);
    assert_eq!(bad("/authorize", &check).0, 506, "an old event sent again");
}

#[test]
fn depas_contract_endpoints() {
    let house = House::furnished();
    let contract = house.executed();
    let token = bearer(&house, &house.tdc);
    let path = |path: &str| format!("{}{path}", house.url());
    let made = client().post(path("/create_contract/x")).json(&depa()).bearer_auth(&token).send().unwrap();
    assert_eq!(made.status(), 200);
    let draft: DraftView = made.json().unwrap();
    assert!(draft.draft_id.starts_with("drf_"));
    let nobody = client().post(path("/create_contract/x")).json(&depa()).send().unwrap();
    assert_eq!(nobody.status(), 401);
    let found: Value = read(&house, &house.tdc, &format!("/find_contract?contract_id={}", contract.id));
    assert_eq!(found["contracts"][0]["state"], "ACTIVE");
    let none: Value = read(&house, &house.tdc, "/find_contract?start_date=1999");
    assert_eq!(none["contracts"], json!([]));
    let validate = |who: &FileKey| {
        let url = format!("/validate_contract/{}", contract.id);
        get(&house, &url).bearer_auth(bearer(&house, who)).send().unwrap().status().as_u16()
    };
    assert_eq!((validate(&house.ccrp), validate(&house.psp)), (200, 404));
    house.client.revoke(&contract.id, &house.by_sro(&papers::revoke(&house, &contract))).unwrap();
    assert_eq!(validate(&house.ccrp), 400);
    for url in ["/update_contract/1", "/commit_contract/1/2/3", "/revoke_contract/1/2/3"] {
        let answer = client().put(path(url)).json(&json!({})).bearer_auth(&token).send().unwrap();
        assert_eq!(answer.status(), 400, "{url}");
        assert_eq!(answer.json::<Value>().unwrap()["type"], "ccr.event.bad");
    }
}

#[test]
fn what_overseers_read_by_other_doors_is_entered_too() {
    let house = House::furnished();
    let contract = papers::contract(&house);
    let mut envelope = Envelope::draft(&contract).unwrap();
    let parties: Vec<_> = contract.parties.iter().map(|p| p.did.clone()).collect();
    let signature = signing::cose::sign(&envelope, &parties, "contracts/1", &*house.tdc).unwrap();
    envelope.signatures.push(signature);
    let message = signing::cose::write(&envelope, &[]).unwrap();
    let heard = crate::wire::register(&house, &message, "*/*").json();
    let doors = [
        (format!("/entries/{}?embedReceipt=true", heard["operationId"].as_str().unwrap()), 200, true),
        (format!("/validate_contract/{}", contract.contract_id), 400, true),
        ("/find_contract".to_owned(), 200, false),
    ];
    let size = || schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    for (path, status, entered) in doors {
        for (who, overseer) in [(&house.sro[0], true), (&house.tdc, false)] {
            let token = bearer(&house, who);
            let before = size();
            let heard = get(&house, &path).bearer_auth(token).send().unwrap();
            assert_eq!((heard.status().as_u16(), size() > before), (status, entered && overseer), "{path}");
        }
    }
    let found: Value = read(&house, &house.sro[0], "/find_contract");
    assert_eq!(found["contracts"], json!([]), "the list of the SRO is at /v1/contracts");
}
