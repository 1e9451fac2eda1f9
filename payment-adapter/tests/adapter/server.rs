//! A small HTTP server of a test, on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tiny_http::{Header, Response, Server as Http};

/// A call that came in.
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Answers until it is dropped.
pub struct Server {
    pub url: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(Call) -> (u16, String) + Send + 'static) -> Server {
        let http = Http::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", http.server_addr().to_ip().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                let Ok(Some(mut request)) = http.recv_timeout(Duration::from_millis(20)) else { continue };
                let mut body = Vec::new();
                if request.as_reader().read_to_end(&mut body).is_err() {
                    continue;
                }
                let header = |h: &Header| (h.field.as_str().as_str().to_ascii_lowercase(), h.value.as_str().to_owned());
                let headers = request.headers().iter().map(header).collect();
                let call = Call { method: request.method().to_string(), path: request.url().to_owned(), headers, body };
                let (status, text) = answer(call);
                let json = Header::from_bytes("content-type", "application/json").unwrap();
                // Whoever asked may have been killed meanwhile.
                let _ = request.respond(Response::from_string(text).with_status_code(status).with_header(json));
            }
        });
        Server { url, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
