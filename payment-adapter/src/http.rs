//! Calls to a payment system: https, or http on loopback; no redirect; a time-out and a limit on what comes back.

use std::io::Read as _;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::redirect::Policy;
use schemas::{Code, R, Refusal};

/// What a payment system has for its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// What is read of an answer at most.
const ANSWER: u64 = 256 * 1024;

/// The line to one payment system.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    base: Url,
    pub(crate) client: Client,
}

/// A status with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Line {
    /// A line to this base URL (`CONFIG_INVALID` unless it is `https:`, or `http:` on loopback).
    pub(crate) fn to(url: &str) -> R<Line> {
        let bad =
            |why: &str| Refusal::new(Code::ConfigInvalid, format!("address of the payment system: {why}")).at("url");
        let base = Url::parse(url.trim_end_matches('/')).map_err(|_| bad("not a URL"))?;
        let loopback = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !(base.scheme() == "https" || base.scheme() == "http" && loopback) {
            return Err(bad("https is needed; plain http only on loopback"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(bad("no credentials and no query stand in it"));
        }
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if loopback {
            builder = builder.no_proxy();
        }
        Ok(Line { base, client: builder.build().map_err(|_| bad("no HTTP client could be made"))? })
    }

    /// The URL of a path, which begins with a slash, below the base.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }
}

/// Makes a call. Whatever keeps it from being answered whole is `PEER_UNREACHABLE`: nothing is known then.
pub(crate) fn send(request: RequestBuilder) -> R<Answer> {
    let silent = || Refusal::new(Code::PeerUnreachable, "the payment system gave no answer");
    let response = request.send().map_err(|_| silent())?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response.take(ANSWER + 1).read_to_end(&mut body).map_err(|_| silent())?;
    if body.len() as u64 > ANSWER {
        return Err(Refusal::new(Code::PeerFault, "the payment system answered with more than 256 KiB"));
    }
    Ok(Answer { status, body })
}

/// An answer that nothing can be done with.
pub(crate) fn fault(answer: &Answer) -> Refusal {
    Refusal::new(Code::PeerFault, format!("the payment system answered with status {}", answer.status))
}

/// The answer's JSON; `PEER_FAULT` where it is none.
pub(crate) fn json(answer: &Answer) -> R<serde_json::Value> {
    schemas::canonical::parse_value(&answer.body)
        .map_err(|_| Refusal::new(Code::PeerFault, "the payment system's answer is no JSON"))
}
