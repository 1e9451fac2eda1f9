//! Spans as a collector gets them: whose trace they belong to, what stands in them, and that nobody waits for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use fake::{Collector, words};
use schemas::{Code, R, Refusal};
use telemetry::{Attribute, Settings, Span, Tracer, carried, traceparent};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn tracer(endpoint: &str, one_in: u32) -> Tracer {
    let settings = Settings { endpoint: Some(endpoint.into()), service_name: None, one_in };
    Tracer::start(&settings, "sample", "1.2.3").unwrap()
}

fn call(tracer: &Tracer, caller: Option<&str>) -> Span {
    tracer.call("POST", "/v1/things/{id}", caller, Instant::now())
}

#[test]
fn a_call_and_what_it_does_stand_in_the_callers_trace() {
    let collector = Collector::start();
    let tracer = tracer(&collector.url, 1);
    let run = schemas::id::RunId::parse("run_01900000-0000-7000-8000-000000000001").unwrap();
    {
        let span = call(&tracer, Some(CALLER));
        let entered = span.enter();
        let elsewhere = carried();
        let (inner, out) = (
            tracer.clone(),
            std::thread::spawn(move || {
                let _in = elsewhere.enter();
                traceparent()
            }),
        );
        assert!(out.join().unwrap().unwrap().starts_with(&format!("00-{TRACE}-")), "another thread is in it too");
        {
            let act = inner.act("open a key", "transit");
            act.set(Attribute::Run(&run));
            act.ended::<()>(&Err(Refusal::new(Code::PeerUnreachable, "the vault at 10.0.0.7 hides hunter2")));
        }
        drop(entered);
        assert_eq!(traceparent(), None);
        span.answered(502, Some(Code::PeerUnreachable));
    }
    assert!(tracer.flush());
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    let (act, call) = (&spans[0], &spans[1]);
    for span in &spans {
        assert_eq!(fake::hex(&span.trace_id), TRACE);
        assert_eq!(span.status.as_ref().unwrap().message, "", "a sentence leaves with no span");
    }
    assert_eq!(
        (call.name.as_str(), fake::hex(&call.parent_span_id).as_str()),
        ("POST /v1/things/{id}", "00f067aa0ba902b7")
    );
    assert_eq!((act.name.as_str(), &act.parent_span_id), ("open a key", &call.span_id));
    assert_eq!(
        words(call),
        [
            "depa.code=PEER_UNREACHABLE",
            "http.request.method=POST",
            "http.response.status_code=502",
            "http.route=/v1/things/{id}"
        ]
    );
    let run = format!("depa.run_id={run}");
    assert_eq!(words(act), ["depa.code=PEER_UNREACHABLE", "depa.peer=transit", run.as_str()]);
    assert_eq!(collector.resource(), ["service.name=sample", "service.version=1.2.3"]);
    assert!(!collector.raw().windows(7).any(|w| w == b"hunter2"));
}

#[test]
fn what_is_no_traceparent_begins_a_trace_of_its_own() {
    let collector = Collector::start();
    let tracer = tracer(&collector.url, 1);
    for caller in [None, Some("hunter2"), Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01")] {
        drop(call(&tracer, caller));
    }
    assert!(tracer.flush());
    let spans = collector.spans();
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty() && fake::hex(&span.trace_id) != TRACE));
    assert!(!collector.raw().windows(7).any(|w| w == b"hunter2"));
}

#[test]
fn one_trace_in_so_many_is_exported_whole_and_all_services_choose_the_same() {
    let collector = Collector::start();
    let (first, second) = (tracer(&collector.url, 4), tracer(&collector.url, 4));
    for n in 0..400_u64 {
        // Spread as random ids are.
        let id = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1 << 64;
        let caller = format!("00-{id:032x}-00f067aa0ba902b7-01");
        drop((call(&first, Some(&caller)), call(&second, Some(&caller))));
    }
    assert!(first.flush() && second.flush());
    let mut seen = std::collections::BTreeMap::<Vec<u8>, usize>::new();
    for span in collector.spans() {
        *seen.entry(span.trace_id).or_default() += 1;
    }
    assert!((50..=150).contains(&seen.len()), "{} of 400", seen.len());
    assert!(seen.values().all(|spans| *spans == 2), "each by both or by none");
}

#[test]
fn without_an_endpoint_there_are_no_spans_and_no_header() {
    let tracer = Tracer::start(&Settings::default(), "sample", "1").unwrap();
    let span = call(&tracer, Some(CALLER));
    let _in = span.enter();
    span.answered(200, None);
    span.ended::<()>(&R::Ok(()));
    assert_eq!((traceparent(), format!("{tracer:?}")), (None, "Tracer(off)".to_owned()));
    assert!(tracer.flush());
    tracer.end();
}

#[test]
fn a_collector_that_is_silent_or_gone_holds_up_no_call_and_no_end() {
    // One takes connections and never answers; at the other nobody listens.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let gone = format!("http://{gone}");
    for endpoint in [silent, gone] {
        let tracer = tracer(&endpoint, 1);
        // More than the queue holds: what does not fit is dropped.
        let mut longest = Duration::ZERO;
        for _ in 0..5_000 {
            let began = Instant::now();
            drop(call(&tracer, None));
            longest = longest.max(began.elapsed());
        }
        // A call would wait for the collector's five seconds if it waited at all.
        assert!(longest < Duration::from_secs(4), "{longest:?}");
        tracer.end();
        drop(call(&tracer, None));
    }
}

#[test]
fn a_collector_that_refuses_is_asked_again() {
    let collector = Collector::answering(|call| if call == 0 { 503 } else { 200 });
    let tracer = tracer(&collector.url, 1);
    drop(call(&tracer, None));
    assert!(!tracer.flush());
    drop(call(&tracer, None));
    assert!(tracer.flush());
    assert_eq!(collector.calls(), 2, "what was refused is dropped, not repeated");
}

#[test]
fn wrong_settings_start_nothing() {
    let settings = Settings { endpoint: Some("http://collector.example".into()), ..Settings::default() };
    assert_eq!(Tracer::start(&settings, "sample", "1").unwrap_err().code, Code::ConfigInvalid);
}
