//! The provider's line to its own key service: what it says about itself, and the one way a data key goes there.

use std::io::Read as _;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::blocking::{Client as Http, RequestBuilder};
use schemas::id::{DataKeyId, Did};
use schemas::problem::Problem;
use schemas::release::{KeyImport, KmsInfo};
use schemas::{Code, Envelope, R, Refusal, Timestamp, canonical};
use sealing::DatasetKey;
use serde::de::DeserializeOwned;
use signing::{Signer, Trust};

use super::seal::SealedDataset;

/// A key service at its base URL.
#[derive(Debug)]
pub struct Kms {
    url: String,
    http: Http,
}

impl Kms {
    /// A client: `https:`, or `http:` on loopback.
    pub fn new(url: &str) -> R<Kms> {
        let url = url.trim_end_matches('/').to_owned();
        let http = http(&url, "address of the key service")?;
        Ok(Kms { url, http })
    }

    /// What the service says about itself; refused unless it serves this provider under this address.
    pub fn info(&self, provider: &Did) -> R<KmsInfo> {
        let info = self.public_info()?;
        if &info.provider != provider {
            let sentence = format!(
                "the key service at {} serves {}, not {provider}; a data key goes to its own TDP's service only",
                self.url, info.provider
            );
            return Err(Refusal::new(Code::Forbidden, sentence));
        }
        if info.kms != self.url {
            let sentence = format!("the key service at {} calls itself {}; use that address", self.url, info.kms);
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        }
        Ok(info)
    }

    /// What the service says about itself, whomever it serves.
    pub fn public_info(&self) -> R<KmsInfo> {
        call(self.http.get(format!("{}/v1/kms", self.url)), &self.url)
    }

    /// A call with a JSON body.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json")
    }

    /// A call without a body.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Hands a data key over: wrapped to the service's import key, bound to key id and sealed object, signed by the TDP.
pub(super) fn import(
    kms: &Kms,
    info: &KmsInfo,
    sealed: &SealedDataset,
    data_key: &DatasetKey,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<()> {
    let bound = sealing::wrap::import_context(&sealed.key_id, &sealed.manifest_root);
    let document = KeyImport {
        schema: "kms-key.v1".into(),
        registry: trust.registry.clone(),
        kms: info.kms.clone(),
        key_id: sealed.key_id.clone(),
        provider: key.did()?,
        dataset_id: sealed.dataset_id.clone(),
        version: sealed.version,
        manifest_root: sealed.manifest_root,
        min_assurance: sealed.min_assurance,
        jwe: signing::jose::wrap_key(data_key.expose(), &info.import_jwk, &bound)?,
        at: now,
    };
    hand_over(kms, "/v1/keys", &signing::sign(&document, key, now)?, &sealed.key_id)
}

/// Sends a signed import of a key; refused unless the service says that it took this very key.
pub(crate) fn hand_over<T: serde::Serialize>(kms: &Kms, path: &str, import: &Envelope<T>, key_id: &DataKeyId) -> R<()> {
    let request = kms.post(path).body(canonical::to_bytes(import)?);
    let answer: serde_json::Value = call(request, &kms.url)?;
    match answer.get("key_id").and_then(|k| k.as_str()) {
        Some(id) if id == key_id.as_str() => Ok(()),
        _ => Err(Refusal::new(Code::PeerFault, "the key service took the key under another id")),
    }
}

/// An HTTP client that follows no redirect; refuses plain HTTP beyond loopback.
pub(crate) fn http(url: &str, what: &str) -> R<Http> {
    http_trusting(url, what, None)
}

/// [`http`] that takes certificates of these authorities only (PEM), in place of the machine's.
pub(crate) fn http_trusting(url: &str, what: &str, ca_pem: Option<&[u8]>) -> R<Http> {
    let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("{what}: {why}"));
    let parsed = reqwest::Url::parse(url).map_err(|_| bad("not a URL"))?;
    let loopback = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback) {
        return Err(bad("https is needed; plain http only on loopback"));
    }
    let builder = Http::builder().connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(120));
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    let builder = if loopback { builder.no_proxy() } else { builder };
    let builder = match ca_pem {
        Some(pem) => builder.tls_certs_only(
            Certificate::from_pem_bundle(pem).map_err(|_| bad("the file of authorities holds no PEM certificate"))?,
        ),
        None => builder,
    };
    builder.build().map_err(|_| bad("no HTTP client could be made"))
}

/// One call; a problem document becomes its refusal.
pub(crate) fn call<T: DeserializeOwned>(request: RequestBuilder, url: &str) -> R<T> {
    let unreachable =
        || Refusal::new(Code::PeerUnreachable, format!("{url} cannot be reached; check that it runs and the address"));
    let response = request.send().map_err(|_| unreachable())?;
    let status = response.status();
    let mut body = Vec::new();
    response.take(MAX_ANSWER + 1).read_to_end(&mut body).map_err(|_| unreachable())?;
    let fault = |why: String| Refusal::new(Code::PeerFault, format!("{url} {why}"));
    if body.len() as u64 > MAX_ANSWER {
        return Err(fault("answered with more than 8 MiB".into()));
    }
    if !status.is_success() {
        let problem: Problem =
            serde_json::from_slice(&body).map_err(|_| fault(format!("answered with status {status}")))?;
        return Err(problem.refusal());
    }
    canonical::parse(&body).map_err(|e| fault(format!("gave an answer that cannot be read: {}", e.sentence)))
}

/// The largest answer that is read.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;
