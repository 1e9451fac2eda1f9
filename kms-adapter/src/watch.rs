//! Around every call: its span and its counts. Of what the caller sent, `traceparent` alone is read here.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Data;
use schemas::Code;

use crate::error::Failure;
use crate::kbs::refused::Refused;
use crate::kms::Kms;

/// Answers a call, in a span, and counts the answer.
pub(crate) async fn watched(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let Some(kms) = request.app_data::<Data<Kms>>().cloned() else { return next.call(request).await };
    let route = kms.route(request.match_pattern().as_deref());
    let caller = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let span = kms.tracer.call(method(request.method()), route, caller, began);
    let done = span.around(next.call(request)).await;
    let (status, code) = match &done {
        Ok(response) => (response.status().as_u16(), response.response().error().and_then(refused)),
        Err(error) => (error.as_response_error().status_code().as_u16(), refused(error)),
    };
    span.answered(status, code);
    kms.metrics.answered(route, status, code, began.elapsed());
    done
}

/// The code of a refusal that an answer carries.
fn refused(error: &Error) -> Option<Code> {
    if let Some(failure) = error.as_error::<Failure>() {
        return Some(failure.0.code);
    }
    match error.as_error::<Refused>()? {
        Refused::Off(failure) => Some(failure.0.code),
        Refused::Said(refusal) => Some(refusal.code),
    }
}

/// The method, as a word of this program.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "OTHER",
    }
}

impl Kms {
    /// The route as this program knows it, of the pattern that was matched; never the path that was called.
    fn route(&self, pattern: Option<&str>) -> &'static str {
        self.paths.iter().copied().find(|path| Some(*path) == pattern).unwrap_or("(none)")
    }
}
