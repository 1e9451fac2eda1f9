//! Receivers in a thread of their own: one that takes everything at once and notes how late it came, and one that hangs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schemas::{Code, R, Refusal, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What came: how late each delivery was, in microseconds after the time in its body, and which there were.
#[derive(Default)]
pub struct Came {
    /// In the order of arrival.
    pub micros: Vec<u64>,
    /// Message and connection's endpoint path.
    pub ids: HashSet<String>,
    /// When the last one came.
    pub last: Option<Instant>,
}

/// A receiver.
pub struct Sink {
    /// Where it listens.
    pub url: String,
    came: Arc<Mutex<Came>>,
    connections: Arc<AtomicUsize>,
}

/// Where receivers run: a thread that lives as long as the process.
fn spawn(hangs: bool, came: Arc<Mutex<Came>>, connections: Arc<AtomicUsize>) -> R<String> {
    let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("a receiver: {e}"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(fault)?;
    listener.set_nonblocking(true).map_err(fault)?;
    let url = format!("http://localhost:{}", listener.local_addr().map_err(fault)?.port());
    let runtime = crate::load::runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let came = Arc::clone(&came);
                tokio::spawn(async move {
                    match hangs {
                        true => hang(stream).await,
                        false => serve(stream, &came).await,
                    }
                });
            }
        });
    });
    Ok(url)
}

impl Sink {
    /// One that takes everything.
    pub fn quick() -> R<Sink> {
        Sink::start(false)
    }

    /// One that sends its answer a byte a second, without end.
    pub fn slow() -> R<Sink> {
        Sink::start(true)
    }

    fn start(hangs: bool) -> R<Sink> {
        let (came, connections) = (Arc::default(), Arc::default());
        let url = spawn(hangs, Arc::clone(&came), Arc::clone(&connections))?;
        Ok(Sink { url, came, connections })
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Deliveries so far.
    pub fn count(&self) -> usize {
        self.lock().micros.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Waits until so many came, for at most `time`; then forgets them.
    pub fn take(&self, wanted: usize, time: Duration) -> R<Came> {
        let began = Instant::now();
        while self.count() < wanted {
            if began.elapsed() > time {
                let sentence = format!("{} of {wanted} deliveries came within {} s", self.count(), time.as_secs());
                return Err(Refusal::new(Code::Timeout, sentence));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(std::mem::take(&mut *self.lock()))
    }
}

impl Came {
    /// A percentile of how late they were, in milliseconds.
    pub fn percentile(&self, per_mille: usize) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(f64::NAN, |micros| *micros as f64 / 1000.0)
    }
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

async fn hang(mut stream: TcpStream) {
    for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream, came: &Mutex<Came>) {
    drop(stream.set_nodelay(true));
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
            match stream.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => continue,
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length: usize = header("content-length:").and_then(|n| n.parse().ok()).unwrap_or(0);
        let id = format!("{} {}", header("webhook-id:").unwrap_or_default(), head.lines().next().unwrap_or_default());
        while buffer.len() < end + 4 + length {
            match stream.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
        note(came, id, &buffer[end + 4..end + 4 + length]);
        buffer.drain(..end + 4 + length);
        if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
            return;
        }
    }
}

fn note(came: &Mutex<Came>, id: String, body: &[u8]) {
    let late = made_at(body).map_or(0, |made| u64::try_from(now_micros() - made.micros()).unwrap_or_default());
    let mut came = came.lock().unwrap_or_else(|p| p.into_inner());
    came.micros.push(late);
    came.ids.insert(id);
    came.last = Some(Instant::now());
}

/// The time in a body.
fn made_at(body: &[u8]) -> Option<Timestamp> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Timestamp::parse(value.get("timestamp")?.as_str()?).ok()
}
