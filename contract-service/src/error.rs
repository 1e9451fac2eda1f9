//! Refusals as answers: `application/problem+json`, and for our own faults a fixed sentence with a reference number.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use schemas::{Code, Refusal};

/// What a peer is told when the fault is ours.
pub const OUR_FAULT: &str =
    "The service failed to answer. Nothing was decided; quote the reference number when you report it.";

/// The answer of a refusal of the request with this number. The cause of a fault of ours is logged here, once, and not
/// told.
pub fn answer(refusal: &Refusal, request: &str) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = if status == StatusCode::INTERNAL_SERVER_ERROR {
        let reference = crate::ids::token().unwrap_or_else(|_| "none".into());
        tracing::error!(request, reference, code = %refusal.code, cause = refusal.sentence, "a request failed by our fault");
        Refusal::new(refusal.code, OUR_FAULT).problem(Some(format!("urn:depa:fault:{reference}")))
    } else {
        tracing::debug!(request, code = %refusal.code, "a request was refused");
        refusal.problem(Some(format!("urn:depa:request:{request}")))
    };
    let mut response = HttpResponse::build(status);
    match refusal.code {
        Code::Unauthenticated | Code::TokenReplayed => response.insert_header(("www-authenticate", "Bearer")),
        Code::DpopInvalid => {
            response.insert_header(("www-authenticate", "DPoP error=\"invalid_dpop_proof\", algs=\"EdDSA ES256\""))
        }
        Code::RateLimited | Code::Unavailable | Code::NotWriter | Code::ReadOnly => {
            response.insert_header(("retry-after", refusal.retry_after.unwrap_or(1).to_string()))
        }
        _ => &mut response,
    };
    response
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .content_type("application/problem+json")
        .json(problem)
}

/// A fault of ours.
pub fn fault(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Internal, cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody as _;

    fn text(response: HttpResponse) -> String {
        let body = response.into_body().try_into_bytes().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn a_fault_of_ours_shows_no_cause() {
        let response = answer(&fault("disk /srv/secret is full"), "r1");
        assert_eq!(response.status(), 500);
        let text = text(response);
        assert!(!text.contains("secret") && text.contains("urn:depa:fault:"), "{text}");
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let told = |refusal: Refusal| answer(&refusal, "r1").headers().get("retry-after").cloned();
        let busy = || Refusal::new(Code::RateLimited, "too often");
        assert_eq!(told(busy()).unwrap(), "1");
        assert_eq!(told(busy().after(7)).unwrap(), "7");
        assert_eq!(told(Refusal::new(Code::NotFound, "no")), None);
    }

    #[test]
    fn a_refusal_names_its_request() {
        let text = text(answer(&Refusal::new(Code::NotFound, "no"), "r1"));
        assert!(text.contains("\"instance\":\"urn:depa:request:r1\""), "{text}");
    }
}
