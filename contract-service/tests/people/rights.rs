//! What a session may and may not do: it reads for its member and manages itself; documents are signed by keys.

use schemas::Code;
use schemas::party::{Decision, Kind, ParticipantDecision};
use serde_json::{Value, json};

use crate::browser::{Browser, enrolled, with_token};
use crate::house::House;

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
