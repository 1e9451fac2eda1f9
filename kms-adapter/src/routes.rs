//! The HTTP face: reads bodies strictly, hands them to the acts, writes answers. Nothing is decided here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use schemas::id::{ReservationId, RunId};
use schemas::own_release::{OwnReleaseCharged, OwnReleaseRequest};
use schemas::release::{
    Challenge, ChallengeRequest, KeyImport, KmsInfo, KmsReceipt, Lease, RefundRequest, Release, ReleaseRequest,
    RenewRequest, ReserveRequest, RunRequest,
};
use schemas::weights::{WeightsImport, WeightsRelease, WeightsRequest};
use schemas::{Code, Envelope, R, Refusal, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::budget::BudgetView;
use crate::error::Failure;
use crate::kbs::face;
use crate::keys::Imported;
use crate::kms::Kms;
use crate::openapi::Route;

/// Requests that carry a job bundle or evidence.
const LARGE: usize = 2 * 1024 * 1024;
/// All other requests.
const SMALL: usize = 512 * 1024;
/// A body must have come within this time.
const BODY_TIME: Duration = Duration::from_secs(20);

type Answer = Result<HttpResponse, Failure>;

/// The list of routes: what is served and what the interface's document says.
pub(crate) fn list() -> Vec<Route> {
    let mut all = vec![
        Route::get("/v1/kms", || web::get().to(info), "Its keys, provider and limits").gives::<KmsInfo>(200),
        Route::get("/.well-known/did.json", || web::get().to(did_document), "The provider's did:web document"),
        Route::get("/livez", || web::get().to(livez), "Whether it is alive"),
        Route::get("/readyz", || web::get().to(readyz), "Whether database and key backend answer"),
        Route::get("/openapi.json", || web::get().to(openapi), "This document"),
        Route::get("/v1/budget", || web::get().to(budget), "What every run was charged")
            .owner()
            .gives::<BudgetView>(200),
        Route::post::<OwnReleaseRequest>(
            "/v1/budget/releases",
            || web::post().to(charge_release),
            "Charge what the provider is about to let out itself, outside any run",
        )
        .gives::<OwnReleaseCharged>(200),
        Route::post::<Envelope<KeyImport>>("/v1/keys", || web::post().to(import), "Import a data key")
            .gives::<Imported>(201),
        Route::post::<Envelope<WeightsImport>>(
            "/v1/weights/keys",
            || web::post().to(import_weights),
            "Import the key of sealed weights",
        )
        .gives::<Imported>(201),
        Route::post::<ChallengeRequest>("/v1/challenges", || web::post().to(challenge), "A nonce that is good once")
            .gives::<Envelope<Challenge>>(201),
        Route::post::<ReserveRequest>("/v1/reservations", || web::post().to(reserve), "Hold budget; no key leaves")
            .gives::<Envelope<KmsReceipt>>(200),
        Route::post::<ReleaseRequest>(
            "/v1/reservations/{id}/release",
            || web::post().to(release),
            "The wrapped keys; the charge stands",
        )
        .gives::<Envelope<Release>>(200),
        Route::post::<RenewRequest>("/v1/runs/{id}/renew", || web::post().to(renew), "Another lease")
            .gives::<Envelope<Lease>>(200),
        Route::post::<Envelope<RunRequest>>("/v1/runs/{id}/commit", || web::post().to(commit), "Fix the only output")
            .gives::<Envelope<KmsReceipt>>(200),
        Route::post::<RefundRequest>("/v1/runs/{id}/refund", || web::post().to(refund), "Return the charge")
            .gives::<Envelope<KmsReceipt>>(200),
        Route::post::<WeightsRequest>(
            "/v1/weights/release",
            || web::post().to(release_weights),
            "The wrapped key of the weights that a job of the provider's own begins with",
        )
        .gives::<Envelope<WeightsRelease>>(200),
    ];
    all.extend(face::list());
    all
}

/// All routes of the service. The caller adds [`Kms`] as application data.
pub fn configure(config: &mut ServiceConfig) {
    for route in list() {
        config.service(web::resource(route.path).route((route.serve)()).default_service(web::to(wrong_method)));
    }
    config.default_service(web::to(not_found));
}

async fn openapi() -> Answer {
    Ok(answer(200, crate::openapi::text()?.into_bytes()))
}

async fn wrong_method(kms: Data<Kms>, request: HttpRequest) -> Answer {
    if face::is_of_face(request.path()) && !kms.config.kbs.enabled {
        return not_found().await;
    }
    Err(Refusal::new(Code::MethodNotAllowed, "this path has no such method").into())
}

async fn not_found() -> Answer {
    Err(Refusal::new(Code::NotFound, "no such path").into())
}

/// Reads a body within its limits, strictly.
pub(crate) async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
) -> Result<T, Failure> {
    let media = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if media.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Refusal::new(Code::MediaType, "application/json is expected").into());
    }
    let bytes = actix_web::rt::time::timeout(BODY_TIME, payload.to_bytes_limited(limit)).await;
    let bytes = bytes.map_err(|_| Refusal::new(Code::Timeout, "the body did not come in time"))?;
    let too_large = |_| Refusal::new(Code::BodyTooLarge, format!("a body has at most {limit} bytes here"));
    let broken = |_| Refusal::new(Code::MalformedJson, "the body broke off");
    let bytes = bytes.map_err(too_large)?.map_err(broken)?;
    Ok(canonical::parse(&bytes)?)
}

/// Runs an act beside the event loop and writes what it gave.
async fn act<A: Serialize + Send + 'static>(
    kms: Data<Kms>,
    status: u16,
    act: impl FnOnce(&Kms) -> R<A> + Send + 'static,
) -> Answer {
    let span = telemetry::carried();
    let work = move || {
        let _in = span.enter();
        act(&kms).and_then(|answer| body(&answer))
    };
    let done = web::block(work).await;
    let bytes = done.map_err(|_| Refusal::new(Code::Internal, "an act did not come to its end"))??;
    Ok(answer(status, bytes))
}

pub(crate) fn body<A: Serialize>(value: &A) -> R<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(Code::Internal, e.to_string()))
}

pub(crate) fn answer(status: u16, bytes: Vec<u8>) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::OK);
    HttpResponse::build(status)
        .insert_header(("Cache-Control", "no-store"))
        .content_type("application/json")
        .body(bytes)
}

async fn info(kms: Data<Kms>) -> Answer {
    Ok(answer(200, body(&kms.info())?))
}

async fn did_document(kms: Data<Kms>) -> Answer {
    Ok(answer(200, body(&kms.did_document()?)?))
}

async fn livez() -> Answer {
    Ok(answer(200, br#"{"status":"alive"}"#.to_vec()))
}

async fn readyz(kms: Data<Kms>) -> Answer {
    act(kms, 200, |kms| kms.ready().map(|()| serde_json::json!({"status": "ready"}))).await
}

async fn budget(kms: Data<Kms>, request: HttpRequest) -> Answer {
    let header = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    act(kms, 200, move |kms| kms.budget(&token)).await
}

async fn charge_release(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, LARGE).await?;
    act(kms, 200, move |kms| kms.charge_release(body)).await
}

async fn import(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    act(kms, 201, move |kms| kms.import(body)).await
}

async fn import_weights(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    act(kms, 201, move |kms| kms.import_weights(body)).await
}

async fn release_weights(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, LARGE).await?;
    act(kms, 200, move |kms| kms.release_weights(body)).await
}

async fn challenge(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    kms.limits.take(caller(&kms, &request))?;
    let body = read(&request, payload, SMALL).await?;
    act(kms, 201, move |kms| kms.challenge(body)).await
}

/// Who calls: the peer, or whom the proxy in front names last.
pub(crate) fn caller(kms: &Kms, request: &HttpRequest) -> Option<IpAddr> {
    if !kms.config.proxied {
        return request.peer_addr().map(|peer| peer.ip());
    }
    let told = request.headers().get_all("x-forwarded-for").last().and_then(|value| value.to_str().ok());
    told.and_then(named_last)
}

/// The last element of an `X-Forwarded-For`: an address, with or without the port that some proxies add.
fn named_last(list: &str) -> Option<IpAddr> {
    let last = list.rsplit(',').next()?.trim();
    let bare = last.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(last);
    bare.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

async fn reserve(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, LARGE).await?;
    act(kms, 200, move |kms| kms.reserve(body)).await
}

async fn release(kms: Data<Kms>, id: Path<String>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, LARGE).await?;
    let id = ReservationId::parse(&id)?;
    act(kms, 200, move |kms| kms.release(&id, body)).await
}

async fn renew(kms: Data<Kms>, id: Path<String>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, LARGE).await?;
    let id = RunId::parse(&id)?;
    act(kms, 200, move |kms| kms.renew(&id, body)).await
}

async fn commit(kms: Data<Kms>, id: Path<String>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    let id = RunId::parse(&id)?;
    act(kms, 200, move |kms| kms.commit(&id, body)).await
}

async fn refund(kms: Data<Kms>, id: Path<String>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    let id = RunId::parse(&id)?;
    act(kms, 200, move |kms| kms.refund(&id, body)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_is_read_with_and_without_a_port() {
        let read = |list: &str| named_last(list).map(|ip| ip.to_string());
        for (list, last) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("203.0.113.9, 192.0.2.1:4711", "192.0.2.1"),
            ("203.0.113.9,2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
        ] {
            assert_eq!(read(list).as_deref(), Some(last), "{list}");
        }
        for list in ["", "192.0.2.1,", "unknown", "192.0.2.1:port", "_hidden", "[192.0.2.1"] {
            assert_eq!(read(list), None, "{list}");
        }
    }
}
