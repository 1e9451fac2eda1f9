//! The published document of the interface, and what is served.

use schemas::problem::Problem;
use serde_json::{Value, json};

use crate::support::{Room, World, http};

#[test]
fn the_document_is_the_published_one() {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let made = kms_adapter::openapi::text().unwrap();
    if std::fs::read_to_string(published).ok().as_deref() != Some(made.as_str()) {
        std::fs::write(published, &made).unwrap();
        panic!("openapi.json differed from the routes and was written anew; look at the change and commit it");
    }
    let document: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    // Every reference leads somewhere.
    let mut rest: Vec<&Value> = vec![&document];
    while let Some(value) = rest.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        match value {
            Value::Object(members) => rest.extend(members.values()),
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
}

#[test]
fn what_is_listed_is_served_and_answers_as_listed() {
    let world = World::new();
    let document: Value = http::get(&world.at("/openapi.json"), None).unwrap();
    let id = "run_01900000-0000-7000-8000-000000000001";
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            let url = world.at(&path.replace("{id}", id));
            let bodies = if verb == "get" { vec![None] } else { vec![Some("{}"), Some("{"), Some("[]")] };
            for body in bodies {
                let request = match body {
                    None => client.get(&url),
                    Some(body) => client.post(&url).header("content-type", "application/json").body(body),
                };
                let answer = request.send().unwrap();
                let status = answer.status().as_u16().to_string();
                assert!(operation["responses"].get(&status).is_some(), "{verb} {path}: {status} is not listed");
                let text = answer.text().unwrap();
                if !status.starts_with('2') {
                    let problem: Problem = serde_json::from_str(&text).unwrap();
                    let named = format!("/components/responses/refused-{status}/description");
                    assert!(document.pointer(&named).unwrap().as_str().unwrap().contains(&problem.code), "{path}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
    // Answers have the members that their schema asks for.
    let required = |name: &str, answer: &Value| {
        let schema = &document["components"]["schemas"][name];
        for member in schema["required"].as_array().unwrap_or_else(|| panic!("{name}: {schema}")) {
            assert!(answer.get(member.as_str().unwrap()).is_some(), "{name} lacks {member}");
        }
    };
    required("KmsInfo", &json!(world.info));
    Room::new(&world).reserve().unwrap();
    required("BudgetView", &world.budget());
    required("LedgerView", &world.budget()["ledgers"][0]);
    required("EventView", &world.budget()["ledgers"][0]["events"][0]);
}

#[test]
fn explain_lists_every_check_and_enters_nothing() {
    let world = World::new();
    let kms = kms_adapter::Kms::open(world.config.clone(), crate::support::world::clock_of(&world)).unwrap();
    let verdicts = |bundle: &schemas::bundle::JobBundle| -> Vec<(&str, Option<&str>)> {
        kms.explain(bundle.clone()).iter().map(|e| (e.verdict, e.code)).collect()
    };
    let skipped = [("not_looked_at", None); 2];
    let passed = ("passed", None);
    let all = [&[passed], &skipped[..], &[passed; 6]].concat();
    assert_eq!(verdicts(&world.bundle), all);
    assert!(world.charges().is_empty());
    Room::new(&world).reserve().unwrap();
    let full = [&all[..8], &[("refused", Some("BUDGET_EXCEEDED"))]].concat();
    assert_eq!(verdicts(&world.bundle), full);
    let mut forged = world.bundle.clone();
    forged.job.signatures[0].sig = schemas::text::Bytes(vec![0; 64]);
    let unsigned = verdicts(&forged);
    assert_eq!(unsigned[3], ("refused", Some("SIGNATURE_INVALID")));
    assert!(unsigned[4..].iter().all(|v| *v == ("not_reached", None)), "{unsigned:?}");
    assert_eq!(world.charges(), ["reserved"]);
}
