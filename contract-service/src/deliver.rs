//! Webhooks: what the outbox holds goes to every endpoint that listens, signed, until it is taken or given up.

use std::io::Read as _;
use std::time::Duration;

use registry::{Attempt, LeasedDelivery};
use reqwest::blocking::Client;
use schemas::{R, Timestamp};
use signing::{FileKey, webhook};

use crate::address::Reach;
use crate::app::App;

/// Deliveries taken at a time.
const BATCH: u32 = 16;
/// What is read of a receiver's answer at most.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Delivers until the service stops.
pub fn forever(app: &App) {
    let timeout = Duration::from_secs(app.config.webhooks.timeout_seconds);
    let reach = Reach { loopback: app.config.demo() };
    let client = match reach.client(timeout) {
        Ok(client) => client,
        Err(e) => return tracing::error!(cause = %e, "no webhook can be delivered"),
    };
    while !app.stopping() {
        match round(app, reach, &client) {
            Ok(0) => std::thread::sleep(Duration::from_millis(app.config.webhooks.poll_millis)),
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(code = %e.code, "the outbox cannot be read now");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// One look into the outbox; returns how many deliveries were tried.
fn round(app: &App, reach: Reach, client: &Client) -> R<usize> {
    app.registry.dispatch(app.now())?;
    // The lease outlives one attempt of every delivery in the batch, so nobody else takes one meanwhile.
    let lease = i64::try_from((app.config.webhooks.timeout_seconds + 1) * u64::from(BATCH)).unwrap_or(i64::MAX);
    let due = app.registry.lease_deliveries(BATCH, lease, app.now())?;
    for delivery in &due {
        let told = send(app, reach, client, delivery);
        let attempt = judge(&app.config.webhooks.retry_seconds, &delivery.topic, delivery.attempts, told, app.now());
        if told == Told::Gone {
            app.registry.disable_endpoint(&delivery.endpoint.endpoint_id, app.now())?;
        }
        app.registry.finish_delivery(&delivery.delivery_id, &delivery.lease_token, attempt, app.now())?;
    }
    Ok(due.len())
}

/// How a receiver took it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// 2xx.
    Taken(u16),
    /// 410: it wants no more.
    Gone,
    /// Any other answer; with the seconds it asked to wait.
    Refused(u16, Option<u32>),
    /// No answer.
    Silent,
}

fn send(app: &App, reach: Reach, client: &Client, delivery: &LeasedDelivery) -> Told {
    let at = app.now().seconds();
    let body = delivery.payload.as_bytes();
    let endpoint = &delivery.endpoint;
    let Ok(secret) = <[u8; 32]>::try_from(endpoint.secret.as_slice()) else { return Told::Silent };
    let key = FileKey::from_seed(endpoint.endpoint_id.as_str(), &endpoint.seed);
    let signed = webhook::sign(&delivery.message_id, at, body, &webhook::secret_text(&secret), &key);
    let (Ok(signature), Ok(url)) = (signed, reach.check(&endpoint.url)) else { return Told::Silent };
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &delivery.message_id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature)
        .body(body.to_vec());
    let Ok(response) = request.send() else { return Told::Silent };
    let status = response.status().as_u16();
    let wait = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    // Read a little, so that the connection can be used again.
    let _ = std::io::copy(&mut response.take(ANSWER_LIMIT), &mut std::io::sink());
    match status {
        200..=299 => Told::Taken(status),
        410 => Told::Gone,
        _ => Told::Refused(status, wait),
    }
}

/// What becomes of a delivery: done, dead after the last attempt of the schedule, or tried again later. An instruction
/// to pay is owed until it is taken: it goes on at the last pause of the schedule.
fn judge(schedule: &[u32], topic: &str, attempts: u32, told: Told, now: Timestamp) -> Attempt {
    let (status, asked) = match told {
        Told::Taken(status) => return Attempt::Delivered { status },
        Told::Gone => return Attempt::Dead { status: Some(410) },
        Told::Refused(status, wait) => (Some(status), wait.unwrap_or(0)),
        Told::Silent => (None, 0),
    };
    let next = usize::try_from(attempts).unwrap_or(usize::MAX).saturating_add(1);
    let owed = schedule.last().filter(|_| topic == "payment.instructed");
    match schedule.get(next).or(owed) {
        Some(wait) => {
            Attempt::Retry { status, not_before: now.plus_seconds(i64::from((*wait).max(asked.min(MOST_ASKED)))) }
        }
        None => Attempt::Dead { status },
    }
}

/// The longest pause that a receiver's Retry-After may ask for.
const MOST_ASKED: u32 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_follow_the_schedule_and_end() {
        let now = Timestamp::from_seconds(1000);
        let retry = |attempts, told| judge(&[0, 5, 300], "run.completed", attempts, told, now);
        assert!(matches!(retry(0, Told::Taken(204)), Attempt::Delivered { status: 204 }));
        assert!(matches!(retry(0, Told::Gone), Attempt::Dead { status: Some(410) }));
        let Attempt::Retry { status, not_before } = retry(0, Told::Refused(503, None)) else { panic!() };
        assert_eq!((status, not_before.seconds()), (Some(503), 1005));
        let Attempt::Retry { not_before, .. } = retry(1, Told::Silent) else { panic!() };
        assert_eq!(not_before.seconds(), 1300);
        let Attempt::Retry { not_before, .. } = retry(0, Told::Refused(429, Some(60))) else { panic!() };
        assert_eq!(not_before.seconds(), 1060);
        assert!(matches!(retry(2, Told::Silent), Attempt::Dead { status: None }));

        let pay = |attempts, told| judge(&[0, 5, 300], "payment.instructed", attempts, told, now);
        for attempts in [2, 3, 1_000_000] {
            let Attempt::Retry { not_before, .. } = pay(attempts, Told::Silent) else {
                panic!("a payment was given up")
            };
            assert_eq!(not_before.seconds(), 1300);
        }
        assert!(matches!(pay(2, Told::Gone), Attempt::Dead { status: Some(410) }));
    }
}
