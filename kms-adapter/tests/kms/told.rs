//! What operators are told: spans of calls to a collector, and counts. None of it holds what a caller sent or got.

use std::net::SocketAddr;

use schemas::Code;
use schemas::release::Release;
use serde::Serialize;
use serde_json::{Value, json};

use crate::collector::{Collector, silent};
use crate::support::room::reservation_id;
use crate::support::world::Changes;
use crate::support::{Room, World};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

fn told(endpoint: &str) -> World {
    let endpoint = endpoint.to_owned();
    World::with(Changes {
        config: Box::new(move |config| {
            config.telemetry.endpoint = Some(endpoint.clone());
            config.metrics_bind = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        }),
        ..Changes::default()
    })
}

fn client() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().no_proxy().build().unwrap()
}

fn post(world: &World, path: &str, body: &impl Serialize) -> reqwest::blocking::Response {
    let request = client().post(world.at(path)).header("traceparent", CALLER);
    request.header("authorization", "Bearer hunter2-hunter2").json(body).send().unwrap()
}

fn counts(world: &World) -> String {
    let address = world.running.as_ref().unwrap().metrics_address().unwrap();
    client().get(format!("http://{address}/metrics")).send().unwrap().text().unwrap()
}

/// Every text of a document that is long enough to be told from words of the program.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= 16 => into.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| texts(one, into)),
        Value::Object(all) => all.values().for_each(|one| texts(one, into)),
        _ => {}
    }
}

#[test]
fn a_release_stands_in_the_callers_trace_and_nothing_that_was_sent_or_given_is_exported() {
    let collector = Collector::start();
    let mut world = told(&collector.url);
    let (reserved, request, release, id) = {
        let room = Room::new(&world);
        let reserved = room.reserve().unwrap();
        let request = room.release_request(&reserved);
        let id = reservation_id(&reserved);
        let release = post(&world, &format!("/v1/reservations/{id}/release"), &request);
        assert_eq!(release.status(), 200);
        let release: schemas::Envelope<Release> = release.json().unwrap();
        let opened = room.open(&release, &request.attested.transcript).unwrap();
        assert_eq!(&opened, world.key.expose());
        (reserved, request, release, id)
    };
    let refused = post(&world, "/v1/keys", &json!({"secret": "hunter2-hunter2"}));
    assert!(refused.status().is_client_error());
    let key = *world.key.expose();
    // What waits is exported when the service ends.
    world.stop();
    assert!(collector.has(&TRACE), "the caller's trace");
    for word in ["/v1/reservations/{id}/release", "ask the key backend", "embedded", "kms-adapter", "POST /v1/keys"] {
        assert!(collector.has(word.as_bytes()), "{word}");
    }
    let mut sent = vec!["hunter2".to_owned(), id.to_string()];
    let all = json!([reserved, request, release, release.read_unverified().unwrap(), world.import, world.bundle]);
    texts(&all, &mut sent);
    assert!(sent.len() > 100, "{}", sent.len());
    for text in sent {
        assert!(!collector.has(text.as_bytes()), "{text}");
    }
    assert!(!collector.has(&key));
}

#[test]
fn a_collector_that_is_silent_holds_up_no_call() {
    let (listener, url) = silent();
    let world = told(&url);
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    assert_eq!(world.charges(), ["charged"]);
    drop(listener);
}

#[test]
fn acts_refusals_and_the_backends_time_are_counted() {
    let collector = Collector::start();
    let world = told(&collector.url);
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.refuses(Code::SchemaMismatch, || {
        let path = world.at("/v1/runs/run_01900000-0000-7000-8000-000000000001/refund");
        crate::support::http::post::<Value>(&path, &json!({"colour": "red"}))
    });
    client().get(world.at("/nowhere/hunter2")).send().unwrap();
    let text = counts(&world);
    for line in [
        "depa_kms_acts_total{act=\"import\"} 1",
        "depa_kms_acts_total{act=\"challenge\"} 2",
        "depa_kms_acts_total{act=\"reserve\"} 1",
        "depa_kms_acts_total{act=\"release\"} 1",
        "depa_kms_acts_total{act=\"refund\"} 0",
        "depa_kms_call_seconds_count{act=\"refund\"} 1",
        "depa_kms_call_seconds_count{act=\"other\"} 1",
        "depa_kms_refusals_total{code=\"SCHEMA_MISMATCH\"} 1",
        "depa_kms_refusals_total{code=\"NOT_FOUND\"} 1",
        "depa_kms_budget_appends_total 1",
        "depa_kms_backend_seconds_count 1",
        "depa_kms_backend_failures_total 0",
        "# TYPE depa_kms_journal_checkpoint gauge",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    // Reserved again for the same run: answered, and nothing more is entered.
    room.reserve().unwrap();
    let text = counts(&world);
    assert!(text.contains("depa_kms_acts_total{act=\"reserve\"} 2\n"), "{text}");
    assert!(text.contains("depa_kms_budget_appends_total 1\n"), "{text}");
    for hidden in ["hunter2", "did:", "run_", "dts_"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    assert_eq!(client().get(world.at("/metrics")).send().unwrap().status(), 404, "not beside the interface");
}
