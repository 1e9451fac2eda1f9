//! Small questions of form that many rules ask: names, tokens, lengths, addresses.

use std::collections::BTreeSet;

use schemas::bucket::BucketAddress;
use schemas::digest::Digest;
use schemas::problem::{Code, R, Refusal};
use schemas::rules::PURPOSES;
use schemas::time::Timestamp;

/// Refuses unless `ok`.
pub(crate) fn ensure(ok: bool, code: Code, field: &str, sentence: impl Into<String>) -> R<()> {
    if ok { Ok(()) } else { Err(Refusal::new(code, sentence).at(field)) }
}

/// Whether this names a column, a handle or a stage: `[A-Za-z_][A-Za-z0-9_]{0,63}`.
pub(crate) fn is_name(text: &str) -> bool {
    let head = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    head && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether this is `[a-z0-9_-]{1,32}`.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}

/// Two upper-case letters, as in ISO 3166.
pub(crate) fn country(code: &str, field: &str) -> R<()> {
    let ok = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    ensure(ok, Code::SchemaMismatch, field, "A country is two upper-case letters, as in ISO 3166.")
}

/// One to `most` characters, none of them a control character other than a line break.
pub(crate) fn text(text: &str, most: usize, field: &str) -> R<()> {
    let length = text.chars().count();
    let sentence = format!("Between 1 and {most} characters are expected, not {length}.");
    ensure((1..=most).contains(&length), Code::LimitExceeded, field, sentence)?;
    let plain = text.chars().all(|c| !c.is_control() || c == '\n');
    ensure(plain, Code::SchemaMismatch, field, "Control characters are not allowed in text.")
}

/// Between 1 and `most` of something.
pub(crate) fn count(items: usize, most: usize, field: &str) -> R<()> {
    let sentence = format!("Between 1 and {most} entries are expected, not {items}.");
    ensure((1..=most).contains(&items), Code::LimitExceeded, field, sentence)
}

/// Whether no item stands twice.
pub(crate) fn unique<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}

/// At least one purpose of the vocabulary, each once.
pub(crate) fn purposes(purposes: &[String], field: &str) -> R<()> {
    let known = purposes.iter().all(|purpose| PURPOSES.contains(&purpose.as_str()));
    let sentence = format!("At least one of these purposes is named, each once: {}.", PURPOSES.join(", "));
    ensure(!purposes.is_empty() && known && unique(purposes), Code::PurposeNotAllowed, field, sentence)
}

/// At most 8 rules documents, in ascending order, each once.
pub(crate) fn rules(rules: &[Digest], field: &str) -> R<()> {
    ensure(rules.len() <= 8, Code::LimitExceeded, field, "At most 8 rules documents are named.")?;
    let sentence = "Rules documents are named in ascending order, each once.";
    ensure(rules.is_sorted() && unique(rules), Code::SchemaMismatch, field, sentence)
}

/// A document's own time must not lie ahead of ours by more than clocks differ.
pub(crate) fn written(at: Timestamp, now: Timestamp, field: &str) -> R<()> {
    let sentence = format!("The document says it was written at {at}, which lies ahead.");
    ensure(at.seconds_since(now) <= SKEW_SECONDS, Code::SchemaMismatch, field, sentence)
}

/// Whether this is the base URL of a service: `https:`, or `http:` on loopback; no trailing slash, user, query.
pub(crate) fn is_service_url(url: &str) -> bool {
    is_web(url) && !url.ends_with('/') && !url.contains(['?', '#'])
}

/// Whether a sealed object may lie here: `file:///…`, a web address, or a bucket's ([`BucketAddress`]).
pub(crate) fn is_object_url(url: &str) -> bool {
    match url.strip_prefix("file:///") {
        Some(path) => {
            let local = !path.is_empty() && !path.split('/').any(|part| part == "..");
            local && is_plain(url) && !url.contains(['?', '#'])
        }
        None => is_web_object(url) || BucketAddress::parse(url).is_some(),
    }
}

/// Whether a room may put its output below this address. A name of its own choice comes after it (`/run_<uuid>.sealed`):
/// there must be room for that, and no query or fragment that would swallow it.
pub(crate) fn is_folder_url(url: &str) -> bool {
    let named = format!("{}/{}", url.trim_end_matches('/'), "x".repeat(48));
    is_object_url(&named) && !url.contains(['?', '#'])
}

/// Whether people can fetch it: a web address as for services, with path and query.
pub(crate) fn is_web_object(url: &str) -> bool {
    is_web(url) && !url.contains('#')
}

fn is_web(url: &str) -> bool {
    let (rest, secure) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    let loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    is_plain(url) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0)) && (loopback || (secure && named))
}

fn is_plain(url: &str) -> bool {
    url.len() <= 1024 && url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

/// How far clocks of different houses may differ.
pub(crate) const SKEW_SECONDS: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_loopback() {
        for good in [
            "https://kms.example",
            "https://kms.example:8443/a",
            "http://127.0.0.1:1",
            "http://localhost:80",
            "http://[::1]:9",
        ] {
            assert!(is_service_url(good), "{good}");
        }
        for bad in [
            "http://kms.example",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "https://a@b",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a?x",
            "https://a#x",
            "https://a:0",
            "https://a:99999",
            "https://a b",
            "file:///x",
            "",
        ] {
            assert!(!is_service_url(bad), "{bad}");
        }
    }

    #[test]
    fn objects_lie_in_files_or_on_the_web() {
        assert!(is_object_url("file:///srv/a.depa") && is_object_url("https://blob.example/a?sig=1"));
        for bad in ["file://host/a", "file:///", "file:///srv/../etc/passwd", "http://blob.example/a", "https://a/b#c"]
        {
            assert!(!is_object_url(bad), "{bad}");
        }
    }

    #[test]
    fn objects_lie_in_buckets_too_and_samples_for_people_do_not() {
        for good in [
            "s3://depa-sealed/a",
            "gs://depa-sealed/a/b",
            "az://depa-sealed/a",
            "abfss://sealed@acct.dfs.core.windows.net/a",
        ] {
            assert!(is_object_url(good) && !is_web_object(good), "{good}");
        }
        for bad in ["s3://depa-sealed", "s3://depa-sealed/../a", "s3://depa-sealed/a?b", "s3://k:s@depa-sealed/a"] {
            assert!(!is_object_url(bad), "{bad}");
        }
        assert!(is_web_object("https://blob.example/a?sig=1") && !is_web_object("file:///srv/a.depa"));
    }

    #[test]
    fn names_are_short_and_ascii() {
        assert!(is_name("_a9") && is_name(&"a".repeat(64)));
        for bad in ["", "9a", "a-b", "a b", "ä", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_token("per-run_1") && !is_token("") && !is_token("A") && !is_token(&"a".repeat(33)));
    }
}
