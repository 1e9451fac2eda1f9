//! Refusals as the protocol has them: `{type, detail}`, the code in `type`, and outside nothing but a fixed sentence.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use schemas::Refusal;

use super::wire::ErrorInformation;
use crate::error::Failure;

/// A refusal on its way out. A face that is switched off answers as any path that does not exist.
#[derive(Debug)]
pub(crate) enum Refused {
    Off(Failure),
    Said(Refusal),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused::Said(refusal)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Said(failure.0)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Off(failure) => failure.fmt(f),
            Refused::Said(refusal) => write!(f, "{}", refusal.code),
        }
    }
}

fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Attest first, or anew.",
        403 => "The key is not released to this guest.",
        404 => "There is no such key here.",
        409 => "The key is not released now.",
        413 => "The body is too large.",
        429 => "Too many requests; come again later.",
        500.. => "The key service failed.",
        _ => "The request is not as the protocol asks.",
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self {
            Refused::Off(failure) => failure.status_code(),
            Refused::Said(refusal) => {
                StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        let Refused::Said(refusal) = self else {
            let Refused::Off(failure) = self else { return HttpResponse::NotFound().finish() };
            return failure.error_response();
        };
        let status = self.status_code();
        if status.is_server_error() {
            tracing::error!(code = %refusal.code, cause = %refusal.sentence, "a fault of this service at the KBS face");
        } else {
            tracing::info!(code = %refusal.code, field = refusal.field.as_deref(), "refused at the KBS face");
        }
        let kind = format!("urn:depa:problem:{}", refusal.code);
        let body = ErrorInformation { kind, detail: sentence(status).to_owned() };
        let mut answer = HttpResponse::build(status);
        if status == StatusCode::TOO_MANY_REQUESTS {
            answer.insert_header(("Retry-After", "10"));
        }
        answer
            .insert_header(("Cache-Control", "no-store"))
            .content_type("application/json")
            .body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
