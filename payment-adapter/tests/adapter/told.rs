//! What operators are told: spans to a collector, and counts. None of it holds what was sent.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use payment_adapter::config::Config;
use payment_adapter::start;
use serde_json::json;
use signing::webhook::{secret_text, sign};

use crate::scene::{SECRET, Scene, data};
use crate::server::Server;
use crate::systems::{Ending, Simulated, System};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

/// Bodies of calls with the trace that each named.
type Kept = Arc<Mutex<Vec<(Vec<u8>, Option<String>)>>>;

/// A server that keeps bodies and traces, and answers with this status.
fn keeping(status: u16) -> (Server, Kept) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&kept);
    let server = Server::start(move |call| {
        let trace = call.header("traceparent").map(str::to_owned);
        shared.lock().unwrap().push((call.body, trace));
        (status, "{}".to_owned())
    });
    (server, kept)
}

fn client() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().no_proxy().build().unwrap()
}

/// Posts a delivery of this message, as the contract service signs it.
pub fn deliver(scene: &Scene, url: &str, id: &str, body: &[u8]) -> u16 {
    let at = scene.now().seconds();
    let signature = sign(id, at, body, &secret_text(&SECRET), &scene.sender).unwrap();
    let request = client().post(format!("{url}/webhooks?token=hunter2")).header("traceparent", CALLER);
    let request = request.header("webhook-id", id).header("webhook-timestamp", at.to_string());
    request.header("webhook-signature", signature).body(body.to_vec()).send().unwrap().status().as_u16()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_delivery_stands_in_the_callers_trace_answers_hand_theirs_on_and_nothing_that_was_sent_is_exported() {
    let scene = Scene::new();
    let ((collector, spans), (desk, calls)) = (keeping(200), keeping(404));
    let mut config = Simulated::new(Ending::Settle).config(&scene);
    config.contract_service = desk.url.clone();
    config.telemetry.endpoint = Some(collector.url.clone());
    let running = start(&config, scene.clock()).unwrap();
    let told = data('A', 987_654_321);
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": told})).unwrap();
    assert_eq!(deliver(&scene, running.url(), "msg_hunter2", &body), 204);
    assert_eq!(client().post(format!("{}/webhooks", running.url())).body("hunter2").send().unwrap().status(), 401);
    assert_eq!(client().get(format!("{}/hunter2", running.url())).send().unwrap().status(), 404);
    until("an answer comes to the contract service", || !calls.lock().unwrap().is_empty());
    // What waits is exported when the adapter ends.
    running.stop();
    let has =
        |bytes: &[u8]| spans.lock().unwrap().iter().any(|(body, _)| body.windows(bytes.len()).any(|w| w == bytes));
    assert!(has(&TRACE), "the caller's trace");
    for word in
        ["payment-adapter", "POST /webhooks", "submit", "recording", "answer", "SIGNATURE_INVALID", "GET (none)"]
    {
        assert!(has(word.as_bytes()), "{word}");
    }
    for hidden in ["hunter2", "did:", "AAAAAAAA", "INR", "987654321", "whsec_"] {
        assert!(!has(hidden.as_bytes()), "{hidden}");
    }
    let trace = calls.lock().unwrap().iter().find_map(|(_, trace)| trace.clone()).unwrap();
    let id: Vec<u8> = (3..35).step_by(2).map(|at| u8::from_str_radix(&trace[at..at + 2], 16).unwrap()).collect();
    assert!(has(&id), "the answer's own trace: {trace}");
}

#[test]
fn without_a_collector_answers_name_no_trace() {
    let scene = Scene::new();
    let (desk, calls) = keeping(404);
    let config = Config { contract_service: desk.url.clone(), ..Simulated::new(Ending::Settle).config(&scene) };
    let running = start(&config, scene.clock()).unwrap();
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data('A', 5)})).unwrap();
    assert_eq!(deliver(&scene, running.url(), "msg_a", &body), 204);
    until("an answer comes to the contract service", || !calls.lock().unwrap().is_empty());
    running.stop();
    assert!(calls.lock().unwrap().iter().all(|(_, trace)| trace.is_none()));
}

#[test]
fn a_collector_that_is_silent_stops_no_start_and_holds_up_no_delivery() {
    let scene = Scene::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Simulated::new(Ending::Settle).config(&scene);
    config.telemetry.endpoint = Some(format!("http://{}", silent.local_addr().unwrap()));
    let running = start(&config, scene.clock()).unwrap();
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data('A', 5)})).unwrap();
    assert_eq!(deliver(&scene, running.url(), "msg_a", &body), 204);
    until("it is paid and answered", || !scene.desk.results(&"A".repeat(32)).is_empty());
    running.stop();
}

#[test]
fn instructions_calls_and_failures_are_counted() {
    let scene = Scene::new();
    let mut config = Simulated::new(Ending::Settle).config(&scene);
    config.metrics_bind = Some(([127, 0, 0, 1], 0).into());
    let running = start(&config, scene.clock()).unwrap();
    let address = running.metrics_address().unwrap();
    let counts = || client().get(format!("http://{address}/metrics")).send().unwrap().text().unwrap();
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data('A', 5)})).unwrap();
    assert_eq!(deliver(&scene, running.url(), "msg_a", &body), 204);
    assert_eq!(deliver(&scene, running.url(), "msg_a", &body), 204);
    assert_eq!(client().post(format!("{}/webhooks", running.url())).body("x").send().unwrap().status(), 401);
    let settled = "depa_payment_adapter_instructions{state=\"settled\"} 1\n";
    until("it is settled and answered", || {
        let text = counts();
        text.contains(settled) && text.contains("depa_payment_adapter_unanswered 0\n")
    });
    let text = counts();
    for line in [
        "depa_payment_adapter_answers_total{class=\"2xx\"} 2",
        "depa_payment_adapter_answers_total{class=\"4xx\"} 1",
        "depa_payment_adapter_refusals_total{code=\"SIGNATURE_INVALID\"} 1",
        "depa_payment_adapter_call_seconds_count{path=\"/webhooks\"} 3",
        "depa_payment_adapter_deliveries_total 1",
        "depa_payment_adapter_out_seconds_count{call=\"submit\"} 1",
        "depa_payment_adapter_out_failures_total{call=\"submit\"} 0",
        "depa_payment_adapter_instructions{state=\"created\"} 0",
        "depa_payment_adapter_answers_refused 0",
        "depa_payment_adapter_unmatched 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    for hidden in ["did:", "AAAA", "INR", "msg_"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    assert_eq!(
        client().get(format!("{}/metrics", running.url())).send().unwrap().status(),
        404,
        "not beside the interface"
    );
    running.stop();
}
