//! The face's routes: reads what the protocol has, hands it to the acts, writes answers. Nothing is decided here.

use actix_web::http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use schemas::id::{ContractId, DatasetId};
use schemas::{Code, R, Refusal};
use serde::Serialize;
use serde_json::Value;

use super::fetch::Wanted;
use super::refused::Refused;
use super::session::Credential;
use super::wire::{AttestAnswer, AttestRequest, AuthRequest, GuestChallenge, Papers, PapersTaken, Resource};
use crate::error::Failure;
use crate::kms::Kms;
use crate::openapi::Route;
use crate::routes::{answer, body, caller, read};

/// A request for a challenge.
const SMALL: usize = 16 * 1024;
/// Evidence, which has at most 64 KiB as we write it, in hexadecimal and base64; and init-data.
const EVIDENCE: usize = 256 * 1024;
/// A job bundle.
const LARGE: usize = 2 * 1024 * 1024;

const COOKIE_NAME: &str = "kbs-session-id";

type Answer = Result<HttpResponse, Refused>;

/// The routes, for the list of all.
pub(crate) fn list() -> Vec<Route> {
    vec![
        Route::post::<AuthRequest>("/kbs/v0/auth", || web::post().to(auth), "KBS protocol: a challenge")
            .gives::<GuestChallenge>(200)
            .guest(),
        Route::post::<AttestRequest>("/kbs/v0/attest", || web::post().to(attest), "KBS protocol: evidence")
            .gives::<AttestAnswer>(200)
            .guest(),
        Route::get(
            "/kbs/v0/resource/{contract_id}/{dataset_id}/{key_version}",
            || web::get().to(resource),
            "KBS protocol: a dataset's key, at the price of all that is left of its clause",
        )
        .gives::<Resource>(200)
        .guest(),
        Route::post::<Papers>("/v1/kbs/papers", || web::post().to(papers), "What stock guests cannot carry")
            .gives::<PapersTaken>(200)
            .owner(),
    ]
}

/// Whether this path is the face's.
pub(crate) fn is_of_face(path: &str) -> bool {
    path.starts_with("/kbs/") || path.starts_with("/v1/kbs/")
}

fn switched_on(kms: &Kms) -> Result<(), Failure> {
    if kms.config.kbs.enabled { Ok(()) } else { Err(Refusal::new(Code::NotFound, "no such path").into()) }
}

/// Runs an act beside the event loop.
async fn act<A: Serialize + Send + 'static>(
    kms: Data<Kms>,
    act: impl FnOnce(&Kms) -> R<A> + Send + 'static,
) -> R<Vec<u8>> {
    let span = telemetry::carried();
    let work = move || {
        let _in = span.enter();
        act(&kms).and_then(|answer| body(&answer))
    };
    let done = web::block(work).await;
    done.map_err(|_| Refusal::new(Code::Internal, "an act did not come to its end"))?
}

async fn auth(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    switched_on(&kms).map_err(Refused::Off)?;
    kms.limits.take(caller(&kms, &request))?;
    let asked: AuthRequest = read(&request, payload, SMALL).await?;
    let (cookie, challenge) = kms.kbs_auth(&asked)?;
    let secure = if kms.config.url.starts_with("https:") { "; Secure" } else { "" };
    let seconds = kms.config.kbs.session_seconds;
    let set = format!("{COOKIE_NAME}={cookie}; Path=/kbs/v0; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut told = answer(200, body(&challenge)?);
    let set = set.parse().map_err(|_| Refusal::new(Code::Internal, "a cookie could not be written"))?;
    told.headers_mut().insert(SET_COOKIE, set);
    Ok(told)
}

async fn attest(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Answer {
    switched_on(&kms).map_err(Refused::Off)?;
    let cookie = cookie(&request).ok_or_else(no_session)?;
    let shown = read(&request, payload, EVIDENCE).await?;
    Ok(answer(200, act(kms, move |kms| kms.kbs_attest(&cookie, shown)).await?))
}

async fn resource(kms: Data<Kms>, path: Path<(String, String, String)>, request: HttpRequest) -> Answer {
    switched_on(&kms).map_err(Refused::Off)?;
    let credential = credential(&kms, &request)?;
    let (contract_id, dataset_id, version) = path.into_inner();
    let version = version.parse::<u32>().ok().filter(|n| n.to_string() == version);
    let wanted = Wanted {
        contract_id: ContractId::parse(&contract_id)?,
        dataset_id: DatasetId::parse(&dataset_id)?,
        version: version.ok_or_else(|| Refusal::new(Code::MalformedId, "a version is a whole number"))?,
    };
    Ok(answer(200, act(kms, move |kms| kms.kbs_fetch(&credential, &wanted)).await?))
}

async fn papers(kms: Data<Kms>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Failure> {
    switched_on(&kms)?;
    let token = bearer(&request).unwrap_or_default().to_owned();
    let brought: Papers = read(&request, payload, LARGE).await?;
    Ok(answer(200, act(kms, move |kms| kms.kbs_papers(&token, brought)).await?))
}

fn no_session() -> Refusal {
    Refusal::new(Code::KbsSessionUnknown, "no session; ask for a challenge")
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok())?.strip_prefix("Bearer ")
}

/// The session's cookie; none where two are named.
fn cookie(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all(COOKIE).filter_map(|v| v.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned());
    ours.next().filter(|_| ours.next().is_none())
}

/// A token of this service, or the cookie.
fn credential(kms: &Kms, request: &HttpRequest) -> R<Credential> {
    let Some(token) = bearer(request) else {
        return cookie(request).map(Credential::Session).ok_or_else(no_session);
    };
    let claims = kms.kbs_token(token)?;
    let jti = claims.get("jti").and_then(Value::as_str).ok_or_else(no_session)?;
    Ok(Credential::Token(jti.to_owned()))
}
