//! Somebody on the line: a relay that passes every call on, as it came or with other bytes, and keeps what it saw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// A relay in front of a service.
pub struct Relay {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Passes everything on to `target` as it came.
    pub fn honest(target: &str) -> Relay {
        Relay::before(target, |_| {})
    }

    /// Passes everything on to `target` after `change` had its way with the body.
    pub fn before(target: &str, change: impl Fn(&mut Value) + Send + 'static) -> Relay {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", server.server_addr().to_ip().unwrap().port());
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ended, target) = (seen.clone(), stop.clone(), target.to_owned());
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                if let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(20)) {
                    pass(request, &target, &change, &kept);
                }
            }
        });
        Relay { url, seen, stop, thread: Some(thread) }
    }

    /// Bodies of calls and answers, in the order in which they passed.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pass(mut request: tiny_http::Request, target: &str, change: &impl Fn(&mut Value), seen: &Mutex<Vec<String>>) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).unwrap();
    seen.lock().unwrap().push(String::from_utf8_lossy(&body).into_owned());
    // What the change leaves alone goes on byte for byte.
    if let Ok(before) = serde_json::from_slice::<Value>(&body) {
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            body = serde_json::to_vec(&after).unwrap();
        }
    }
    let (http, url) = (super::wire::http(), format!("{target}{}", request.url()));
    let onward = if *request.method() == tiny_http::Method::Post { http.post(url).body(body) } else { http.get(url) };
    let headers = request.headers().iter().filter(|h| !h.field.equiv("host") && !h.field.equiv("content-length"));
    let onward = headers.fold(onward, |on, h| on.header(h.field.as_str().as_str(), h.value.as_str()));
    let answer = onward.send().unwrap();
    let status = answer.status().as_u16();
    let media = answer.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = answer.bytes().unwrap().to_vec();
    seen.lock().unwrap().push(String::from_utf8_lossy(&body).into_owned());
    let header = tiny_http::Header::from_bytes("content-type", media).unwrap();
    let _ = request.respond(tiny_http::Response::from_data(body).with_status_code(status).with_header(header));
}
