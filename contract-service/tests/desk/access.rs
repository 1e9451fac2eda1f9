//! Who may read what: tokens, foreign things, people of the SRO.

use schemas::desk::TokenRequest;
use schemas::party::{Decision, Kind};
use schemas::problem::Problem;
use schemas::{Code, R};
use signing::{FileKey, token};

use crate::house::House;
use crate::http;
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

/// Asks for a token with this assertion.
fn ask(house: &House, assertion: &str) -> Result<String, Code> {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let request = TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: assertion.into(),
    };
    let response = client.post(format!("{}/oauth/token", house.url())).json(&request).send().unwrap();
    if response.status() == 200 {
        return Ok(response.json::<schemas::desk::TokenAnswer>().unwrap().access_token);
    }
    Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap())
}

/// Reads something with this token.
fn read(house: &House, path: &str, token: &str) -> Result<u16, Code> {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", house.url())).bearer_auth(token).send().unwrap();
    match response.status().as_u16() {
        200 => Ok(200),
        _ => Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap()),
    }
}

#[test]
fn assertions_count_once_and_for_this_service() {
    let house = House::furnished();
    let (now, url) = (house.now(), house.url());
    let jti = || uuid::Uuid::now_v7().to_string();
    let good = token::assertion(&*house.tdc, url, jti(), now).unwrap();
    let bearer = ask(&house, &good).unwrap();
    assert_eq!(read(&house, "/v1/contracts", &bearer), Ok(200));
    assert_eq!(ask(&house, &good), Err(Code::TokenReplayed));
    let elsewhere = token::assertion(&*house.tdc, "http://other", jti(), now).unwrap();
    assert_eq!(ask(&house, &elsewhere), Err(Code::Unauthenticated));
    let stranger = token::assertion(&FileKey::generate().unwrap(), url, jti(), now).unwrap();
    assert_eq!(ask(&house, &stranger), Err(Code::Unauthenticated));
    let old = token::assertion(&*house.tdc, url, jti(), now.plus_seconds(-200)).unwrap();
    assert_eq!(ask(&house, &old), Err(Code::Unauthenticated));
    // An access token is no assertion, nor the other way round.
    assert_eq!(ask(&house, &bearer), Err(Code::Unauthenticated));
    let unused = token::assertion(&*house.tdc, url, jti(), now).unwrap();
    assert_eq!(read(&house, "/v1/contracts", &unused), Err(Code::Unauthenticated));
    let mut forged = bearer.clone();
    forged.pop();
    assert_eq!(read(&house, "/v1/contracts", &forged), Err(Code::Unauthenticated));
    house.skip(600);
    assert_eq!(read(&house, "/v1/contracts", &bearer), Err(Code::Unauthenticated));
}

#[test]
fn suspension_bites_whatever_the_token_says() {
    let house = House::furnished();
    let tdc = house.as_(&house.tdc);
    tdc.contracts().unwrap();
    house.skip(1);
    house.client.decide(&house.by_sro(&house.decision(&house.tdc, Kind::Tdc, Decision::Suspended))).unwrap();
    assert_eq!(code(tdc.contracts()), Code::Unauthenticated);
}

#[test]
fn foreign_and_unknown_things_look_alike() {
    let house = House::furnished();
    let contract = house.executed();
    let stranger = house.as_(&house.psp);
    let unknown = schemas::id::ContractId::new(uuid::Uuid::now_v7());
    let foreign = stranger.contract(&contract.id).unwrap_err();
    let absent = stranger.contract(&unknown).unwrap_err();
    assert_eq!((foreign.code, &foreign), (Code::ContractUnknown, &absent));
    assert_eq!(code(stranger.contract_bundle(&contract.id)), Code::ContractUnknown);
    assert!(stranger.contracts().unwrap().contracts.is_empty());
    assert_eq!(code(house.client.contract(&contract.id)), Code::Unauthenticated);
    assert_eq!(house.as_(&house.sro[0]).contract(&contract.id).unwrap().sha256, contract.sha256);
    let run = house.running();
    assert_eq!(code(stranger.run(&run.run_id)), Code::RunUnknown);
    assert_eq!(code(stranger.order(&run.job_sha256)), Code::NotFound);
    assert_eq!(code(house.as_(&house.tdps[0]).content_key(&run.run_id)), Code::Forbidden);
    assert!(stranger.payments(None).unwrap().payments.is_empty());
}

#[test]
fn the_export_is_for_the_sro_and_receipts_for_those_concerned() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    for who in [&house.tdc, &house.tdps[0], &house.ccrp, &house.psp] {
        assert_eq!(code(house.as_(who).export(0, 10)), Code::Forbidden);
    }
    let export = house.as_(&house.sro[0]).export(0, 1000).unwrap();
    let proposal = export.entries.iter().find(|entry| entry.record.kind == "contract_proposed").unwrap();
    assert_eq!(proposal.subject, contract.read_unverified().unwrap().contract_id.to_string());
    assert_eq!(house.as_(&house.tdps[0]).receipt(proposal.index).unwrap().record, proposal.record);
    assert_eq!(code(house.as_(&house.psp).receipt(proposal.index)), Code::NotFound);
    assert_eq!(code(house.as_(&house.psp).receipt(9999)), Code::NotFound);
    house.as_(&house.psp).receipt(0).unwrap();
    // That the bodies were read stands in the log before they are shown, and in what is shown.
    let readings: Vec<_> = export.entries.iter().filter(|entry| entry.record.kind == "bodies_read").collect();
    assert_eq!(readings.len(), 1);
    let schemas::event::Body::BodiesRead { by, from, count } = &readings[0].body else { panic!("another body") };
    assert_eq!((by, *from, *count), (&house.sro[0].did().unwrap(), 0, readings[0].index));
    // Who has everything reads nothing, and nothing is entered for it: a mirror that is whole stays whole.
    let after = house.as_(&house.sro[0]).export(export.size, 10).unwrap();
    assert_eq!((after.entries.len(), after.size), (0, export.size));
}

#[test]
fn what_overseers_read_of_a_contract_is_entered_and_what_parties_read_is_not() {
    let house = House::furnished();
    let contract = house.executed();
    let auditor = std::sync::Arc::new(FileKey::generate().unwrap());
    house.admit(&auditor, Kind::Auditor);
    let size = || schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let before = size();
    house.as_(&house.tdc).contract(&contract.id).unwrap();
    assert_eq!(size(), before);
    for overseer in [&auditor, &house.sro[1]] {
        let before = size();
        house.as_(overseer).contract(&contract.id).unwrap();
        assert!(size() > before, "the reading was not entered");
        for (path, entered) in
            [(format!("/validate_contract/{}", contract.id), true), ("/find_contract".to_owned(), false)]
        {
            let before = size();
            let answer = http::get(&house, &path).bearer_auth(http::bearer(&house, overseer)).send().unwrap();
            assert_eq!((answer.status().as_u16(), size() > before), (200, entered), "{path}");
        }
    }
    // An auditor reads, and acts on nothing.
    house.as_(&auditor).export(0, 10).unwrap();
    assert_eq!(code(house.as_(&auditor).lease_order(0)), Code::Forbidden);
}

#[test]
fn what_overseers_read_of_runs_payments_and_receipts_is_entered_and_what_parties_read_is_not() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let export = house.as_(&house.sro[0]).export(0, 1000).unwrap();
    let proposal = export.entries.iter().find(|entry| entry.record.kind == "contract_proposed").unwrap().index;
    assert!(contract.read_unverified().is_ok());
    let auditor = std::sync::Arc::new(FileKey::generate().unwrap());
    house.admit(&auditor, Kind::Auditor);
    let run = house.running();
    let size = || schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let before = size();
    house.as_(&house.tdc).run(&run.run_id).unwrap();
    house.as_(&house.tdps[0]).receipt(proposal).unwrap();
    assert!(house.as_(&house.tdc).payments(None).unwrap().payments.is_empty());
    assert_eq!(size(), before, "parties read their own");
    for overseer in [&auditor, &house.sro[1]] {
        let before = size();
        house.as_(overseer).run(&run.run_id).unwrap();
        let after = size();
        assert!(after > before, "the reading of a run was not entered");
        house.as_(overseer).receipt(proposal).unwrap();
        assert!(size() > after, "the reading of a private entry was not entered");
        let before = size();
        house.as_(overseer).receipt(0).unwrap();
        assert!(house.as_(overseer).payments(None).unwrap().payments.is_empty());
        assert_eq!(size(), before, "public entries are everyone's, and nothing was shown");
    }
}

#[test]
fn roles_have_only_their_own_calls() {
    let house = House::furnished();
    assert_eq!(code(house.as_(&house.tdc).lease_order(0)), Code::Forbidden);
    assert_eq!(code(house.client.lease_order(0)), Code::Unauthenticated);
    let events = ["payment.instructed"];
    assert_eq!(code(house.as_(&house.ccrp).create_endpoint("http://localhost:9/", &events)), Code::Forbidden);
    assert_eq!(code(house.client.create_endpoint("http://localhost:9/", &events)), Code::Unauthenticated);
}
