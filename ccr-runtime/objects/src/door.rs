//! The way out: our own HTTP client under `object_store`, with the house's TLS (OpenSSL).
//!
//! A bucket's client reaches the host of its store and nothing else: whatever a redirect, a body or a document says, a
//! call to another host ends here. No redirect is followed. Names that lead to a cloud's metadata address are refused,
//! and in production those that lead back to this machine.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use schemas::{Code, R, Refusal};
use url::Url;

use crate::location::{is_loopback, is_metadata};
use crate::told::Told;
use crate::{PART, Patience};

/// The most bytes of one answer: a part, and something for what surrounds it.
const MOST_ANSWER: usize = (PART + (1 << 20)) as usize;
/// The most bytes of an error's body that are looked at.
const MOST_ERROR: usize = 64 << 10;

/// An HTTP client for storage: no redirects, bounded times, guarded names.
pub fn client(patience: &Patience, loopback: bool) -> R<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // A proxy of the environment would see credentials of the machine, and look names up behind our back.
        .no_proxy()
        .connect_timeout(patience.idle.min(Duration::from_secs(10)))
        .read_timeout(patience.idle)
        .dns_resolver(Arc::new(Names { loopback }))
        .build()
        .map_err(|e| Refusal::new(Code::Internal, format!("no HTTP client: {}", e.without_url())))
}

/// Looks names up, and drops addresses that nobody's document may lead to.
struct Names {
    loopback: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback = self.loopback;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = |at: &SocketAddr| !is_metadata(at.ip()) && (loopback || !is_loopback(at.ip()));
            let (kept, dropped): (Vec<_>, Vec<_>) = found.partition(allowed);
            if kept.is_empty() && !dropped.is_empty() {
                return Err(Guarded.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// The name leads to an address that is no storage.
#[derive(Debug)]
pub(crate) struct Guarded;

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to an address that is no storage")
    }
}

impl std::error::Error for Guarded {}

/// Makes the clients of one bucket, and remembers what the last answer said.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    client: reqwest::Client,
    /// Scheme, host and port of each service that may be called.
    allowed: Arc<[String]>,
    told: Arc<Mutex<Option<Told>>>,
}

impl Door {
    pub(crate) fn new(client: reqwest::Client, allowed: &[&Url]) -> Door {
        let allowed = allowed.iter().map(|url| url.origin().ascii_serialization()).collect();
        Door { client, allowed, told: Arc::default() }
    }

    /// What the last call that failed was told, once.
    pub(crate) fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(|e| e.into_inner()).take()
    }

    fn note(&self, told: Told) {
        *self.told.lock().unwrap_or_else(|e| e.into_inner()) = Some(told);
    }

    /// Our own refusal, which is not retried.
    fn end(&self, told: Told) -> HttpError {
        let why = format!("{told:?}");
        self.note(told);
        HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(why))
    }

    fn broken(&self, error: reqwest::Error) -> HttpError {
        let told = Told::of_transport(&error);
        let kind = match told {
            Told::Slow => HttpErrorKind::Timeout,
            Told::Unreachable => HttpErrorKind::Connect,
            Told::Cut => HttpErrorKind::Interrupted,
            _ => HttpErrorKind::Unknown,
        };
        self.note(told);
        HttpError::new(kind, error.without_url())
    }
}

impl HttpConnector for Door {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Door {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| self.end(Told::Elsewhere))?;
        if !self.allowed.contains(&url.origin().ascii_serialization()) {
            return Err(self.end(Told::Elsewhere));
        }
        let body = body.collect().await?.to_bytes();
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.into());

        let answer = self.client.execute(request).await.map_err(|e| self.broken(e))?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        if parts.status.is_success() || parts.status == http::StatusCode::NOT_MODIFIED {
            // What an earlier try was told is over.
            self.told();
            return Ok(HttpResponse::from_parts(parts, self.bounded(body)));
        }
        let body = Limited::new(body, MOST_ERROR).collect().await;
        let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
        let told = Told::of_answer(parts.status, &parts.headers, &body);
        if parts.status.is_redirection() {
            return Err(self.end(told));
        }
        self.note(told);
        // Of what storage says only the code is looked at; its words go nowhere.
        Ok(HttpResponse::from_parts(parts, Bytes::new().into()))
    }
}

impl Door {
    /// A body that ends where no honest answer goes on, and says why it broke.
    fn bounded(&self, body: reqwest::Body) -> HttpResponseBody {
        let door = self.clone();
        HttpResponseBody::new(Limited::new(body, MOST_ANSWER).map_err(move |e| match e.downcast::<reqwest::Error>() {
            Ok(broken) => door.broken(*broken),
            Err(_) => door.end(Told::Flood),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_back_to_this_machine_is_refused_in_production() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = |loopback| runtime.block_on(Names { loopback }.resolve("localhost".parse().unwrap()));
        assert!(found(false).err().is_some_and(|e| e.is::<Guarded>()));
        assert!(found(true).is_ok_and(|addresses| addresses.count() > 0));
    }

    #[test]
    fn a_bucket_calls_the_hosts_of_its_store_only() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let patience = Patience::default();
        let own = Url::parse("http://127.0.0.1:1").unwrap();
        let door = Door::new(client(&patience, true).unwrap(), &[&own]);
        let told = |url: &str| {
            let request = http::Request::get(url).body(object_store::client::HttpRequestBody::empty()).unwrap();
            assert!(runtime.block_on(door.call(request)).is_err());
            door.told()
        };
        assert_eq!(told("http://127.0.0.1:1/a"), Some(Told::Unreachable));
        for other in ["http://127.0.0.1:2/a", "https://127.0.0.1:1/a", "http://169.254.169.254/latest/meta-data/"] {
            assert_eq!(told(other), Some(Told::Elsewhere), "{other}");
        }
    }
}
