//! A little HTTP server that remembers what it was sent and answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Answers the n-th call with a status and either further header lines or a body.
type Script = dyn Fn(usize) -> (u16, String) + Send + Sync;

pub struct Catcher {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Catcher {
    /// Listens until the test process ends.
    pub fn start(script: impl Fn(usize) -> (u16, String) + Send + Sync + 'static) -> Catcher {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Catcher::on(listener, port, Arc::new(script))
    }

    /// Serves one document.
    pub fn serving(listener: TcpListener, document: String) -> Catcher {
        let port = listener.local_addr().unwrap().port();
        Catcher::on(listener, port, Arc::new(move |_| (200, document.clone())))
    }

    /// Answers at a port that is taken already.
    pub fn answering(
        listener: TcpListener,
        script: impl Fn(usize) -> (u16, String) + Send + Sync + 'static,
    ) -> Catcher {
        let port = listener.local_addr().unwrap().port();
        Catcher::on(listener, port, Arc::new(script))
    }

    fn on(listener: TcpListener, port: u16, script: Arc<Script>) -> Catcher {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &kept, &*script);
            }
        });
        Catcher { port, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Seen>>, script: &Script) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, text) = {
        let mut kept = kept.lock().unwrap();
        kept.push(Seen { path, headers, body });
        script(kept.len() - 1)
    };
    let (more, body) = if text.ends_with("\r\n") { (text, String::new()) } else { (String::new(), text) };
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// Whether something comes true within some seconds.
pub fn eventually(holds: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
