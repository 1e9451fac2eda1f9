//! Refusals as `application/problem+json`. A fault of ours shows a fixed sentence and a reference that the log knows.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use schemas::{Code, Refusal};

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Failure(pub Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure(refusal)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.code)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut refusal = self.0.clone();
        let mut reference = None;
        if self.status_code().is_server_error() {
            let number = uuid::Uuid::now_v7().hyphenated().to_string();
            tracing::error!(code = %refusal.code, reference = %number, cause = %refusal.sentence, "a fault of this service");
            refusal.sentence = "The key service failed; its operator finds the cause under the reference.".into();
            refusal.field = None;
            reference = Some(number);
        } else {
            tracing::info!(code = %refusal.code, field = refusal.field.as_deref(), "refused");
        }
        let body = serde_json::to_vec(&refusal.problem(reference)).unwrap_or_default();
        let mut answer = HttpResponse::build(self.status_code());
        if self.0.code == Code::RateLimited {
            answer.insert_header(("Retry-After", "10"));
        }
        answer.insert_header(("Cache-Control", "no-store")).content_type("application/problem+json").body(body)
    }
}
