//! Refusals as answers: `application/problem+json`, and for our own faults a fixed sentence with a reference number.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use schemas::{Code, Refusal};

/// What a peer is told when the fault is ours.
pub const OUR_FAULT: &str =
    "The service failed to answer. Nothing was decided; quote the reference number when you report it.";

/// The answer of a refusal. The cause of a fault of ours is logged here, once, and not told.
pub fn answer(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = if status == StatusCode::INTERNAL_SERVER_ERROR {
        let reference = crate::ids::token().unwrap_or_else(|_| "none".into());
        tracing::error!(reference, code = %refusal.code, cause = refusal.sentence, "a request failed by our fault");
        Refusal::new(refusal.code, OUR_FAULT).problem(Some(format!("urn:depa:fault:{reference}")))
    } else {
        tracing::debug!(code = %refusal.code, "a request was refused");
        refusal.problem(None)
    };
    let mut response = HttpResponse::build(status);
    match refusal.code {
        Code::Unauthenticated | Code::TokenReplayed => response.insert_header(("www-authenticate", "Bearer")),
        Code::RateLimited | Code::Unavailable => response.insert_header(("retry-after", "1")),
        _ => &mut response,
    };
    response.content_type("application/problem+json").json(problem)
}

/// A fault of ours.
pub fn fault(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Internal, cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody as _;

    #[test]
    fn a_fault_of_ours_shows_no_cause() {
        let response = answer(&fault("disk /srv/secret is full"));
        assert_eq!(response.status(), 500);
        let body = response.into_body().try_into_bytes().unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("secret") && text.contains("urn:depa:fault:"), "{text}");
    }
}
