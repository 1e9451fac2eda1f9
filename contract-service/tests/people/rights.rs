//! What a session may and may not do: it reads for its member and manages itself; documents are signed by keys.

use schemas::Code;
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
