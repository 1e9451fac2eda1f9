//! What a session may and may not do: it reads for its member and manages itself; documents are signed by keys.

use schemas::contract::ContractState;
use schemas::id::Did;
use schemas::party::{Decision, Kind, ParticipantDecision};
use schemas::rules::Template;
use schemas::{Code, Digest, Envelope};
use serde_json::{Value, json};
use signing::cose;

use crate::browser::{Browser, enrolled, with_token};
use crate::house::House;
use crate::papers;

#[test]
fn a_session_reads_what_its_member_reads() {
    let house = House::furnished();
    let contract = house.executed();
    let path = format!("/v1/contracts/{}", contract.id);
    let mut consumer = enrolled(&house, &house.tdc, &["signer"]);
    assert_eq!(consumer.get(&path).unwrap()["sha256"], json!(contract.sha256));
    assert_eq!(consumer.get("/v1/contracts").unwrap()["contracts"].as_array().unwrap().len(), 1);
    let mut operator = enrolled(&house, &house.ccrp, &["ccr_operator"]);
    operator.get(&path).unwrap();
    let mut sro = enrolled(&house, &house.sro[0], &["sro_auditor"]);
    sro.get(&path).unwrap();
    sro.get("/v1/audit/export?from=0&limit=5").unwrap();
    // An audit is for the SRO, by its session as by its token.
    assert_eq!(consumer.get("/v1/audit/export?from=0&limit=5"), Err(Code::Forbidden));
    assert_eq!(Browser::new(&house).get(&path), Err(Code::Unauthenticated));
}

#[test]
fn contracts_of_others_do_not_exist_for_a_session() {
    let house = House::furnished();
    let contract = house.executed();
    let stranger = signing::FileKey::generate().unwrap();
    house.admit(&stranger, schemas::party::Kind::Tdc);
    let mut browser = enrolled(&house, &stranger, &["tdc_admin"]);
    let unknown = schemas::id::ContractId::new(uuid::Uuid::now_v7());
    for id in [contract.id, unknown] {
        for path in [format!("/v1/contracts/{id}"), format!("/v1/contracts/{id}/bundle")] {
            assert_eq!(browser.get(&path), Err(Code::ContractUnknown), "{path}");
        }
    }
    assert!(browser.get("/v1/contracts").unwrap()["contracts"].as_array().unwrap().is_empty());
}

#[test]
fn a_session_acts_for_nobody() {
    let house = House::furnished();
    let mut provider = enrolled(&house, &house.ccrp, &["ccr_operator"]);
    assert_eq!(provider.post("/v1/run-orders/lease", json!({"wait_seconds": 0})), Err(Code::Unauthenticated));
    let mut consumer = enrolled(&house, &house.tdc, &["tdc_admin"]);
    let endpoint = json!({"url": "http://localhost:9/", "events": ["run.completed"]});
    assert_eq!(consumer.post("/v1/webhooks/endpoints", endpoint), Err(Code::Unauthenticated));
    // A cookie beside a token is nobody's second chance: a wrong token stays wrong.
    let call = crate::browser::http().get(format!("{}/v1/contracts", house.url())).bearer_auth("wrong");
    let cookie: Vec<String> = consumer.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let answer = call.header("cookie", cookie.join("; ")).send().unwrap();
    assert_eq!(answer.status(), 401);
}

#[test]
fn people_are_seen_and_suspended_by_their_own_alone() {
    let house = House::furnished();
    let mut admin = enrolled(&house, &house.tdps[0], &["tdp_admin"]);
    let mut signer = enrolled(&house, &house.tdps[0], &["signer"]);
    let mut foreign = enrolled(&house, &house.tdps[1], &["tdp_admin"]);
    let id = |browser: &mut Browser| browser.me().unwrap()["person_id"].as_str().unwrap().to_owned();
    let (admins, signers) = (id(&mut admin), id(&mut signer));
    let listed = |got: Value| got["people"].as_array().unwrap().len();
    assert_eq!(listed(admin.get("/v1/people").unwrap()), 2);
    assert_eq!(listed(foreign.get("/v1/people").unwrap()), 1);
    assert_eq!(listed(with_token(&house, &house.tdps[0], "/v1/people", None).unwrap()), 2);
    let suspend = |id: &str| format!("/v1/people/{id}/suspend");
    assert_eq!(signer.post(&suspend(&admins), json!({})), Err(Code::Forbidden));
    assert_eq!(foreign.post(&suspend(&signers), json!({})), Err(Code::NotFound));
    let nobody = "usr_01900000-0000-7000-8000-000000000001";
    assert_eq!(foreign.post(&suspend(nobody), json!({})), Err(Code::NotFound));
    house.skip(300);
    assert_eq!(admin.post(&suspend(&signers), json!({})), Err(Code::StepUpNeeded));
    admin.sign_in().unwrap();
    admin.post(&suspend(&signers), json!({})).unwrap();
    assert_eq!(signer.me(), Err(Code::Unauthenticated));
    assert_eq!(signer.sign_in(), Err(Code::SignInRefused));
    let people = admin.get("/v1/people").unwrap();
    assert!(
        people["people"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["person_id"] == signers.as_str() && p["state"] == "suspended")
    );
    // A key holder's token does the same; another's finds nobody.
    assert_eq!(with_token(&house, &house.tdps[1], &suspend(&admins), Some(json!({}))), Err(Code::NotFound));
    with_token(&house, &house.tdps[0], &suspend(&admins), Some(json!({}))).unwrap();
    assert_eq!(admin.me(), Err(Code::Unauthenticated));
}

#[test]
fn people_of_the_sro_are_one_organisation() {
    let house = House::furnished();
    let mut admin = enrolled(&house, &house.sro[0], &["sro_admin"]);
    let mut auditor = enrolled(&house, &house.sro[1], &["sro_auditor"]);
    assert_eq!(admin.get("/v1/people").unwrap()["people"].as_array().unwrap().len(), 2);
    let id = auditor.me().unwrap()["person_id"].as_str().unwrap().to_owned();
    let own = admin.me().unwrap()["person_id"].as_str().unwrap().to_owned();
    assert_eq!(auditor.post(&format!("/v1/people/{own}/suspend"), json!({})), Err(Code::Forbidden));
    admin.post(&format!("/v1/people/{id}/suspend"), json!({})).unwrap();
    assert_eq!(auditor.me(), Err(Code::Unauthenticated));
}

#[test]
fn an_act_of_the_sro_counts_only_while_its_signer_is_there() {
    let house = House::furnished();
    let decision = |what| house.decision(&house.tdps[0], Kind::Tdp, what);
    let hand_in = |document: &ParticipantDecision, who: usize| {
        house.client.decide(&house.sign(document, &house.sro[who])).map_err(|refusal| refusal.code)
    };
    // Who has no passkey signs by the key alone.
    let suspended = decision(Decision::Suspended);
    assert!(hand_in(&suspended, 0).unwrap().receipt.is_none());
    let mut first = enrolled(&house, &house.sro[0], &["sro_admin"]);
    let mut second = enrolled(&house, &house.sro[1], &["sro_admin"]);
    house.skip(300);
    // Whoever took the second one's key finds that it acts for nobody: with or without the browser, alone or with the first's.
    assert_eq!(hand_in(&suspended, 1).unwrap_err(), Code::StepUpNeeded);
    let both = house.by_sro(&suspended);
    assert_eq!(house.client.decide(&both).unwrap_err().code, Code::StepUpNeeded);
    second.assert_at("/auth/step-up").unwrap();
    assert_eq!(house.client.decide(&both).unwrap_err().code, Code::StepUpNeeded, "the first is not there");
    assert!(hand_in(&suspended, 1).unwrap().receipt.is_some());
    // Five minutes, and no longer; signing out ends it at once.
    let verified = decision(Decision::Verified);
    first.assert_at("/auth/step-up").unwrap();
    house.skip(299);
    assert!(hand_in(&verified, 0).unwrap().receipt.is_none());
    house.skip(1);
    assert_eq!(hand_in(&verified, 0).unwrap_err(), Code::StepUpNeeded);
    first.assert_at("/auth/step-up").unwrap();
    first.post("/auth/sign-out", json!({})).unwrap();
    assert_eq!(hand_in(&verified, 0).unwrap_err(), Code::StepUpNeeded);
    // A wrong signature is refused for what it is: nobody learns by one who is at the desk.
    let mut forged = house.sign(&verified, &house.sro[0]);
    forged.signatures[0].sig.0[0] ^= 1;
    assert_ne!(house.client.decide(&forged).unwrap_err().code, Code::StepUpNeeded);
    second.me().unwrap();
}

#[test]
fn a_contract_in_cose_counts_only_while_its_person_of_the_sro_is_there() {
    let house = House::furnished();
    let template: Template = serde_json::from_value(json!({"schema": "template.v1", "registry": house.registry(),
        "template": "countersigned-v1", "title": "Countersigned", "text_url": "https://sro.example/t.pdf",
        "text_sha256": Digest([4; 32]), "purposes": ["TRAINING"], "jurisdictions": [], "max_days": 365,
        "lapse_days": 14, "sro_countersigns": true, "risk_statement": true, "at": house.now()}))
    .unwrap();
    house.client.approve_template(&house.by_sro(&template)).unwrap();
    let mut contract = papers::contract(&house);
    contract.template = "countersigned-v1".into();
    let proposed = house.propose(&contract).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&proposed, who).unwrap();
    }
    let mut parties: Vec<Did> = contract.parties.iter().map(|party| party.did.clone()).collect();
    parties.extend(house.sro.iter().map(|person| person.did().unwrap()));
    let sign = |who: usize| {
        let mut envelope = Envelope::draft(&contract).unwrap();
        let signature = cose::sign(&envelope, &parties, "contracts/1", &*house.sro[who]).unwrap();
        envelope.signatures.push(signature);
        let message = cose::write(&envelope, &[]).unwrap();
        let url = format!("{}/entries?api-version=2026-03-26", house.url());
        let answer = crate::browser::http().post(url).header("content-type", "application/cose").body(message).send();
        let answer = answer.unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes().unwrap()).into_owned())
    };
    let signatures = || house.as_(&house.tdc).contract(&contract.contract_id).unwrap().contract.signatures.len();
    let mut first = enrolled(&house, &house.sro[0], &["sro_admin"]);
    house.skip(300);
    let (status, told) = sign(0);
    assert!((status, told.contains("STEP_UP_NEEDED"), signatures()) == (403, true, 4), "{status} {told}");
    first.assert_at("/auth/step-up").unwrap();
    let (status, told) = sign(0);
    assert!((200..300).contains(&status), "{status} {told}");
    // Who has no passkey is asked for none.
    let (status, told) = sign(1);
    assert!((200..300).contains(&status), "{status} {told}");
    let view = house.as_(&house.tdc).contract(&contract.contract_id).unwrap();
    assert_eq!((view.state, view.contract.signatures.len()), (ContractState::Active, 6));
}

#[test]
fn a_key_of_the_sro_enrols_and_suspends_nobody_while_its_person_is_away() {
    let house = House::furnished();
    let mut first = enrolled(&house, &house.sro[0], &["sro_admin"]);
    let mut second = enrolled(&house, &house.sro[1], &["sro_auditor"]);
    let id = second.me().unwrap()["person_id"].as_str().unwrap().to_owned();
    house.skip(300);
    // Whoever took the first one's key gives itself no passkey and takes nobody's away.
    let link = || {
        let wish = json!({"display_name": "Bela", "roles": ["sro_admin"]});
        with_token(&house, &house.sro[0], "/v1/people/enrolments", Some(wish))
    };
    let suspend = || with_token(&house, &house.sro[0], &format!("/v1/people/{id}/suspend"), Some(json!({})));
    assert_eq!((link(), suspend()), (Err(Code::StepUpNeeded), Err(Code::StepUpNeeded)));
    second.me().unwrap();
    second.assert_at("/auth/step-up").unwrap();
    assert_eq!(
        (link(), suspend()),
        (Err(Code::StepUpNeeded), Err(Code::StepUpNeeded)),
        "another's presence is no help"
    );
    first.assert_at("/auth/step-up").unwrap();
    let link = crate::browser::secret(&link().unwrap());
    Browser::new(&house).enrol(&link).unwrap();
    suspend().unwrap();
    assert_eq!(second.me(), Err(Code::Unauthenticated));
    // Other participants' keys are asked for nobody.
    drop(enrolled(&house, &house.tdc, &["tdc_admin"]));
    house.skip(300);
    drop(enrolled(&house, &house.tdc, &["signer"]));
}
