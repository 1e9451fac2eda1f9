//! What storage told us when it did not do what we asked, and the refusal that it comes to.

use std::error::Error as _;

use http::{HeaderMap, StatusCode};
use schemas::{Code, Refusal};

use crate::door::Guarded;

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// An answer that is no success: its status, and the code that the service's body or header gives.
    Answer(StatusCode, String),
    /// The bucket lies in another region than the configuration says.
    Region,
    /// A redirect. It was not followed.
    Redirect,
    /// A call to a host that the store does not name. It was not made.
    Elsewhere,
    /// A name that leads to an address that is no storage.
    Guarded,
    /// No connection.
    Unreachable,
    /// No byte for too long.
    Slow,
    /// The connection ended before the answer did.
    Cut,
    /// The answer went on after what was asked for.
    Flood,
}

/// What was being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Read,
    Write,
}

impl Told {
    /// From an answer that is no success.
    pub(crate) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Told {
        let text = String::from_utf8_lossy(body);
        let named = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let code = named.or_else(|| between(&text, "<Code>", "</Code>")).unwrap_or_default();
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let region = headers.contains_key("x-amz-bucket-region") && !status.is_server_error();
        match code.as_str() {
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => Told::Region,
            _ if region && (status.is_redirection() || status == StatusCode::BAD_REQUEST) => Told::Region,
            _ if status.is_redirection() => Told::Redirect,
            _ => Told::Answer(status, code),
        }
    }

    /// From a call that got no answer, or not all of it.
    pub(crate) fn of_transport(error: &reqwest::Error) -> Told {
        let mut source = error.source();
        while let Some(cause) = source {
            if cause.is::<Guarded>() {
                return Told::Guarded;
            }
            source = cause.source();
        }
        if error.is_timeout() {
            Told::Slow
        } else if error.is_connect() {
            Told::Unreachable
        } else {
            Told::Cut
        }
    }

    /// The refusal of an act at a place.
    pub(crate) fn refusal(&self, act: Act, place: &str) -> Refusal {
        let (code, why) = match self {
            Told::Answer(status, code) => return answered(*status, code, act, place),
            Told::Region => (Code::StorageRegion, "the bucket lies in another region than the configuration says"),
            Told::Redirect => (Code::StorageRedirect, "storage redirects, which is not followed"),
            Told::Elsewhere => (Code::StorageRedirect, "another host than the store's was about to be called"),
            Told::Guarded => (Code::AddressRefused, "the name leads to an address that is no storage"),
            Told::Unreachable => (Code::PeerUnreachable, "no connection"),
            Told::Slow => (Code::Timeout, "storage was silent for too long"),
            Told::Cut => (Code::ObjectTruncated, "the connection ended before the answer did"),
            Told::Flood => (Code::PeerFault, "the answer goes on after what was asked for"),
        };
        let code = if *self == Told::Cut && act == Act::Write { Code::UploadFailed } else { code };
        Refusal::new(code, format!("{place}: {why}"))
    }
}

/// By the service's own code, then by the status.
fn answered(status: StatusCode, code: &str, act: Act, place: &str) -> Refusal {
    let other = if act == Act::Read { Code::PeerFault } else { Code::UploadFailed };
    let (refused, why) = match (code, status.as_u16()) {
        ("NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted", _) => {
            (Code::BucketMissing, "there is no such bucket")
        }
        (_, 401 | 403) | ("InvalidAuthenticationInfo" | "AuthenticationFailed", _) => {
            (Code::StorageDenied, "storage denies it to these credentials")
        }
        (_, 404) => (Code::ObjectMissing, "there is no such object"),
        ("BlobAlreadyExists", _) | (_, 409 | 412) if act == Act::Write => {
            (Code::ObjectExists, "an object stands there already")
        }
        (_, 412) => (Code::ObjectChanged, "the object changed while it was read"),
        (_, 416) => (Code::ObjectTruncated, "the object is empty, or shorter than it was"),
        ("EntityTooLarge" | "RequestBodyTooLarge", _) | (_, 413) => {
            (Code::LimitExceeded, "storage takes no object of this size")
        }
        (_, 408 | 504) => (Code::Timeout, "storage gave up waiting"),
        _ => (other, "storage did not do it"),
    };
    let code = if code.is_empty() { String::new() } else { format!(", {code}") };
    Refusal::new(refused, format!("{place}: {why} (HTTP {}{code})", status.as_u16()))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, region: bool, body: &str, act: Act) -> Code {
        let mut headers = HeaderMap::new();
        if region {
            headers.insert("x-amz-bucket-region", http::HeaderValue::from_static("eu-west-1"));
        }
        let status = StatusCode::from_u16(status).unwrap();
        Told::of_answer(status, &headers, body.as_bytes()).refusal(act, "s3://b/k").code
    }

    #[test]
    fn each_answer_has_its_code() {
        let read = |status, body: &str| code(status, false, &format!("<Error><Code>{body}</Code></Error>"), Act::Read);
        assert_eq!(read(404, "NoSuchBucket"), Code::BucketMissing);
        assert_eq!(read(404, "ContainerNotFound"), Code::BucketMissing);
        assert_eq!(read(404, "NoSuchKey"), Code::ObjectMissing);
        assert_eq!(read(403, "SignatureDoesNotMatch"), Code::StorageDenied);
        assert_eq!(read(400, "AuthorizationHeaderMalformed"), Code::StorageRegion);
        assert_eq!(read(301, "PermanentRedirect"), Code::StorageRegion);
        assert_eq!(code(301, true, "", Act::Read), Code::StorageRegion);
        assert_eq!(code(400, true, "", Act::Read), Code::StorageRegion);
        assert_eq!(code(307, false, "", Act::Read), Code::StorageRedirect);
        assert_eq!(code(403, true, "", Act::Read), Code::StorageDenied);
        assert_eq!(read(412, "PreconditionFailed"), Code::ObjectChanged);
        assert_eq!(code(412, false, "", Act::Write), Code::ObjectExists);
        assert_eq!(code(409, false, "", Act::Write), Code::ObjectExists);
        assert_eq!(read(416, "InvalidRange"), Code::ObjectTruncated);
        assert_eq!(code(413, false, "", Act::Write), Code::LimitExceeded);
        assert_eq!(read(504, ""), Code::Timeout);
        assert_eq!(read(500, "InternalError"), Code::PeerFault);
        assert_eq!(code(500, false, "", Act::Write), Code::UploadFailed);
    }

    #[test]
    fn what_storage_says_does_not_get_into_the_sentence() {
        let body = "<Error><Code>Access\nDenied; key=AKIA</Code><Message>secret</Message></Error>";
        let told = Told::of_answer(StatusCode::FORBIDDEN, &HeaderMap::new(), body.as_bytes());
        let sentence = told.refusal(Act::Read, "s3://b/k").sentence;
        assert_eq!(sentence, "s3://b/k: storage denies it to these credentials (HTTP 403, AccessDeniedkeyAKIA)");
    }
}
