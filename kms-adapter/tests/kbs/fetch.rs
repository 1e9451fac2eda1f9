//! The way of an honest guest, what it costs, and what is left afterwards.

use schemas::{Code, Digest};
use serde_json::{Value, json};

use crate::guest::{Guest, bring_papers, refuses, world, world_with};
use crate::support::papers::clause;
use crate::support::{Changes, Room};

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&schemas::text::Bytes::parse(payload).unwrap().0).unwrap()
}

#[test]
fn a_guest_attests_fetches_the_key_and_opens_it() {
    let mut world = world(vec![]);
    bring_papers(&world);
    let mut guest = Guest::new(&world);
    let token = guest.handshake().unwrap()["token"].as_str().unwrap().to_owned();

    let said = claims(&token);
    assert_eq!(said["eat_profile"], "tag:github.com,2024:confidential-containers/Trustee");
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 300);
    let cpu = &said["submods"]["cpu0"];
    // Nobody vouches for software.
    assert_eq!(cpu["ear.status"], "contraindicated");
    assert_eq!(cpu["ear.trustworthiness-vector"]["hardware"], 97);
    let bound = &cpu["ear.veraison.annotated-evidence"]["runtime_data_claims"]["tee-pubkey"];
    assert_eq!(*bound, guest.tee_pubkey());
    assert!(world.charges().is_empty(), "attesting costs nothing");

    let first = guest.fetch().unwrap();
    assert_eq!(guest.open(&first).unwrap(), world.key.expose());
    assert_eq!(world.charges(), ["charged"]);
    // Again in the same session, by cookie and by token: wrapped anew, charged once.
    let again = guest.fetch().unwrap();
    assert_ne!(again["protected"], first["protected"]);
    assert_eq!(guest.open(&again).unwrap(), world.key.expose());
    assert_eq!(guest.open(&guest.fetch_by(&token).unwrap()).unwrap(), world.key.expose());
    assert_eq!(world.charges(), ["charged"]);
    // Nobody else's key opens it.
    assert_eq!(Guest::new(&world).open(&first), None);

    let ledger = &world.budget()["ledgers"][0];
    let spent = ledger["epsilon_micro"].as_u64().unwrap();
    assert!((999_000..=1_000_000).contains(&spent), "{spent}");
    // Three statements stand in the journal, about one run, and it hangs together.
    world.stop();
    let report = kms_adapter::verify_log(world.config.clone(), None).unwrap();
    assert_eq!((report.receipts, report.runs), (3, 1));
}

#[test]
fn one_fetch_spends_the_grant_for_every_other_session_and_run() {
    let world = world(vec![]);
    bring_papers(&world);
    let (first, second) = (Guest::attested(&world), Guest::attested(&world));
    first.fetch().unwrap();
    refuses(&world, Code::BudgetExceeded, || second.fetch());
    // The same guest in a new session is another one.
    refuses(&world, Code::BudgetExceeded, || Guest::attested(&world).fetch());
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    first.fetch().unwrap();
    assert_eq!(world.charges(), ["charged"]);
}

#[test]
fn what_runs_have_left_is_what_a_fetch_costs() {
    let world = world(vec![]);
    bring_papers(&world);
    Room::new(&world).reserve().unwrap();
    Guest::attested(&world).fetch().unwrap();
    assert_eq!(world.charges(), ["reserved", "charged"]);
    let spent = world.budget()["ledgers"][0]["epsilon_micro"].as_u64().unwrap();
    assert!((999_000..=1_000_000).contains(&spent), "{spent}");
}

#[test]
fn a_run_that_was_fetched_has_no_lease_to_renew_or_commit() {
    let world = world(vec![]);
    bring_papers(&world);
    Guest::attested(&world).fetch().unwrap();
    let run_id = world.budget()["ledgers"][0]["events"][0]["run_id"].as_str().unwrap().to_owned();
    let mut room = Room::new(&world);
    room.run_id = schemas::id::RunId::parse(&run_id).unwrap();
    room.run_key = signing::FileKey::from_seed(&run_id, &[3; 32]);
    world.refuses(Code::SignerUnknown, || room.commit(b"model"));
    world.refuses(Code::SignerUnknown, || room.renew(room.status_list(vec![])));
    assert_eq!(world.charges(), ["charged"]);
}

/// What a session has paid for is one key under one version of the contract.
#[test]
fn under_an_amended_contract_the_same_session_pays_again() {
    let mut world = world_with(
        vec![],
        Changes {
            offer: Box::new(|o| o.privacy_cap = clause("10.0")),
            contract: Box::new(|c| c.datasets[0].privacy = clause("1.0")),
            ..Changes::default()
        },
    );
    bring_papers(&world);
    let mut first = Guest::attested(&world);
    first.fetch().unwrap();
    first.fetch().unwrap();
    assert_eq!(world.charges(), ["charged"]);
    let (cookie, key) = (first.cookie.take(), first.key.clone());

    // The same grant in another version of the contract: it is spent.
    world.amend(|_| ());
    bring_papers(&world);
    let mut again = Guest::new(&world);
    (again.cookie, again.key) = (cookie.clone(), key.clone());
    refuses(&world, Code::BudgetExceeded, || again.fetch());
    // A larger one: what is left of it is charged, once.
    world.amend(|c| c.datasets[0].privacy = clause("2.0"));
    bring_papers(&world);
    let mut more = Guest::new(&world);
    (more.cookie, more.key) = (cookie, key);
    let answer = more.fetch().unwrap();
    assert_eq!(more.open(&answer).unwrap(), world.key.expose());
    more.fetch().unwrap();
    assert_eq!(world.charges(), ["charged", "charged"]);
    let spent = world.budget()["ledgers"][0]["epsilon_micro"].as_u64().unwrap();
    assert!((1_980_000..=2_000_000).contains(&spent), "{spent}");
}

const INIT_DATA: &str = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n\n[data]\n\"policy.rego\" = \"package agent\"\n";

#[test]
fn init_data_is_what_the_evidence_binds_and_the_contract_names() {
    let world = world(vec![Digest::of(INIT_DATA.as_bytes())]);
    bring_papers(&world);
    let mut guest = Guest::new(&world);
    guest.init_data = Some(INIT_DATA.into());
    guest.handshake().unwrap();
    assert_eq!(guest.open(&guest.fetch().unwrap()).unwrap(), world.key.expose());

    // Bound, and not named; none, where some is asked for.
    let mut other = Guest::new(&world);
    other.init_data = Some(INIT_DATA.replace("agent", "other"));
    other.handshake().unwrap();
    refuses(&world, Code::KbsInitData, || other.fetch());
    refuses(&world, Code::KbsInitData, || Guest::attested(&world).fetch());
    // Named, and not what the guest was started with.
    let mut liar = Guest::new(&world);
    let nonce = liar.nonce();
    let mut shown = liar.shown(&nonce);
    shown["init-data"] = json!({"format": "toml", "body": INIT_DATA});
    refuses(&world, Code::EvidenceRefused, || liar.attest_with(&shown));
    // Left out, though the guest was started with it.
    let mut silent = Guest::new(&world);
    silent.init_data = Some(INIT_DATA.into());
    let nonce = silent.nonce();
    let mut shown = silent.shown(&nonce);
    shown.as_object_mut().unwrap().remove("init-data");
    refuses(&world, Code::EvidenceRefused, || silent.attest_with(&shown));
}

/// Rules documents see the whole grant as the cost, and can hold no stock guest to a lease.
#[test]
fn rules_documents_are_asked_too() {
    for (rules, expected) in [
        ("allow := true", Ok(())),
        ("allow := false", Err(Code::RulesDenied)),
        ("allow := true\n\nobligations := {\"lease_s\": 20}", Err(Code::RulesObligation)),
        ("allow := true\n\nobligations := {\"epsilon_max\": \"0.95\"}", Err(Code::RulesObligation)),
    ] {
        let text = format!("package depa.rules\n\nimport rego.v1\n\n{rules}\n");
        let digest = Digest::of(text.as_bytes());
        let world = world_with(
            vec![],
            Changes {
                offer: Box::new(move |o| o.usage.rules = vec![digest]),
                config: Box::new(move |c| {
                    let folder = c.dir.parent().unwrap().join("rules");
                    std::fs::create_dir(&folder).unwrap();
                    std::fs::write(folder.join(format!("{digest}.rego")), &text).unwrap();
                    c.rules_dir = Some(folder);
                }),
                ..Changes::default()
            },
        );
        bring_papers(&world);
        let guest = Guest::attested(&world);
        match expected {
            Ok(()) => drop(guest.fetch().unwrap()),
            Err(code) => refuses(&world, code, || guest.fetch()),
        }
    }
}
