//! Bodies and paths: limits, members, media types, and a face that is switched off.

use schemas::Code;
use schemas::problem::Problem;
use serde_json::{Value, json};

use crate::guest::{Guest, VERSION, bring_papers, client, read, refuses, world};
use crate::support::World;

#[test]
fn a_face_that_is_off_is_not_there() {
    let world = World::new();
    let place = "ctr_01900000-0000-7000-8000-000000000001/dst_01900000-0000-7000-8000-000000000001/1";
    let resource = format!("/kbs/v0/resource/{place}");
    let body = json!({"version": VERSION, "tee": "depa-sample"});
    for (verb, path) in [
        ("post", "/kbs/v0/auth"),
        ("post", "/kbs/v0/attest"),
        ("get", resource.as_str()),
        ("post", "/v1/kbs/papers"),
        ("get", "/kbs/v0/auth"),
        ("post", resource.as_str()),
        ("get", "/kbs/v0/elsewhere"),
    ] {
        let request =
            if verb == "get" { client().get(world.at(path)) } else { client().post(world.at(path)).json(&body) };
        let response = request.send().unwrap();
        assert_eq!(response.status(), 404, "{verb} {path}");
        assert!(response.headers().get("set-cookie").is_none());
        let problem: Problem = response.json().unwrap();
        assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("NOT_FOUND", "no such path"), "{verb} {path}");
    }
}

#[test]
fn bodies_have_limits() {
    let world = world(vec![]);
    bring_papers(&world);
    let long = "a".repeat(17 * 1024);
    let body = json!({"version": VERSION, "tee": "depa-sample", "extra-params": {"note": long}});
    refuses(&world, Code::BodyTooLarge, || Guest::new(&world).auth_with(body));
    let mut guest = Guest::new(&world);
    let nonce = guest.nonce();
    let mut shown = guest.shown(&nonce);
    shown["init-data"] = json!({"format": "toml", "body": "a".repeat(257 * 1024)});
    refuses(&world, Code::BodyTooLarge, || guest.attest_with(&shown));
    // Evidence beyond its own limit, in a body within: the nonce was not used by the first.
    let mut shown = guest.shown(&nonce);
    shown["tee-evidence"]["primary_evidence"]["hcl_report"] = json!("A".repeat(100 * 1024));
    refuses(&world, Code::EvidenceRefused, || guest.attest_with(&shown));
}

#[test]
fn members_are_the_protocols() {
    let world = world(vec![]);
    bring_papers(&world);
    // Open by the protocol.
    let body = json!({"version": VERSION, "tee": "depa-sample", "extra-params": {"tee-metadata": {"primary_tee": {}}}});
    Guest::new(&world).auth_with(body).unwrap();
    Guest::new(&world).auth_with(json!({"version": VERSION, "tee": "depa-sample"})).unwrap();
    for body in [
        json!({"version": VERSION, "tee": "depa-sample", "extra-params": {}, "colour": "red"}),
        json!({"version": VERSION}),
        json!({"version": 4, "tee": "depa-sample"}),
        json!([]),
    ] {
        refuses(&world, Code::SchemaMismatch, || Guest::new(&world).auth_with(body));
    }
    type Spoil = fn(&mut Value);
    let cases: [Spoil; 5] = [
        |b| b["colour"] = json!("red"),
        |b| b["runtime-data"]["colour"] = json!("red"),
        |b| b["tee-evidence"]["colour"] = json!("red"),
        |b| b["init-data"] = json!({"format": "toml"}),
        |b| drop(b.as_object_mut().unwrap().remove("runtime-data")),
    ];
    for spoil in cases {
        let mut guest = Guest::new(&world);
        let nonce = guest.nonce();
        let mut shown = guest.shown(&nonce);
        spoil(&mut shown);
        refuses(&world, Code::SchemaMismatch, || guest.attest_with(&shown));
    }
    let raw = |body: &'static str, media: &'static str| {
        let request = client().post(world.at("/kbs/v0/auth")).header("content-type", media).body(body);
        move || read(request.send().unwrap())
    };
    let twice = r#"{"version":"0.1.0","version":"0.4.0","tee":"depa-sample"}"#;
    refuses(&world, Code::DuplicateMember, raw(twice, "application/json"));
    refuses(&world, Code::MalformedJson, raw("{", "application/json"));
    refuses(&world, Code::MediaType, raw("{}", "text/plain"));
}
