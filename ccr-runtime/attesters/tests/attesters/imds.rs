//! Certificates from a fake instance metadata service over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use attesters::azure::imds::{Imds, certificates};
use openssl::x509::X509;
use schemas::Code;
use serde_json::{Value, json};

use super::support::{attestation, refuses};

/// A service that gives each caller what `answer` writes; also counts the calls.
fn serve(answer: impl Fn(u32, &mut TcpStream) + Send + 'static) -> (Imds, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    // Ends with the process; each test has its own port.
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let call = counted.fetch_add(1, Ordering::SeqCst);
            let head: Vec<String> =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let asked = head.first().is_some_and(|l| l == "GET /metadata/THIM/amd/certification HTTP/1.1");
            let marked = head.iter().any(|l| l.eq_ignore_ascii_case("Metadata: true"));
            if asked && marked {
                answer(call, &mut stream);
            } else {
                respond(&mut stream, "400 Bad Request", b"");
            }
        }
    });
    let imds = Imds { base, timeout: Duration::from_millis(1500), tries: 3, pause: Duration::from_millis(1) };
    (imds, calls)
}

fn respond(stream: &mut TcpStream, status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(attestation().join("data/amd-roots").join(name)).unwrap()
}

fn vcek() -> X509 {
    let der = std::fs::read(attestation().join("tests/data/milan-v3-trustee-v2/vcek.der")).unwrap();
    X509::from_der(&der).unwrap()
}

fn honest() -> Value {
    json!({
        "vcekCert": String::from_utf8(vcek().to_pem().unwrap()).unwrap(), "tcbm": "DB18000000000004",
        "certificateChain": pem("milan-ask.pem") + &pem("milan-ark.pem"), "cacheControl": "86400",
    })
}

fn body(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn the_metadata_service_gives_vcek_ask_and_ark() {
    let mut turned = honest();
    turned["certificateChain"] = json!(pem("milan-ark.pem") + &pem("milan-ask.pem"));
    for answer in [honest(), turned] {
        let (imds, calls) = serve(move |_, stream| respond(stream, "200 OK", &body(&answer)));
        let found = certificates(&imds).unwrap();
        assert_eq!(found[0].0, vcek().to_der().unwrap());
        for (at, name) in [(1, "milan-ask.pem"), (2, "milan-ark.pem")] {
            assert_eq!(found[at].0, X509::from_pem(pem(name).as_bytes()).unwrap().to_der().unwrap());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_busy_metadata_service_is_asked_again_a_few_times() {
    for busy in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (imds, calls) = serve(move |call, stream| match call {
            0 => respond(stream, busy, b""),
            _ => respond(stream, "200 OK", &body(&honest())),
        });
        assert_eq!(certificates(&imds).unwrap().len(), 3);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        let (imds, calls) = serve(move |_, stream| respond(stream, busy, b""));
        refuses(Code::CertificatesUnavailable, certificates(&imds));
        assert_eq!(calls.load(Ordering::SeqCst), 3, "tries are bounded");
    }
}

#[test]
fn other_answers_are_refused_at_once() {
    let without = |name: &str| {
        let mut answer = honest();
        answer.as_object_mut().unwrap().remove(name);
        body(&answer)
    };
    let with = |name: &str, value: Value| {
        let mut answer = honest();
        answer[name] = value;
        body(&answer)
    };
    let two = honest()["vcekCert"].as_str().unwrap().repeat(2);
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("not found", "404 Not Found", b"".to_vec()),
        ("sent elsewhere", "302 Found\r\nlocation: http://127.0.0.1:9/", b"".to_vec()),
        ("oversize", "200 OK", with("cacheControl", json!("x".repeat(70_000)))),
        ("not JSON", "200 OK", b"<html>".to_vec()),
        ("no VCEK", "200 OK", without("vcekCert")),
        ("no chain", "200 OK", without("certificateChain")),
        ("a number", "200 OK", with("vcekCert", json!(7))),
        (
            "garbage",
            "200 OK",
            with("vcekCert", json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ),
        ("two leaves", "200 OK", with("vcekCert", json!(two))),
        ("no ASK", "200 OK", with("certificateChain", json!(pem("milan-ark.pem")))),
        ("two roots", "200 OK", with("certificateChain", json!(pem("milan-ark.pem") + &pem("genoa-ark.pem")))),
    ];
    for (what, status, answer) in cases {
        let status = status.to_owned();
        let (imds, calls) = serve(move |_, stream| respond(stream, &status, &answer));
        let refusal = certificates(&imds).expect_err(what);
        assert_eq!(refusal.code, Code::CertificatesUnavailable, "{what}: {refusal}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{what}");
    }
}

#[test]
fn a_slow_or_silent_metadata_service_is_given_up() {
    // Bytes that trickle: the time is of the whole call, not of one read.
    let (mut imds, calls) = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            sleep(Duration::from_millis(20));
        }
    });
    imds.timeout = Duration::from_millis(200);
    refuses(Code::CertificatesUnavailable, certificates(&imds));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // Breaks off in the middle.
    let (imds, _) = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n{");
    });
    refuses(Code::CertificatesUnavailable, certificates(&imds));
    // Nobody there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refuses(Code::CertificatesUnavailable, certificates(&Imds { base: format!("http://{free}"), ..imds }));
}
