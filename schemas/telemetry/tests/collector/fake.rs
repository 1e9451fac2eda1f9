//! A collector on loopback that keeps what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

pub struct Collector {
    pub url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    pub fn start() -> Collector {
        Collector::answering(|_| 200)
    }

    /// Answers the n-th call with this status.
    pub fn answering(status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (kept, status) = (Arc::clone(&bodies), Arc::new(status));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, status) = (Arc::clone(&kept), Arc::clone(&status));
                std::thread::spawn(move || serve(stream, &kept, &*status));
            }
        });
        Collector { url, bodies }
    }

    pub fn calls(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }

    /// Everything that came, as it came.
    pub fn raw(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().concat()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap()).collect()
    }

    /// All spans, in the order in which they ended.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }

    /// What the first request says of its service.
    pub fn resource(&self) -> Vec<String> {
        let resource = self.requests().remove(0).resource_spans.remove(0).resource.unwrap();
        pairs(&resource.attributes)
    }
}

/// The attributes of a span as `key=value`, sorted.
pub fn words(span: &Span) -> Vec<String> {
    assert!(span.events.is_empty() && span.links.is_empty());
    pairs(&span.attributes)
}

fn pairs(all: &[KeyValue]) -> Vec<String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => format!("{}={text}", pair.key),
        Some(Value::IntValue(number)) => format!("{}={number}", pair.key),
        other => panic!("{}: {other:?}", pair.key),
    };
    let mut all: Vec<String> = all.iter().map(text).collect();
    all.sort();
    all
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>, status: &impl Fn(usize) -> u16) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        assert_eq!(first.trim(), "POST /v1/traces HTTP/1.1");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut bodies = kept.lock().unwrap();
        let answer = format!("HTTP/1.1 {} Said\r\ncontent-length: 0\r\n\r\n", status(bodies.len()));
        bodies.push(body);
        drop(bodies);
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}
