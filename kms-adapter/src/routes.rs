//! The HTTP face: reads bodies strictly, hands them to the acts, writes answers. Nothing is decided here.

use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use schemas::id::{ReservationId, RunId};
use schemas::{Code, R, Refusal, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::kms::Kms;

/// Requests that carry a job bundle or evidence.
const LARGE: usize = 2 * 1024 * 1024;
/// All other requests.
const SMALL: usize = 512 * 1024;
/// A body must have come within this time.
const BODY_TIME: Duration = Duration::from_secs(20);

type Answer = Result<HttpResponse, Failure>;

/// All routes of the service. The caller adds [`Kms`] as application data.
pub fn configure(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).default_service(web::to(wrong_method));
    config
        .service(at("/v1/kms").route(web::get().to(info)))
        .service(at("/.well-known/did.json").route(web::get().to(did_document)))
        .service(at("/livez").route(web::get().to(livez)))
        .service(at("/readyz").route(web::get().to(readyz)))
        .service(at("/v1/budget").route(web::get().to(budget)))
        .service(at("/v1/keys").route(web::post().to(import)))
        .service(at("/v1/challenges").route(web::post().to(challenge)))
        .service(at("/v1/reservations").route(web::post().to(reserve)))
        .service(at("/v1/reservations/{id}/release").route(web::post().to(release)))
        .service(at("/v1/runs/{id}/renew").route(web::post().to(renew)))
        .service(at("/v1/runs/{id}/commit").route(web::post().to(commit)))
        .service(at("/v1/runs/{id}/refund").route(web::post().to(refund)))
        .default_service(web::to(not_found));
}

async fn wrong_method() -> Answer {
    Err(Refusal::new(Code::MethodNotAllowed, "this path has no such method").into())
}

async fn not_found() -> Answer {
    Err(Refusal::new(Code::NotFound, "no such path").into())
}

/// Reads a body within its limits, strictly.
async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload, limit: usize) -> Result<T, Failure> {
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
    let done = web::block(move || act(&kms).and_then(|answer| body(&answer))).await;
    let bytes = done.map_err(|_| Refusal::new(Code::Internal, "an act did not come to its end"))??;
    Ok(answer(status, bytes))
}

fn body<A: Serialize>(value: &A) -> R<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(Code::Internal, e.to_string()))
}

fn answer(status: u16, bytes: Vec<u8>) -> HttpResponse {
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

async fn import(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    act(kms, 201, move |kms| kms.import(body)).await
}

async fn challenge(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    let body = read(&request, payload, SMALL).await?;
    act(kms, 201, move |kms| kms.challenge(body)).await
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
