//! Closed-loop load: so many connections, each sending its next request when the last was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use schemas::{Code, R, Refusal};

use crate::http::Connection;

/// What the load did.
#[derive(Debug, Default)]
pub struct Load {
    /// Answers with the expected status.
    pub good: u64,
    /// Other answers, by status; 0 is a broken connection.
    pub bad: Vec<u16>,
    /// What the first of them said.
    pub words: String,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Microseconds of each good answer, sorted.
    pub micros: Vec<u32>,
    /// Every thousandth good body with the index of its request, for checking afterwards.
    pub samples: Vec<(usize, Vec<u8>)>,
}

impl Load {
    /// Good answers per second.
    pub fn rate(&self) -> f64 {
        self.good as f64 / self.seconds.max(1e-9)
    }

    /// A percentile of the answer times, in milliseconds.
    pub fn percentile(&self, per_mille: usize) -> f64 {
        let at = (self.micros.len() * per_mille / 1000).min(self.micros.len().saturating_sub(1));
        self.micros.get(at).map_or(f64::NAN, |m| f64::from(*m) / 1000.0)
    }

    /// Refuses a load in which something went wrong: its figures would be about something else.
    pub fn clean(self, what: &str) -> R<Load> {
        if self.bad.is_empty() && self.good > 0 {
            return Ok(self);
        }
        let first = self.bad.first().copied().unwrap_or_default();
        let sentence = format!(
            "{what}: {} good answers, {} bad, the first with status {first}: {}",
            self.good,
            self.bad.len(),
            self.words
        );
        Err(Refusal::new(Code::PeerFault, sentence))
    }
}

/// One thread for the whole generator: the other core is the service's.
pub fn runtime() -> R<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Refusal::new(Code::Internal, e.to_string()))
}

/// Sends each request once over `connections` until all are sent or the time is over.
pub fn once_each(port: u16, requests: Vec<Vec<u8>>, connections: usize, time: Duration, expected: u16) -> R<Load> {
    drive(port, Arc::new(requests), connections, time, expected, false)
}

/// Sends the requests round and round until the time is over.
pub fn round_robin(port: u16, requests: Vec<Vec<u8>>, connections: usize, time: Duration, expected: u16) -> R<Load> {
    drive(port, Arc::new(requests), connections, time, expected, true)
}

fn drive(
    port: u16,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    time: Duration,
    expected: u16,
    again: bool,
) -> R<Load> {
    runtime()?.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(port, 1).await?);
        }
        let began = Instant::now();
        for connection in open {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tasks.push(tokio::spawn(one(connection, requests, next, began + time, expected, again)));
        }
        let mut all = Load::default();
        for task in tasks {
            let part = task.await.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
            all.good += part.good;
            all.bad.extend(part.bad);
            if all.words.is_empty() {
                all.words = part.words;
            }
            all.micros.extend(part.micros);
            all.samples.extend(part.samples);
        }
        all.seconds = began.elapsed().as_secs_f64();
        all.micros.sort_unstable();
        Ok(all)
    })
}

async fn one(
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    until: Instant,
    expected: u16,
    again: bool,
) -> Load {
    let mut load = Load::default();
    while Instant::now() < until {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let index = if again { at % requests.len() } else { at };
        let Some(request) = requests.get(index) else { break };
        let sent = Instant::now();
        match connection.send(request).await {
            Ok(answer) if answer.status == expected => {
                load.good += 1;
                load.micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                if at.is_multiple_of(1000) {
                    load.samples.push((index, answer.body));
                }
            }
            Ok(answer) => {
                if load.bad.is_empty() {
                    load.words = String::from_utf8_lossy(&answer.body).into_owned();
                }
                load.bad.push(answer.status);
            }
            Err(refusal) => {
                load.words = refusal.to_string();
                load.bad.push(0);
                break;
            }
        }
    }
    load
}
