//! One HTTP call: address rules, time-outs, retries, size limits, and refusals out of problem documents.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::blocking::{Client as Http, Response};
use reqwest::redirect::Policy;
use schemas::problem::Problem;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Signer, Timestamp, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hook::{Act, Hook, Outgoing};
use crate::token::Cached;

/// Where the client gets the time for its token requests from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    })
}

/// HTTP methods of the front desk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
}

/// A client of one contract service. Cheap to clone; clones share connections and the cached token.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Clone)]
pub(crate) struct Inner {
    pub base: String,
    http: Http,
    hook: Option<Arc<dyn Hook>>,
    pub signer: Option<Arc<dyn Signer>>,
    pub clock: Clock,
    pub token: Arc<Mutex<Option<Cached>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.inner.base)
    }
}

/// A call: what is asked, and what is awaited.
pub(crate) struct Call<'a> {
    pub method: Method,
    pub path: &'a str,
    pub body: Option<Vec<u8>>,
    pub bearer: bool,
    pub limit: u64,
}

/// The status and body of an answer that is no refusal.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;
/// The largest ordinary answer.
const LIMIT: u64 = 8 * 1024 * 1024;
/// The largest page of an export.
pub(crate) const EXPORT_LIMIT: u64 = 64 * 1024 * 1024;

impl Client {
    /// A client of the service at this base URL: `https:`, or `http:` on loopback. The hook sees every call.
    pub fn new(url: &str, hook: Option<Arc<dyn Hook>>) -> R<Client> {
        let base = url.trim_end_matches('/').to_owned();
        let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("address of the contract service: {why}"));
        let parsed = reqwest::Url::parse(&base).map_err(|_| bad("not a URL"))?;
        let loopback = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match parsed.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(bad("https is needed; plain http only on loopback")),
        }
        let mut builder = Http::builder().connect_timeout(CONNECT).timeout(TOTAL).redirect(Policy::none());
        if loopback {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|_| bad("no HTTP client could be made"))?;
        let token = Arc::new(Mutex::new(None));
        Ok(Client { inner: Arc::new(Inner { base, http, hook, signer: None, clock: system_clock(), token }) })
    }

    /// The same client acting for this key: it fetches and renews its own access tokens.
    pub fn acting_for(&self, signer: Arc<dyn Signer>) -> Client {
        let token = Arc::new(Mutex::new(None));
        Client { inner: Arc::new(Inner { signer: Some(signer), token, ..(*self.inner).clone() }) }
    }

    /// The same client with another clock, for tests.
    pub fn with_clock(&self, clock: Clock) -> Client {
        Client { inner: Arc::new(Inner { clock, ..(*self.inner).clone() }) }
    }

    /// The base URL; the audience of token requests and of run requests.
    pub fn url(&self) -> &str {
        &self.inner.base
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> R<T> {
        read(self.call(&Call { method: Method::Get, path, body: None, bearer: false, limit: LIMIT })?)
    }

    pub(crate) fn get_as<T: DeserializeOwned>(&self, path: &str) -> R<T> {
        self.get_as_within(path, LIMIT)
    }

    pub(crate) fn get_as_within<T: DeserializeOwned>(&self, path: &str, limit: u64) -> R<T> {
        read(self.call(&Call { method: Method::Get, path, body: None, bearer: true, limit })?)
    }

    pub(crate) fn get_bytes(&self, path: &str) -> R<Vec<u8>> {
        Ok(self.call(&Call { method: Method::Get, path, body: None, bearer: false, limit: LIMIT })?.body)
    }

    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> R<T> {
        read(self.call(&self.posted(path, body, false)?)?)
    }

    pub(crate) fn post_as<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> R<T> {
        read(self.call(&self.posted(path, body, true)?)?)
    }

    /// One attempt without repetition, for key services, which refuse a byte-wise resend.
    pub fn post_once<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> R<T> {
        let key = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        read(self.attempt(&self.posted(path, body, false)?, &key, None, 1)?)
    }

    pub(crate) fn posted<'a, B: Serialize>(&self, path: &'a str, body: &B, bearer: bool) -> R<Call<'a>> {
        Ok(Call { method: Method::Post, path, body: Some(canonical::to_bytes(body)?), bearer, limit: LIMIT })
    }

    /// Makes a call, up to three times while the service cannot be reached: every call is idempotent.
    pub(crate) fn call(&self, call: &Call) -> R<Answer> {
        let key = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        let mut attempt = 1;
        loop {
            let bearer = if call.bearer { Some(self.bearer()?) } else { None };
            match self.attempt(call, &key, bearer.as_deref(), attempt) {
                Err(refusal) if refusal.code == Code::PeerUnreachable && attempt < ATTEMPTS => {
                    std::thread::sleep(Duration::from_millis(100 * u64::from(attempt * attempt)));
                    attempt += 1;
                }
                Err(refusal) if refusal.code == Code::Unauthenticated && call.bearer && attempt < ATTEMPTS => {
                    self.forget_token();
                    attempt = ATTEMPTS;
                }
                other => return other,
            }
        }
    }

    /// One attempt, as the hook lets it.
    pub(crate) fn attempt(&self, call: &Call, key: &str, bearer: Option<&str>, attempt: u32) -> R<Answer> {
        let mut outgoing = Outgoing { method: call.method, path: call.path, attempt, headers: Vec::new() };
        let act = self.inner.hook.as_ref().map_or(Act::Pass, |hook| hook.before(&mut outgoing));
        let headers = outgoing.headers;
        match act {
            Act::DropRequest => return Err(self.unreachable()),
            Act::Delay(time) => std::thread::sleep(time),
            Act::Duplicate => drop(self.send(call, key, bearer, &headers)),
            Act::Pass | Act::DropAnswer => {}
        }
        let answer = self.send(call, key, bearer, &headers);
        if act == Act::DropAnswer { Err(self.unreachable()) } else { answer }
    }

    fn send(&self, call: &Call, key: &str, bearer: Option<&str>, headers: &[(String, String)]) -> R<Answer> {
        let url = format!("{}{}", self.inner.base, call.path);
        let mut request = match call.method {
            Method::Get => self.inner.http.get(url),
            Method::Post => self.inner.http.post(url).header("content-type", "application/json"),
        };
        if call.method == Method::Post && call.path.starts_with("/v1/") {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = request.send().map_err(|e| if e.is_timeout() { self.timeout() } else { self.unreachable() })?;
        self.judge(response, call.limit)
    }

    fn judge(&self, response: Response, limit: u64) -> R<Answer> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        response.take(limit + 1).read_to_end(&mut body).map_err(|_| self.unreachable())?;
        let fault =
            |why: String| Refusal::new(Code::PeerFault, format!("contract service at {}: {why}", self.inner.base));
        if body.len() as u64 > limit {
            return Err(fault(format!("answered with more than {limit} bytes")));
        }
        if (200..300).contains(&status) {
            return Ok(Answer { status, body });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(with_reference(&problem)),
            Err(_) => Err(fault(format!("answered with status {status}"))),
        }
    }

    fn unreachable(&self) -> Refusal {
        let text = format!(
            "the contract service at {} cannot be reached; check that it runs and the address",
            self.inner.base
        );
        Refusal::new(Code::PeerUnreachable, text)
    }

    fn timeout(&self) -> Refusal {
        let text =
            format!("the contract service at {} gave no answer in time; the call may be repeated", self.inner.base);
        Refusal::new(Code::PeerUnreachable, text)
    }
}

/// The refusal in a problem document, with the reference number of the service's log where it gave one.
fn with_reference(problem: &Problem) -> Refusal {
    let mut refusal = problem.refusal();
    if let Some(instance) = &problem.instance {
        refusal.sentence = format!("{} (reference {instance})", refusal.sentence);
    }
    refusal
}

/// Reads an answer strictly into its type.
pub(crate) fn read<T: DeserializeOwned>(answer: Answer) -> R<T> {
    canonical::parse(&answer.body).map_err(|e| {
        Refusal::new(Code::PeerFault, format!("the contract service's answer cannot be read: {}", e.sentence))
    })
}
