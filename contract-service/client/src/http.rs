//! One HTTP call: address rules, time-outs, size limits, and refusals out of problem documents.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Certificate;
use reqwest::blocking::{Client as Http, Response};
use reqwest::redirect::Policy;
use schemas::problem::Problem;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Signer, Timestamp, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hook::{Act, Hook, Outgoing};
use crate::token::{Access, Kept};

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
    /// Replaces a draft.
    Put,
    /// Discards a draft.
    Delete,
}

impl Method {
    /// As it stands in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
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
    pub token: Arc<Mutex<Kept>>,
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
    /// The media type of the body.
    pub media: &'static str,
    pub bearer: bool,
    pub limit: u64,
    /// The state that is changed, as its `ETag` named it.
    pub if_match: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A read.
    pub fn get(path: &'a str) -> Call<'a> {
        Call { method: Method::Get, path, body: None, media: JSON, bearer: false, limit: LIMIT, if_match: None }
    }

    /// The same call with an access token.
    pub fn with_token(self) -> Call<'a> {
        Call { bearer: true, ..self }
    }

    /// The same call with a larger answer.
    pub fn within(self, limit: u64) -> Call<'a> {
        Call { limit, ..self }
    }
}

/// The status and body of an answer that is no refusal.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    #[allow(dead_code)] // for drafts
    pub etag: Option<String>,
}

/// A refusal, with the wait that the service asks for before a repetition.
pub(crate) struct Failure {
    pub refusal: Refusal,
    pub retry_after: Option<Duration>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure { refusal, retry_after: None }
    }
}

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);
pub(crate) const JSON: &str = "application/json";
/// The largest ordinary answer.
pub(crate) const LIMIT: u64 = 8 * 1024 * 1024;
/// The largest page of an export.
pub(crate) const EXPORT_LIMIT: u64 = 64 * 1024 * 1024;

impl Client {
    /// A client of the service at this base URL: `https:`, or `http:` on loopback. The hook sees every call. It follows
    /// no redirect.
    pub fn new(url: &str, hook: Option<Arc<dyn Hook>>) -> R<Client> {
        Client::trusting(url, hook, None)
    }

    /// [`Client::new`] that takes certificates of these authorities only (PEM), in place of the machine's.
    pub fn trusting(url: &str, hook: Option<Arc<dyn Hook>>, ca_pem: Option<&[u8]>) -> R<Client> {
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
        if let Some(pem) = ca_pem {
            let none = || Refusal::new(Code::ConfigInvalid, "the file of authorities holds no PEM certificate");
            let certificates = Certificate::from_pem_bundle(pem).map_err(|_| none())?;
            if certificates.is_empty() {
                return Err(none());
            }
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|_| bad("no HTTP client could be made"))?;
        let token = Arc::new(Mutex::new(Kept::default()));
        Ok(Client { inner: Arc::new(Inner { base, http, hook, signer: None, clock: system_clock(), token }) })
    }

    /// The same client acting for this key: it fetches and renews its own access tokens.
    pub fn acting_for(&self, signer: Arc<dyn Signer>) -> Client {
        let token = Arc::new(Mutex::new(Kept::default()));
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
        read(self.call(&Call::get(path))?)
    }

    pub(crate) fn get_as<T: DeserializeOwned>(&self, path: &str) -> R<T> {
        self.get_as_within(path, LIMIT)
    }

    pub(crate) fn get_as_within<T: DeserializeOwned>(&self, path: &str, limit: u64) -> R<T> {
        read(self.call(&Call::get(path).with_token().within(limit))?)
    }

    pub(crate) fn get_bytes(&self, path: &str) -> R<Vec<u8>> {
        Ok(self.call(&Call::get(path))?.body)
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
        read(self.attempt(&self.posted(path, body, false)?, &key, None, 1).map_err(|f| f.refusal)?)
    }

    /// One attempt of which the hook learns nothing and whose answer has no body.
    pub(crate) fn try_once<B: Serialize>(&self, path: &str, body: &B) -> R<()> {
        let key = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        self.send(&self.posted(path, body, false)?, &key, &[]).map(drop).map_err(|f| f.refusal)
    }

    pub(crate) fn posted<'a, B: Serialize>(&self, path: &'a str, body: &B, bearer: bool) -> R<Call<'a>> {
        let body = Some(canonical::to_bytes(body)?);
        Ok(Call { method: Method::Post, body, bearer, ..Call::get(path) })
    }

    /// One attempt, as the hook lets it.
    pub(crate) fn attempt(
        &self,
        call: &Call,
        key: &str,
        access: Option<&Access>,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        let headers = access.map(|access| self.access_headers(access, call)).transpose()?;
        self.attempt_with(call, key, headers.unwrap_or_default(), attempt)
    }

    /// [`Client::attempt`] with these headers.
    pub(crate) fn attempt_with(
        &self,
        call: &Call,
        key: &str,
        headers: Vec<(String, String)>,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        let mut outgoing = Outgoing { method: call.method, path: call.path, attempt, headers };
        let act = self.inner.hook.as_ref().map_or(Act::Pass, |hook| hook.before(&mut outgoing));
        let headers = outgoing.headers;
        match act {
            Act::DropRequest => return Err(self.unreachable().into()),
            Act::Delay(time) => std::thread::sleep(time),
            Act::Duplicate => drop(self.send(call, key, &headers)),
            Act::Pass | Act::DropAnswer => {}
        }
        let answer = self.send(call, key, &headers);
        if act == Act::DropAnswer { Err(self.unreachable().into()) } else { answer }
    }

    fn send(&self, call: &Call, key: &str, headers: &[(String, String)]) -> Result<Answer, Failure> {
        let url = format!("{}{}", self.inner.base, call.path);
        let http = &self.inner.http;
        let mut request = match call.method {
            Method::Get => http.get(url),
            Method::Post => http.post(url),
            Method::Put => http.put(url),
            Method::Delete => http.delete(url),
        };
        if call.method == Method::Post && call.path.starts_with("/v1/") {
            request = request.header("idempotency-key", key);
        }
        if let Some(tag) = call.if_match {
            request = request.header("if-match", tag);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header("content-type", call.media).body(body.clone());
        }
        let response = request.send().map_err(|e| self.unanswered(&e))?;
        self.judge(response, call.limit)
    }

    /// Opens an answer that goes on for at most this time; a refusal comes as ever.
    pub(crate) fn stream(&self, call: &Call, headers: &[(String, String)], at_most: Duration) -> R<Response> {
        let mut request = self.inner.http.get(format!("{}{}", self.inner.base, call.path)).timeout(at_most);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().map_err(|e| self.unanswered(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        match self.judge(response, call.limit) {
            Err(failure) => Err(failure.refusal),
            Ok(_) => Err(self.unreachable()),
        }
    }

    fn judge(&self, response: Response, limit: u64) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let etag = header("etag");
        let retry_after = header("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        response.take(limit + 1).read_to_end(&mut body).map_err(|_| self.unreachable())?;
        let fault =
            |why: String| Refusal::new(Code::PeerFault, format!("contract service at {}: {why}", self.inner.base));
        if body.len() as u64 > limit {
            return Err(fault(format!("answered with more than {limit} bytes")).into());
        }
        if (200..300).contains(&status) {
            return Ok(Answer { status, body, etag });
        }
        let refusal = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => with_reference(&problem),
            Err(_) => fault(format!("answered with status {status}")),
        };
        Err(Failure { refusal, retry_after })
    }

    fn unanswered(&self, error: &reqwest::Error) -> Refusal {
        if error.is_timeout() {
            return self.timeout();
        }
        if !speaks_of_a_certificate(error) {
            return self.unreachable();
        }
        let text = format!(
            "the certificate of the contract service at {} is not vouched for by the authorities that are named; name \
             the right ones, with depa as --ca FILE",
            self.inner.base
        );
        Refusal::new(Code::PeerUnreachable, text)
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

/// Whether the connection failed over the peer's certificate; the libraries below tell it in words only.
fn speaks_of_a_certificate(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    causes.take(8).any(|cause| cause.to_string().to_lowercase().contains("certificate"))
}

/// The refusal in a problem document, with the reference number of the service's log where it gave one.
fn with_reference(problem: &Problem) -> Refusal {
    let mut refusal = problem.refusal();
    // Only a fault of the service has a number that anybody would look for.
    if let Some(instance) = problem.instance.as_ref().filter(|text| text.starts_with("urn:depa:fault:")) {
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
