//! What operators are told of calls: spans to a collector. None of it holds what a caller sent or got.

use std::net::TcpListener;

use crate::catcher::Catcher;
use crate::house::House;
use crate::http::{bearer, client, get, post};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

fn has(collector: &Catcher, bytes: &[u8]) -> bool {
    collector.seen().iter().any(|seen| seen.body.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn calls_stand_in_the_callers_trace_and_nothing_that_was_sent_is_exported() {
    let collector = Catcher::start(|_| (200, String::new()));
    let url = collector.url("");
    let mut house = House::with(|config| config.telemetry.endpoint = Some(url)).furnish();
    let token = bearer(&house, &house.tdc);
    let read = get(&house, "/v1/contracts?q=hunter2").bearer_auth(&token).header("traceparent", CALLER);
    assert_eq!(read.send().unwrap().status(), 200);
    let bare = get(&house, "/v1/contracts/ctr_01900000-0000-7000-8000-000000000001").header("cookie", "s=hunter2");
    assert_eq!(bare.send().unwrap().status(), 401);
    let wrong = post(&house, "/v1/contracts", b"{\"secret\": \"hunter2\"}").header("traceparent", "hunter2");
    assert!(wrong.send().unwrap().status().is_client_error());
    let tdc = house.tdc.clone();
    // What waits is exported when the service ends.
    drop(house.running.take());
    assert!(collector.seen().iter().all(|seen| seen.path == "/v1/traces"));
    assert!(has(&collector, &TRACE), "the caller's trace");
    for word in
        ["contract-service", "GET /v1/contracts", "/v1/contracts/{id}", "UNAUTHENTICATED", "POST /v1/participants"]
    {
        assert!(has(&collector, word.as_bytes()), "{word}");
    }
    let did = tdc.did().unwrap().to_string();
    for hidden in ["hunter2", &token, &did, "ctr_", "127.0.0.1", "did:"] {
        assert!(!has(&collector, hidden.as_bytes()), "{hidden}");
    }
}

#[test]
fn a_collector_that_is_silent_or_gone_stops_no_start_and_holds_up_no_call() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (first, second) = (at(&silent), at(&gone));
    drop(gone);
    for url in [first, second] {
        let house = House::with(|config| config.telemetry.endpoint = Some(url)).furnish();
        let trust = client().get(format!("{}/v1/trust", house.url())).send().unwrap();
        assert_eq!(trust.status(), 200);
    }
}

#[test]
fn a_collector_that_others_could_read_on_the_way_is_refused() {
    let mut house = House::empty();
    drop(house.running.take());
    house.config.telemetry.endpoint = Some("http://collector.example:4318".into());
    let refusal = contract_service::Service::start(house.config.clone(), house.clock()).err().unwrap();
    assert_eq!(refusal.field.as_deref(), Some("telemetry.endpoint"));
}
