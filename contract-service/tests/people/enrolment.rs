//! Enrolment links: who makes them, for which roles, once and for a day.

use contract_service::people::enrol;
use schemas::Code;
use schemas::party::{Decision, Kind};
use schemas::person::Role;
use serde_json::json;

use crate::browser::{Browser, enrolled, link, secret, with_token};
use crate::house::House;

#[test]
fn a_link_makes_a_person_once() {
    let house = House::furnished();
    let token = link(&house, &house.tdps[0], "Asha Rao", &["tdp_admin", "signer"]);
    let mut browser = Browser::new(&house);
    let made = browser.enrol(&token).unwrap();
    assert_eq!(made["recovery_codes"].as_array().unwrap().len(), 10);
    let me = browser.me().unwrap();
    assert_eq!(me["display_name"], "Asha Rao");
    assert_eq!(me["roles"], json!(["tdp_admin", "signer"]));
    assert_eq!(me["member"], house.tdps[0].did().unwrap().as_str());
    let mut other = Browser::new(&house);
    assert_eq!(other.enrol(&token), Err(Code::EnrolmentInvalid));
    assert_eq!(other.enrol("unknown"), Err(Code::EnrolmentInvalid));
    assert_eq!(other.me(), Err(Code::Unauthenticated));
}

#[test]
fn two_who_use_a_link_at_the_same_time_are_one_person() {
    let house = House::furnished();
    let token = link(&house, &house.tdc, "Asha", &["tdc_admin"]);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let enrol = || Browser::new(&house).enrol(&token);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(enrol)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().filter_map(|o| o.as_ref().err()).all(|code| *code == Code::EnrolmentInvalid));
    let people = with_token(&house, &house.tdc, "/v1/people", None).unwrap();
    assert_eq!(people["people"].as_array().unwrap().len(), 1);
}

#[test]
fn a_link_ends_after_a_day_and_with_its_members_suspension() {
    let house = House::furnished();
    let (early, late) = (link(&house, &house.tdc, "A", &["signer"]), link(&house, &house.tdc, "B", &["signer"]));
    house.skip(24 * 3600 - 1);
    Browser::new(&house).enrol(&early).unwrap();
    house.skip(1);
    assert_eq!(Browser::new(&house).enrol(&late), Err(Code::EnrolmentInvalid));
    let token = link(&house, &house.tdc, "C", &["signer"]);
    house.client.decide(&house.by_sro(&house.decision(&house.tdc, Kind::Tdc, Decision::Suspended))).unwrap();
    assert_eq!(Browser::new(&house).enrol(&token), Err(Code::EnrolmentInvalid));
}

#[test]
fn roles_fit_the_kind_of_who_makes_the_link() {
    let house = House::furnished();
    let ask = |key, roles: &[&str]| {
        let body = json!({"display_name": "A", "roles": roles});
        with_token(&house, key, "/v1/people/enrolments", Some(body))
    };
    for (key, role) in [
        (&*house.tdps[0], "tdp_admin"),
        (&house.tdc, "signer"),
        (&house.ccrp, "ccr_operator"),
        (&house.sro[0], "sro_auditor"),
    ] {
        ask(key, &[role]).unwrap();
    }
    for (key, role) in [(&*house.tdps[0], "tdc_admin"), (&house.tdc, "sro_admin"), (&house.ccrp, "signer")] {
        assert_eq!(ask(key, &[role]), Err(Code::Forbidden), "{role}");
    }
    assert_eq!(ask(&house.tdc, &[]), Err(Code::Forbidden));
    assert_eq!(ask(&house.psp, &["signer"]), Err(Code::Forbidden), "payment providers have no people");
    assert_eq!(ask(&house.tdc, &["king"]), Err(Code::SchemaMismatch));
    let unnamed = json!({"display_name": "\n", "roles": ["signer"]});
    let refused = with_token(&house, &house.tdc, "/v1/people/enrolments", Some(unnamed));
    assert_eq!(refused, Err(Code::SchemaMismatch));
    // A person makes no links, not even an administrator.
    let mut admin = enrolled(&house, &house.tdc, &["tdc_admin"]);
    let body = json!({"display_name": "A", "roles": ["signer"]});
    assert_eq!(admin.post("/v1/people/enrolments", body), Err(Code::Unauthenticated));
}

#[test]
fn a_further_link_is_for_an_own_person_alone() {
    let house = House::furnished();
    let mut browser = enrolled(&house, &house.tdps[0], &["signer"]);
    let id = browser.me().unwrap()["person_id"].clone();
    let body = json!({"display_name": "Other", "roles": ["tdp_admin"], "person_id": id});
    let foreign = with_token(&house, &house.tdps[1], "/v1/people/enrolments", Some(body.clone()));
    assert_eq!(foreign, Err(Code::NotFound));
    let token = secret(&with_token(&house, &house.tdps[0], "/v1/people/enrolments", Some(body)).unwrap());
    let mut second = Browser::new(&house);
    let made = second.enrol(&token).unwrap();
    assert_eq!(made["session"]["person_id"], id);
    assert_eq!(made["session"]["roles"], json!(["signer"]), "a further passkey changes no role");
    assert!(made["recovery_codes"].as_array().unwrap().is_empty());
    assert_eq!(second.get("/v1/people/me/passkeys").unwrap()["passkeys"].as_array().unwrap().len(), 2);
}

#[test]
fn a_challenge_of_another_link_does_not_count() {
    let house = House::furnished();
    let (one, two) = (link(&house, &house.tdc, "A", &["signer"]), link(&house, &house.tdc, "B", &["signer"]));
    let mut browser = Browser::new(&house);
    let begun = browser.post("/auth/enrol/options", json!({"token": one})).unwrap();
    let credential = browser.keys.create(&begun["options"]);
    let body = json!({"token": two, "challenge_id": begun["challenge_id"], "credential": credential, "label": "x"});
    assert_eq!(browser.post("/auth/enrol", body.clone()), Err(Code::SignInRefused));
    let mut again = body;
    again["token"] = json!(one);
    assert_eq!(browser.post("/auth/enrol", again), Err(Code::ChallengeUnknown), "a challenge counts once");
    browser.enrol(&one).unwrap();
}

#[test]
fn the_demo_command_prints_a_link_beside_the_running_service() {
    let house = House::furnished();
    let file = house.dir.join("sro/config.toml");
    let did = house.tdc.did().unwrap();
    let command = |file: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_contract-service"));
        command.args(["enrol", "--did", did.as_str(), "--role", "tdc_admin", "--config"]).arg(file).output().unwrap()
    };
    let printed = String::from_utf8(command(&file).stdout).unwrap();
    let link = printed.trim();
    assert!(link.starts_with(&format!("{}/auth/enrol#", house.url())), "{link}");
    // The same as the command does, by the clock of the house.
    let roles = vec![Role::TdcAdmin];
    let link = enrol::demo_link(&house.config, &did, "Asha", roles.clone(), house.now()).unwrap().url;
    let made = Browser::new(&house).enrol(link.split_once('#').unwrap().1).unwrap();
    assert_eq!(made["session"]["member"], did.as_str());
    // Roles that do not fit the member make a link that is none.
    let provider = house.ccrp.did().unwrap();
    let link = enrol::demo_link(&house.config, &provider, "Asha", roles, house.now()).unwrap().url;
    assert_eq!(Browser::new(&house).enrol(link.split_once('#').unwrap().1), Err(Code::EnrolmentInvalid));
    let text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [("localhost", "127.0.0.1"), ("\"demo\"", "\"production\"")] {
        let other = house.dir.join("sro/other.toml");
        std::fs::write(&other, text.replace(from, to)).unwrap();
        let refused = command(&other);
        assert_eq!(refused.status.code(), Some(2), "{to}: {}", String::from_utf8_lossy(&refused.stderr));
        assert!(refused.stdout.is_empty());
    }
}
