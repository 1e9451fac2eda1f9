//! The OpenAPI document is the list of routes, and the published file is the document.

use std::collections::BTreeSet;

use contract_service::{Verb, openapi, routes};
use serde_json::Value;

use crate::house::House;

#[test]
fn the_published_file_is_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let text = openapi::text().unwrap();
    if std::fs::read_to_string(path).ok().as_deref() == Some(text.as_str()) {
        return;
    }
    std::fs::write(path, text).unwrap();
    panic!("openapi.json differed from the routes and was written anew; look at the change and commit it");
}

#[test]
fn every_route_stands_in_the_document_and_the_other_way_round() {
    let listed: BTreeSet<(String, String)> =
        routes::list().iter().map(|route| (verb(route.verb), route.written())).collect();
    assert_eq!(listed.len(), routes::list().len(), "a route stands twice");
    let document = openapi::document();
    let mut written = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for verb in operations.as_object().unwrap().keys() {
            written.insert((verb.clone(), path.clone()));
        }
    }
    assert_eq!(listed, written);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk(at: &Value, document: &Value, seen: &mut usize) {
        match at {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
                    *seen += 1;
                }
                members.values().for_each(|inner| walk(inner, document, seen));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, document, seen)),
            _ => {}
        }
    }
    let (document, mut seen) = (openapi::document(), 0);
    walk(&document, &document, &mut seen);
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_documented_path_is_served() {
    let house = House::empty();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    for route in routes::list() {
        let path = route.written().replace(['{', '}'], "");
        let url = format!("{}{path}", house.url());
        let response = match route.verb {
            Verb::Get => client.get(url).send().unwrap(),
            Verb::Post => client.post(url).header("content-type", "application/json").body("{}").send().unwrap(),
            Verb::Put => client.put(url).header("content-type", "application/json").body("{}").send().unwrap(),
            Verb::Delete => client.delete(url).send().unwrap(),
        };
        let body = response.text().unwrap();
        assert!(!body.contains("no such path") && !body.contains("not with this method"), "{path}: {body}");
    }
    let served: Value = client.get(format!("{}/openapi.json", house.url())).send().unwrap().json().unwrap();
    assert_eq!(served, openapi::document());
}

fn verb(verb: Verb) -> String {
    match verb {
        Verb::Get => "get".into(),
        Verb::Post => "post".into(),
        Verb::Put => "put".into(),
        Verb::Delete => "delete".into(),
    }
}
