//! The HTTP client that the Azure crates are given: ours, with its limits and repetitions, in place of theirs.

use std::fmt;

use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request, StatusCode};
use azure_core::{Bytes, error::ErrorKind};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemas::{Code, Refusal};
use zeroize::Zeroizing;

use super::IMDS;
use crate::backend::outbound::{Asked, Outbound};

/// A refusal of ours on its way through the Azure crates, which do not repeat a call that ended with it.
#[derive(Debug)]
pub(super) struct Stopped(pub Refusal);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.code)
    }
}

impl std::error::Error for Stopped {}

/// The refusal in an error of the Azure crates, where one of ours caused it.
pub(super) fn stopped(error: &azure_core::Error) -> Option<Refusal> {
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.take(16).find_map(|cause| cause.downcast_ref::<Stopped>()).map(|stopped| stopped.0.clone())
}

fn stop(refusal: Refusal) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Other, Stopped(refusal))
}

/// The client.
#[derive(Debug)]
pub(super) struct Transport {
    pub outbound: Outbound,
    /// Takes the place of the instance metadata service.
    pub imds_url: String,
}

impl Transport {
    fn asked(&self, request: &Request) -> Option<(Asked, bool)> {
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
            Method::Head => reqwest::Method::HEAD,
            _ => return None,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            // Its length is counted anew.
            if name.as_str().eq_ignore_ascii_case("content-length") {
                continue;
            }
            let mut value = HeaderValue::from_str(value.as_str()).ok()?;
            value.set_sensitive(name.as_str().eq_ignore_ascii_case("authorization"));
            headers.insert(HeaderName::from_bytes(name.as_str().as_bytes()).ok()?, value);
        }
        let body = Zeroizing::new(Bytes::from(request.body()).to_vec());
        let url = request.url().as_str();
        let (url, identity) = match url.strip_prefix(IMDS) {
            Some(rest) => (format!("{}{rest}", self.imds_url), true),
            None => (url.to_owned(), false),
        };
        Some((Asked { method, url, headers, body }, identity))
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let odd = || stop(Refusal::new(Code::Internal, "a request of the Azure crates cannot be sent"));
        let (asked, identity) = self.asked(request).ok_or_else(odd)?;
        let answer = self.outbound.ask(&asked).await.map_err(stop)?;
        // The crate would go on for more than a minute after some refusals of the metadata service.
        if identity && answer.status != 200 {
            return Err(stop(self.outbound.fault("gave this machine no token of its identity")));
        }
        if (300..400).contains(&answer.status) {
            return Err(stop(self.outbound.refused(answer.status)));
        }
        let mut headers = Headers::new();
        for (name, value) in &answer.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body = Bytes::copy_from_slice(&answer.body);
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(answer.status), headers, body))
    }
}
