//! The line to the collector: one post at a time, on the exporter's own thread, within limits.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use schemas::{Code, R, Refusal};

use crate::settings::is_loopback;

/// What the collector has for its answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer at most.
const ANSWER: u64 = 64 * 1024;

/// Posts what the exporter made. A collector that does not take it is told of once, in the log.
#[derive(Debug)]
pub(crate) struct Line {
    client: Client,
    failing: AtomicBool,
}

impl Line {
    /// A line to this URL: no redirect, and no proxy on loopback.
    pub(crate) fn to(url: &Url) -> R<Line> {
        let mut builder = Client::builder().connect_timeout(TIMEOUT).timeout(TIMEOUT).redirect(Policy::none());
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        let fault = |_| Refusal::new(Code::ConfigInvalid, "telemetry: no HTTP client could be made");
        Ok(Line { client: builder.build().map_err(fault)?, failing: AtomicBool::new(false) })
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let call = self.client.post(head.uri.to_string()).headers(head.headers).body(body);
        let answer = call.send()?;
        let status = answer.status();
        let mut body = Vec::new();
        answer.take(ANSWER).read_to_end(&mut body)?;
        Ok(Response::builder().status(status).body(Bytes::from(body))?)
    }

    /// Says when it begins to fail, and when it no longer does; not what the collector said.
    fn tell(&self, taken: bool, status: Option<u16>) {
        let failed = self.failing.swap(!taken, Ordering::Relaxed);
        match (taken, failed) {
            (false, false) => tracing::warn!(status, "the collector does not take spans; they are dropped"),
            (true, true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Line {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        let status = answer.as_ref().ok().map(Response::status);
        self.tell(status.is_some_and(|status| status.is_success()), status.map(|status| status.as_u16()));
        answer
    }
}
