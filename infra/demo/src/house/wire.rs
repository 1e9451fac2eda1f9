//! One HTTP call on loopback with whatever bytes one likes: to ask for readiness, and to send what no client would.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use schemas::{Code, R, Refusal};
use serde_json::Value;

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The refusal code in a problem document.
    pub fn code(&self) -> Option<Code> {
        self.json().get("code").and_then(Value::as_str).and_then(Code::parse)
    }
}

/// Sends a request to `http://localhost:PORT` with these headers and this body, and reads the whole answer. A body that
/// the service stops reading is not an error: what it answered is returned.
pub fn send(base: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> R<Answer> {
    let fault = |why: String| Refusal::new(Code::PeerUnreachable, format!("{base}: {why}"));
    let port = base.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.ok_or_else(|| fault("no port".into()))?));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).map_err(|e| fault(e.to_string()))?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(|e| fault(e.to_string()))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\nconnection: close\r\n");
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    if method != "GET" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).map_err(|e| fault(e.to_string()))?;
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let status = bytes.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
    match (status, end) {
        (Some(status), Some(end)) => Ok(Answer { status, body: bytes.split_off(end + 4) }),
        _ => Err(fault(format!("no answer: {read:?}"))),
    }
}

/// A POST of JSON with an `Idempotency-Key` of its own.
pub fn post(base: &str, path: &str, body: &[u8]) -> R<Answer> {
    let key = depa::edge::fresh().to_string();
    send(base, "POST", path, &[("content-type", "application/json"), ("idempotency-key", &key)], body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_silence_is_refused() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let served = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 404 Not Found\r\n\r\n{\"code\":\"NOT_FOUND\"}", ""] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 20];
                stream.read_exact(&mut head).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let answer = send(&base, "GET", "/x", &[], b"").unwrap();
        assert_eq!((answer.status, answer.code()), (404, Some(Code::NotFound)));
        assert_eq!(send(&base, "GET", "/x", &[], b"").unwrap_err().code, Code::PeerUnreachable);
        served.join().unwrap();
    }
}
