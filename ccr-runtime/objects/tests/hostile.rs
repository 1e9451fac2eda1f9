//! Storage that misbehaves, one way at a time: each has its own code, and none is followed anywhere.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "support/storage.rs"]
mod storage;

use std::time::Duration;

use objects::{Files, Objects, PART, Patience, Store};
use schemas::bucket::BucketKind;
use schemas::{Code, R};
use storage::{Call, Storage};

fn store(endpoint: &str) -> Store {
    Store {
        kind: BucketKind::S3,
        buckets: vec!["depa-sealed".into()],
        account: None,
        region: Some("ap-south-1".into()),
        endpoint: Some(endpoint.to_owned()),
        credentials: None,
        anonymous: true,
        instance: false,
        prefix: None,
        only: None,
    }
}

fn reach(endpoint: &str) -> Objects {
    let patience =
        Patience { whole: Duration::from_secs(3), idle: Duration::from_millis(400), pause: Duration::from_millis(1) };
    Objects { files: Files::Below(vec![]), loopback: true, stores: vec![store(endpoint)], patience }
}

const OBJECT: &str = "s3://depa-sealed/a";

fn code<T>(done: R<T>) -> Option<Code> {
    done.err().map(|refusal| refusal.code)
}

/// A part of an object of `size` bytes under an ETag.
fn part(from: u64, sent: &[u8], size: u64, tag: &str) -> Vec<u8> {
    let to = from + sent.len() as u64 - 1;
    let answer = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{to}/{size}\r\nETag: \"{tag}\"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n",
        sent.len()
    );
    [answer.into_bytes(), sent.to_vec()].concat()
}

fn error(status: &str, code: &str, more: &str) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_redirect_to_another_host_is_not_followed() {
    let other = Storage::start(|_| vec![]);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = error(status, "", &format!("Location: {}/depa-sealed/a\r\n", other.url));
        let storage = Storage::start(move |_| answer.clone());
        let objects = reach(&storage.url);
        assert_eq!(code(objects.read(OBJECT, 100)), Some(Code::StorageRedirect), "{status}");
        assert_eq!(code(objects.write_new(OBJECT, &mut &b"x"[..], 1)), Some(Code::StorageRedirect), "{status}");
        assert_eq!(code(objects.read(&format!("{}/a", storage.url), 100)), Some(Code::StorageRedirect), "{status}");
    }
    assert_eq!(other.calls().len(), 0);
}

#[test]
fn another_region_is_said_so() {
    let region = "x-amz-bucket-region: eu-west-1\r\n";
    for answer in [
        error("301 Moved Permanently", "PermanentRedirect", region),
        error("400 Bad Request", "AuthorizationHeaderMalformed", ""),
        error("400 Bad Request", "", region),
    ] {
        let storage = Storage::start(move |_| answer.clone());
        assert_eq!(code(reach(&storage.url).read(OBJECT, 100)), Some(Code::StorageRegion));
        assert_eq!(storage.calls().len(), 1);
    }
}

#[test]
fn an_object_that_changes_between_parts_is_refused() {
    let whole = vec![7; PART as usize];
    let first = part(0, &whole, PART + 5, "a");
    // Storage that keeps its conditions, and storage that does not.
    for second in [error("412 Precondition Failed", "PreconditionFailed", ""), part(PART, b"other", PART + 5, "b")] {
        let first = first.clone();
        let storage = Storage::start(move |call| if call.number == 0 { first.clone() } else { second.clone() });
        assert_eq!(code(reach(&storage.url).read(OBJECT, 2 * PART)), Some(Code::ObjectChanged));
        let calls = storage.calls();
        assert!(calls[1].to_ascii_lowercase().contains("if-match: \"a\""), "{}", calls[1]);
    }
}

#[test]
fn a_large_object_is_refused_by_what_it_says_and_by_what_comes() {
    let storage = Storage::start(|_| part(0, &[1; 100], 1 << 40, "a"));
    assert_eq!(code(reach(&storage.url).read(OBJECT, 1000)), Some(Code::PeerFault), "a range of its own choice");
    let storage = Storage::start(|_| part(0, &vec![1; PART as usize], 1 << 40, "a"));
    assert_eq!(code(reach(&storage.url).read(OBJECT, 1 << 30)), Some(Code::LimitExceeded));
    // Without a length, on the web: what comes is counted.
    let storage = Storage::start(|_| [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![1; 2000]].concat());
    let web = format!("{}/a", storage.url);
    assert_eq!(code(reach(&storage.url).read(&web, 1999)), Some(Code::LimitExceeded));
    assert_eq!(reach(&storage.url).read(&web, 2000).unwrap().len(), 2000);
}

#[test]
fn an_answer_that_goes_on_is_cut_off() {
    let head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n";
    let storage = Storage::start(move |_| [head.as_bytes().to_vec(), vec![1; 3 * PART as usize]].concat());
    assert_eq!(code(reach(&storage.url).read(OBJECT, 1 << 30)), Some(Code::PeerFault));
}

#[test]
fn a_connection_that_ends_early_is_tried_three_times_more() {
    let storage = Storage::start(|_| {
        let mut cut = part(0, &[1; 100], 100, "a");
        cut.truncate(cut.len() - 50);
        cut
    });
    let objects = reach(&storage.url);
    assert_eq!(code(objects.read(OBJECT, 1000)), Some(Code::ObjectTruncated));
    assert_eq!(storage.calls().len(), 4);
    assert_eq!(code(objects.read(&format!("{}/a", storage.url), 1000)), Some(Code::ObjectTruncated));
}

#[test]
fn a_fault_is_tried_three_times_more_and_a_refusal_never() {
    for (status, expected, calls) in [
        ("500 Internal Server Error", Code::PeerFault, 4),
        ("503 Slow Down", Code::PeerFault, 4),
        ("403 Forbidden", Code::StorageDenied, 1),
        ("404 Not Found", Code::ObjectMissing, 1),
    ] {
        let storage = Storage::start(move |_| error(status, "", ""));
        assert_eq!(code(reach(&storage.url).read(OBJECT, 1000)), Some(expected), "{status}");
        assert_eq!(storage.calls().len(), calls, "{status}");
    }
    let storage = Storage::start(|_| error("500 Internal Server Error", "", ""));
    assert_eq!(code(reach(&storage.url).write_new(OBJECT, &mut &b"x"[..], 1)), Some(Code::UploadFailed));
}

#[test]
fn silence_and_dribbling_end() {
    let silent = Storage::start(|_| vec![]);
    assert_eq!(code(reach(&silent.url).read(OBJECT, 1000)), Some(Code::Timeout));
    let dribbling = Storage::dribbling(part(0, &[1; 1000], 1000, "a"), Duration::from_millis(100));
    assert_eq!(code(reach(&dribbling.url).read(OBJECT, 1000)), Some(Code::Timeout));
    assert_eq!(code(reach(&dribbling.url).read(&format!("{}/a", dribbling.url), 1000)), Some(Code::Timeout));
    assert_eq!(code(reach("http://127.0.0.1:1").read(OBJECT, 1000)), Some(Code::PeerUnreachable));
}

#[test]
fn a_signature_in_an_address_is_never_shown() {
    let storage = Storage::start(|_| error("403 Forbidden", "", ""));
    let refusal = reach(&storage.url).read(&format!("{}/a?X-Amz-Signature=5ec2e7", storage.url), 10).unwrap_err();
    assert_eq!(refusal.code, Code::StorageDenied);
    assert!(!refusal.sentence.contains("5ec2e7"), "{refusal}");
    for bad in [
        "http://storage.example/a?sig=5ec2e7",
        "https://user:5ec2e7@storage.example/a",
        "s3://AKIA:5ec2e7@depa-sealed/a",
        "abfss://a:5ec2e7@acct.dfs.core.windows.net/a",
        "http://a.localhost/a?sig=5ec2e7",
    ] {
        let refusal = reach(&storage.url).read(bad, 10).unwrap_err();
        assert_eq!(refusal.code, Code::AddressRefused, "{bad}");
        assert!(!refusal.sentence.contains("5ec2e7"), "{refusal}");
    }
}

#[test]
fn nothing_is_called_but_what_the_configuration_lists() {
    let storage = Storage::start(|_| part(0, b"sealed", 6, "a"));
    let objects = reach(&storage.url);
    for bad in [
        "s3://depa-other/a",
        "s3://depa-sealed/../depa-other/a",
        "gs://depa-sealed/a",
        "az://depa-sealed/a",
        "https://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/a",
        "https://[fe80::1]/a",
        "https://[fd00:ec2::254]/a",
        "https://metadata.google.internal/a",
        "https://user:pass@storage.example/a",
        "ftp://storage.example/a",
        "file:///etc/passwd",
    ] {
        assert_eq!(code(objects.read(bad, 100)), Some(Code::AddressRefused), "{bad}");
        assert_eq!(code(objects.write_new(bad, &mut &b"x"[..], 1)), Some(Code::AddressRefused), "{bad}");
    }
    assert_eq!(storage.calls().len(), 0);
    assert_eq!(objects.read(OBJECT, 100).unwrap(), b"sealed");
    let asked = &storage.calls()[0];
    assert!(asked.starts_with("GET /depa-sealed/a HTTP/1.1"), "{asked}");
    assert!(!asked.to_ascii_lowercase().contains("authorization"), "{asked}");
}

/// What the room does with a sealed model: a lost answer costs no run.
#[test]
fn a_lost_answer_is_made_good_by_looking() {
    let there = |call: Call, found: &'static [u8], refusal: &str| match call.head.starts_with("PUT") {
        // The first answer is lost; later ones tell of what the first call wrote.
        true if call.number == 0 => vec![],
        true => error(refusal, "PreconditionFailed", ""),
        false => part(0, found, found.len() as u64, "a"),
    };
    let ours = Storage::start(move |call| there(call, b"sealed", "412 Precondition Failed"));
    let objects = reach(&ours.url);
    objects.write_once(OBJECT, b"sealed").unwrap();
    objects.write_once(OBJECT, b"sealed").unwrap();
    assert!(ours.calls().iter().filter(|head| head.starts_with("GET")).count() >= 2);
    let web = Storage::start(move |call| there(call, b"sealed", "412 Precondition Failed"));
    let address = format!("{}/a", web.url);
    reach(&web.url).write_once(&address, b"sealed").unwrap();
    reach(&web.url).write_once(&address, b"sealed").unwrap();
    // Another object of the same length, a longer one, and one that is not there are not ours.
    for (found, code) in [(&b"sealer"[..], Code::ObjectExists), (b"sealed and more", Code::ObjectExists)] {
        let other = Storage::start(move |call| there(Call { number: 1, ..call }, found, "412 Precondition Failed"));
        assert_eq!(reach(&other.url).write_once(OBJECT, b"sealed").err().map(|r| r.code), Some(code));
        assert_eq!(reach(&other.url).write_once(&format!("{}/a", other.url), b"sealed").unwrap_err().code, code);
    }
    let gone = Storage::start(|call| match call.head.starts_with("PUT") {
        true => error("500 Internal Server Error", "", ""),
        false => error("404 Not Found", "NoSuchKey", ""),
    });
    assert_eq!(code(reach(&gone.url).write_once(OBJECT, b"sealed")), Some(Code::UploadFailed));
}
