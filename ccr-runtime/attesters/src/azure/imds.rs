//! VCEK, ASK and ARK from Azure's instance metadata service. A plain HTTP call to a link-local address: what it answers
//! is not trusted, only carried; the verifier pins AMD's roots.

use std::io::Read as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use schemas::problem::R;
use schemas::text::Bytes;
use serde_json::Value;

use crate::certificates::{ordered, unavailable};

/// Certificates take about 7 KB.
const MAX_ANSWER: usize = 64 * 1024;

/// The metadata service and how patiently it is asked.
#[derive(Clone, Debug)]
pub struct Imds {
    /// Base URL.
    pub base: String,
    /// For an answer to begin, and again for it to end.
    pub timeout: Duration,
    /// Calls at most; only a service that is busy or does not answer is asked again.
    pub tries: u32,
    /// Between two calls.
    pub pause: Duration,
}

impl Default for Imds {
    fn default() -> Imds {
        let base = "http://169.254.169.254".to_owned();
        Imds { base, timeout: Duration::from_secs(5), tries: 3, pause: Duration::from_secs(1) }
    }
}

/// VCEK, ASK and ARK as DER.
pub fn certificates(imds: &Imds) -> R<Vec<Bytes>> {
    // The metadata service is never behind a proxy, and never sends elsewhere.
    let client = Client::builder().timeout(imds.timeout).no_proxy().redirect(Policy::none()).build();
    let client = client.map_err(|e| unavailable(e.without_url()))?;
    let url = format!("{}/metadata/THIM/amd/certification", imds.base);
    let mut refusal = unavailable("the metadata service was not asked");
    for attempt in 0..imds.tries {
        if attempt > 0 {
            sleep(imds.pause);
        }
        match client.get(&url).header("Metadata", "true").send() {
            Ok(answer) if answer.status().is_success() => return read(answer, Instant::now() + imds.timeout),
            Ok(answer) => {
                let status = answer.status();
                refusal = unavailable(format!("the metadata service answered {status}"));
                if status.as_u16() != 429 && !status.is_server_error() {
                    return Err(refusal);
                }
            }
            Err(e) => refusal = unavailable(format!("the metadata service does not answer: {}", e.without_url())),
        }
    }
    Err(refusal)
}

fn read(mut answer: Response, until: Instant) -> R<Vec<Bytes>> {
    let (mut body, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        // The client's time-out is of each read; a trickle would outlive it.
        if Instant::now() > until {
            return Err(unavailable("the metadata service is too slow"));
        }
        match answer.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => body.extend_from_slice(buffer.get(..len).unwrap_or_default()),
            Err(_) => return Err(unavailable("the metadata service broke off")),
        }
        if body.len() > MAX_ANSWER {
            return Err(unavailable("the metadata service answers too much"));
        }
    }
    let answer: Value =
        serde_json::from_slice(&body).map_err(|_| unavailable("the metadata service does not answer in JSON"))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().as_bytes();
    ordered(text("vcekCert"), &[text("certificateChain")])
}
