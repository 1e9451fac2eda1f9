//! `/metrics` on a port of its own, on loopback: one caller at a time, and nothing else is answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use schemas::{Code, R, Refusal};

/// What a caller has for its request, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks for a caller.
const LOOK: Duration = Duration::from_millis(50);
/// The longest request.
const REQUEST: usize = 8 * 1024;

/// Serves counts until it is dropped.
pub struct Scrape {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scrape {
    /// Serves this text on a loopback address; port 0 takes any free one. `CONFIG_INVALID` where it cannot be bound or is
    /// not on loopback.
    pub fn start(bind: SocketAddr, text: impl Fn() -> String + Send + 'static) -> R<Scrape> {
        check(&bind)?;
        let wrong = |e| Refusal::new(Code::ConfigInvalid, format!("{bind} cannot be bound: {e}")).at("metrics_bind");
        let listener = TcpListener::bind(bind).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let work = move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A caller who went away meanwhile is nobody's fault.
                    Ok((stream, _)) => drop(serve(stream, &text)),
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        };
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(work).map_err(wrong)?;
        Ok(Scrape { address, stop, thread: Some(thread) })
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Refuses an address that others could reach (`CONFIG_INVALID`).
pub(crate) fn check(bind: &SocketAddr) -> R<()> {
    if bind.ip().is_loopback() {
        return Ok(());
    }
    let sentence = format!("metrics_bind {bind}: plain HTTP is served on loopback only");
    Err(Refusal::new(Code::ConfigInvalid, sentence).at("metrics_bind"))
}

impl Scrape {
    /// Refuses an address that [`Scrape::start`] would refuse, without binding it.
    pub fn check(bind: Option<&SocketAddr>) -> R<()> {
        bind.map_or(Ok(()), check)
    }
}

fn serve(mut stream: TcpStream, text: &impl Fn() -> String) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (began, mut head, mut part) = (Instant::now(), Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part)?;
        head.extend_from_slice(part.get(..read).unwrap_or_default());
        if read == 0 || head.len() > REQUEST || began.elapsed() > PATIENCE {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    let (status, body) = match (words.next(), words.next().and_then(|target| target.split('?').next())) {
        (Some("GET"), Some("/metrics")) => ("200 OK", text()),
        (_, Some("/metrics")) => ("405 Method Not Allowed", String::new()),
        _ => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncache-control: no-store\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn metrics_are_served_and_nothing_else() {
        let scrape = Scrape::start(([127, 0, 0, 1], 0).into(), || "up 1\n".to_owned()).unwrap();
        let ask = |line: &str| ask(scrape.address(), &format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n"));
        let answer = ask("GET /metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
        assert!(ask("GET /metrics?x=1").starts_with("HTTP/1.1 200"));
        assert!(ask("POST /metrics").starts_with("HTTP/1.1 405"));
        assert!(ask("GET /").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_request_without_end_is_not_answered() {
        let scrape = Scrape::start(([127, 0, 0, 1], 0).into(), || "up 1\n".to_owned()).unwrap();
        let mut stream = TcpStream::connect(scrape.address()).unwrap();
        // It is cut off before all of it was sent.
        let _ = stream.write_all(&vec![b'x'; 4 * REQUEST]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }

    #[test]
    fn others_cannot_reach_it() {
        for bind in ["0.0.0.0:0", "192.0.2.1:9100", "[::]:0"] {
            let refusal = Scrape::start(bind.parse().unwrap(), String::new).err().unwrap();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ConfigInvalid, Some("metrics_bind")), "{bind}");
        }
        Scrape::check(None).unwrap();
    }
}
