//! The least of HTTP/1.1 that a load generator needs: requests rendered beforehand, answers read by their length.

use schemas::{Code, R, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// An answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request as it goes over the wire.
pub fn render(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

fn broken(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::PeerUnreachable, format!("the connection broke: {why}"))
}

impl Connection {
    /// Connects from the loopback address `127.0.0.<from>`, so that ports do not run out.
    pub async fn open(port: u16, from: u8) -> R<Connection> {
        let socket = TcpSocket::new_v4().map_err(broken)?;
        socket.bind(([127, 0, 0, from], 0).into()).map_err(broken)?;
        let stream = socket.connect(([127, 0, 0, 1], port).into()).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(8192) })
    }

    /// Sends a rendered request and reads the answer.
    pub async fn send(&mut self, request: &[u8]) -> R<Answer> {
        self.stream.write_all(request).await.map_err(broken)?;
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(broken("closed by the service"));
            }
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break (end + 4, length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(broken("closed within an answer"));
            }
        }
        let status = self.buffer.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| broken("no status line"))?;
        Ok(Answer { status, body: self.buffer[head..head + length].to_vec() })
    }
}

/// The value of `content-length`; nothing is 0.
fn length(head: &[u8]) -> R<usize> {
    let text = std::str::from_utf8(head).map_err(broken)?;
    let line = text.lines().find_map(|l| l.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length")));
    line.map_or(Ok(0), |(_, value)| value.trim().parse().map_err(broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_any_case() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 12").unwrap(), 12);
        assert_eq!(length(b"HTTP/1.1 204 No Content").unwrap(), 0);
        assert!(length(b"HTTP/1.1 200 OK\r\ncontent-length: x").is_err());
    }
}
