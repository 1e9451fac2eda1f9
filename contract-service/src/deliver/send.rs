//! One attempt: signed, sent, answered within its time. Nothing of secret, body or answer is logged.

use std::time::Duration;

use registry::{Endpoint, LeasedDelivery};
use reqwest::{Client, Url};
use schemas::{R, Timestamp};
use signing::{FileKey, webhook};

use super::judge::Told;
use crate::address::{Reach, was_refused};
use crate::error::fault;

/// What is read of a receiver's answer at most, and what is kept of it for its owner.
const ANSWER_LIMIT: usize = 64 * 1024;
const ANSWER_KEPT: usize = 512;
/// How long the rest of an answer may take after its status.
const BODY_TIME: Duration = Duration::from_secs(2);

/// What is needed to send to one endpoint: its judged address, its secrets. Debug shows none.
pub struct Target {
    url: Url,
    now: Secret,
    former: Option<(Secret, Timestamp)>,
}

struct Secret {
    text: String,
    key: FileKey,
}

impl Secret {
    fn new(endpoint: &Endpoint, secret: &[u8], seed: &[u8; 32]) -> R<Secret> {
        let secret: &[u8; 32] = secret.try_into().map_err(|_| fault("a webhook secret of another length"))?;
        Ok(Secret { text: webhook::secret_text(secret), key: FileKey::from_seed(endpoint.endpoint_id.as_str(), seed) })
    }

    fn sign(&self, id: &str, at: i64, body: &[u8]) -> R<String> {
        webhook::sign(id, at, body, &self.text, &self.key)
    }
}

impl Target {
    /// Of an endpoint; refused where its address may not be called, as when the configuration has changed since.
    pub fn of(endpoint: &Endpoint, reach: Reach, ports: &[u16]) -> R<Target> {
        let url = reach.check_hook(&endpoint.url, ports)?;
        let former = endpoint.former.as_ref();
        let former =
            former.map(|old| Ok::<_, schemas::Refusal>((Secret::new(endpoint, &old.secret, &old.seed)?, old.until)));
        Ok(Target { url, now: Secret::new(endpoint, &endpoint.secret, &endpoint.seed)?, former: former.transpose()? })
    }

    /// The `webhook-signature` header: v1 and v1a, during a rotation those of the former secret and key after them.
    fn signatures(&self, id: &str, at: Timestamp, body: &[u8]) -> R<String> {
        let own = self.now.sign(id, at.seconds(), body)?;
        match &self.former {
            Some((former, until)) if at < *until => Ok(format!("{own} {}", former.sign(id, at.seconds(), body)?)),
            _ => Ok(own),
        }
    }
}

/// Sends a delivery once; `time` is for all of it.
pub async fn send(client: &Client, target: &Target, delivery: &LeasedDelivery, at: Timestamp, time: Duration) -> Told {
    let body = delivery.payload.clone().into_bytes();
    let Ok(signatures) = target.signatures(&delivery.message_id, at, &body) else {
        return Told::silent("it could not be signed");
    };
    let request = client
        .post(target.url.clone())
        .header("content-type", "application/json")
        .header("webhook-id", &delivery.message_id)
        .header("webhook-timestamp", at.seconds().to_string())
        .header("webhook-signature", signatures)
        .body(body);
    match tokio::time::timeout(time, answered(request)).await {
        Ok(told) => told,
        Err(_) => Told::silent("no answer in time"),
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Told {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(e) if was_refused(&e) => return Told::silent("its name leads to no address that may be called"),
        Err(e) if e.is_timeout() => return Told::silent("no answer in time"),
        Err(e) if e.is_connect() => return Told::silent("no connection"),
        Err(_) => return Told::silent("the connection broke"),
    };
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).map(str::to_owned);
    // The status decides; of what follows a little is read, so that the connection can be used again. One that goes on
    // for longer is closed.
    let (mut kept, mut read) = (Vec::new(), 0);
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            kept.extend(chunk.iter().take(ANSWER_KEPT.saturating_sub(kept.len())));
            if read > ANSWER_LIMIT {
                break;
            }
        }
    };
    drop(tokio::time::timeout(BODY_TIME, reading).await);
    Told { status: Some(status), retry_after, answer: shown(&kept) }
}

/// The beginning of an answer as text that can be shown: no control characters.
fn shown(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use schemas::id::EndpointId;

    use super::*;

    /// In production a name that leads inside is called by nobody, and the endpoint's owner reads why.
    #[test]
    fn a_delivery_to_a_name_that_leads_inside_is_not_made() {
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        inside.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}/", inside.local_addr().unwrap().port());
        let now = Secret { text: webhook::secret_text(&[7; 32]), key: FileKey::from_seed("end_1", &[7; 32]) };
        let target = Target { url: Url::parse(&url).unwrap(), now, former: None };
        let (at, time) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(10));
        let delivery = LeasedDelivery {
            delivery_id: "dlv_1".into(),
            lease_token: "token".into(),
            message_id: "msg_1".into(),
            topic: "run.completed".into(),
            payload: "{}".into(),
            made_at: at,
            attempts: 0,
            history: "[]".into(),
            endpoint_id: EndpointId::new(uuid::Uuid::from_u128(1)),
        };
        let client = Reach { loopback: false }.many(time, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(send(&client, &target, &delivery, at, time));
        assert_eq!(told, Told::silent("its name leads to no address that may be called"));
        assert_eq!(inside.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn answers_are_kept_as_harmless_text() {
        assert_eq!(shown(b"  \r\n"), None);
        assert_eq!(shown(b"no\x1b[31m such\nthing\xff").as_deref(), Some("no [31m such thing\u{fffd}"));
    }
}
