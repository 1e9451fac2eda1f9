//! Calls to a key backend elsewhere: TLS under named authorities, no redirect, no proxy, limits of size and time, and few
//! repetitions. Nothing of an answer gets into a refusal but its status.

use std::fs;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Response};
use schemas::{Code, R, Refusal};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 64 * 1024;
/// The longest wait between two attempts, whatever the peer asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a backend elsewhere is configured with by default.
pub(super) mod defaults {
    pub fn key_prefix() -> String {
        "depa-kek".into()
    }
    pub fn timeout_ms() -> u32 {
        5_000
    }
    pub fn attempts() -> u32 {
        3
    }
    pub fn backoff_ms() -> u32 {
        200
    }
}

/// The text of a file that its owner alone may read, such as a token that an agent renews.
pub(super) fn secret_file(path: &Path, key: &str) -> R<Zeroizing<String>> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{key} {}: {why}", path.display())).at(key);
    let mode = fs::metadata(path).map_err(|e| fault(e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fault("others may read it; run chmod 600 on it".into()));
    }
    Ok(Zeroizing::new(fs::read_to_string(path).map_err(|e| fault(e.to_string()))?))
}

/// How long and how often one call is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Milliseconds of one attempt, 10 to 60,000.
    pub timeout_ms: u32,
    /// Attempts in all, 1 to 10: the first, and one for each 429, 5xx or time-out.
    pub attempts: u32,
    /// Milliseconds before the second attempt, up to 5,000; doubled for each further one.
    pub backoff_ms: u32,
}

impl Limits {
    /// Refuses what is out of range.
    pub fn check(&self, table: &str) -> R<()> {
        let limits = [
            (self.timeout_ms, 10, 60_000, "timeout_ms"),
            (self.attempts, 1, 10, "attempts"),
            (self.backoff_ms, 1, 5_000, "backoff_ms"),
        ];
        for (value, least, most, name) in limits {
            if !(least..=most).contains(&value) {
                let sentence = format!("{table}.{name} is {least} to {most}");
                return Err(Refusal::new(Code::ConfigInvalid, sentence).at(table));
            }
        }
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout_ms))
    }

    fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let own = Duration::from_millis(u64::from(self.backoff_ms)).saturating_mul(1 << attempt.min(16));
        own.max(asked.unwrap_or_default()).min(LONGEST_WAIT)
    }

    /// The most that one call can take.
    fn total(&self) -> Duration {
        (self.timeout() + LONGEST_WAIT).saturating_mul(self.attempts)
    }
}

/// One call.
#[derive(Clone)]
pub(super) struct Asked {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Zeroizing<Vec<u8>>,
}

/// What came of it, whatever its status.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Zeroizing<Vec<u8>>,
}

/// What the calls share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    /// The peer, in the words of refusals.
    peer: &'static str,
    client: Client,
    limits: Limits,
}

/// The threads on which calls run, so that the caller may be any thread.
pub(super) struct Threads(Option<Runtime>);

impl Outbound {
    /// A client that trusts the authorities in this PEM file alone, or the machine's without one, and knows one name's
    /// address, where it is told.
    pub fn new(
        peer: &'static str,
        ca_file: Option<&Path>,
        place: Option<(&str, IpAddr)>,
        limits: Limits,
    ) -> R<Outbound> {
        let invalid = |why: String| Refusal::new(Code::ConfigInvalid, why).at("ca_file");
        let mut builder =
            Client::builder().redirect(Policy::none()).no_proxy().timeout(limits.timeout()).referer(false);
        if let Some((name, address)) = place {
            builder = builder.resolve(name, SocketAddr::new(address, 0));
        }
        if let Some(path) = ca_file {
            let pem = fs::read(path).map_err(|e| invalid(format!("{}: {e}", path.display())))?;
            let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err(invalid(format!("{} holds no PEM certificate", path.display())));
            }
            builder = builder.tls_certs_only(found);
        }
        let client = builder.build().map_err(|_| Refusal::new(Code::Internal, "no HTTP client could be made"))?;
        Ok(Outbound { peer, client, limits })
    }

    /// Asks, and asks again after 429, 5xx and time-outs, as often as the limits say.
    pub async fn ask(&self, asked: &Asked) -> R<Answer> {
        let mut attempt = 0;
        loop {
            let last = attempt + 1 >= self.limits.attempts;
            let pause = match self.once(asked).await {
                Ok(answer) if !again(answer.status) => return Ok(answer),
                Ok(answer) if last => {
                    let sentence = format!("{} answered {} {} times", self.peer, answer.status, attempt + 1);
                    return Err(Refusal::new(Code::PeerFault, sentence));
                }
                Ok(answer) => retry_after(&answer.headers),
                Err(refusal) if last || refusal.code != Code::Timeout => return Err(refusal),
                Err(_) => None,
            };
            tokio::time::sleep(self.limits.wait(attempt, pause)).await;
            attempt += 1;
        }
    }

    async fn once(&self, asked: &Asked) -> R<Answer> {
        let request = self
            .client
            .request(asked.method.clone(), &asked.url)
            .headers(asked.headers.clone())
            .body(asked.body.to_vec());
        let answer = request.send().await.map_err(|e| self.failed(&e))?;
        self.read(answer).await
    }

    async fn read(&self, mut answer: Response) -> R<Answer> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES));
        while let Some(piece) = answer.chunk().await.map_err(|e| self.failed(&e))? {
            if body.len() + piece.len() > ANSWER_BYTES {
                return Err(self.fault(&format!("answered with more than {ANSWER_BYTES} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body })
    }

    fn failed(&self, error: &reqwest::Error) -> Refusal {
        if error.is_timeout() {
            return Refusal::new(Code::Timeout, format!("{} gave no answer in time", self.peer));
        }
        if error.is_connect() {
            let sentence = format!("{} cannot be reached, or no named authority vouches for it", self.peer);
            return Refusal::new(Code::PeerUnreachable, sentence);
        }
        self.fault("broke off its answer")
    }

    /// A refusal about what the peer did.
    pub fn fault(&self, did: &str) -> Refusal {
        Refusal::new(Code::PeerFault, format!("{} {did}", self.peer))
    }

    /// The refusal for a status that is no success.
    pub fn refused(&self, status: u16) -> Refusal {
        self.fault(&match status {
            401 | 403 => format!("refuses access ({status}); check who this service is there, and what that may do"),
            404 => "does not know the key or the place (404)".to_owned(),
            300..=399 => format!("sends elsewhere ({status}); redirects are not followed"),
            _ => format!("answered {status}"),
        })
    }

    /// Waits for a call on other threads, however the thread that asks was made; at most for as long as `calls` calls
    /// can take.
    pub fn wait<T: Send + 'static>(
        &self,
        threads: &Threads,
        calls: u32,
        call: impl Future<Output = R<T>> + Send + 'static,
    ) -> R<T> {
        let gone = || Refusal::new(Code::Internal, "the threads of the key backend have ended");
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = threads.0.as_ref().ok_or_else(gone)?.spawn(async move { drop(sender.send(call.await)) });
        receiver.recv_timeout(self.limits.total().saturating_mul(calls)).unwrap_or_else(|error| {
            task.abort();
            Err(match error {
                mpsc::RecvTimeoutError::Timeout => {
                    Refusal::new(Code::Timeout, format!("{} gave no answer in time", self.peer))
                }
                mpsc::RecvTimeoutError::Disconnected => gone(),
            })
        })
    }
}

impl Threads {
    /// One thread.
    pub fn new() -> R<Threads> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("kms-backend").enable_all().build();
        Ok(Threads(Some(runtime.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?)))
    }
}

impl Drop for Threads {
    /// Without waiting: the owner may be let go of where waiting is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn again(status: u16) -> bool {
    status == 429 || (500..600).contains(&status)
}

/// Seconds only; a date is not worth a clock here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
