//! Against a real S3 server that checks signatures and permissions (moto). NOT RUN where it is not set up.

#![allow(clippy::unwrap_used)]

#[path = "support/s3.rs"]
mod server;

use objects::{Files, Objects, PART, Patience, Store};
use schemas::{Code, R};
use serde_json::json;
use server::S3;

const MOST: u64 = 32 << 20;

fn reach(store: Store) -> Objects {
    Objects { files: Files::Below(vec![]), loopback: true, stores: vec![store], patience: Patience::default() }
}

fn put(objects: &Objects, text: &str, bytes: &[u8]) -> R<()> {
    objects.write_new(text, &mut &bytes[..], bytes.len() as u64)
}

fn code<T>(done: R<T>) -> Option<Code> {
    done.err().map(|refusal| refusal.code)
}

/// Bytes that differ everywhere.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn what_is_put_comes_back_and_is_not_replaced() {
    let Some(s3) = S3::start("what_is_put_comes_back_and_is_not_replaced") else { return };
    let objects = reach(s3.store("writer"));
    // One call; many parts on the way back; many parts on both ways.
    for (key, length) in [("small", 1000), ("d/e=1/middle", PART as usize + 1), ("large", 3 * PART as usize + 7)] {
        let (text, bytes) = (format!("s3://depa-sealed/{key}"), pattern(length));
        put(&objects, &text, &bytes).unwrap();
        assert!(objects.read(&text, MOST).unwrap() == bytes, "{key}");
        assert_eq!(code(put(&objects, &text, b"other")), Some(Code::ObjectExists), "{key}");
        assert_eq!(code(put(&objects, &text, &pattern(3 * PART as usize))), Some(Code::ObjectExists), "{key}");
        assert!(objects.read(&text, length as u64).unwrap() == bytes, "{key} at its limit");
        assert_eq!(code(objects.read(&text, length as u64 - 1)), Some(Code::LimitExceeded), "{key} above its limit");
    }
}

#[test]
fn what_is_missing_or_denied_has_its_code() {
    let Some(s3) = S3::start("what_is_missing_or_denied_has_its_code") else { return };
    let (writer, reader) = (reach(s3.store("writer")), reach(s3.store("reader")));
    put(&writer, "s3://depa-sealed/a", b"sealed").unwrap();
    assert_eq!(reader.read("s3://depa-sealed/a", MOST).unwrap(), b"sealed");
    assert_eq!(code(writer.read("s3://depa-sealed/nothing", MOST)), Some(Code::ObjectMissing));
    assert_eq!(code(reader.read("s3://depa-other/a", MOST)), Some(Code::StorageDenied));
    assert_eq!(code(put(&reader, "s3://depa-sealed/b", b"x")), Some(Code::StorageDenied));
    let wrong = reach(s3.store_with("writer", |keys| keys["secret_access_key"] = json!("0123456789abcdef")));
    assert_eq!(code(wrong.read("s3://depa-sealed/a", MOST)), Some(Code::StorageDenied));
    let unknown = reach(s3.store_with("writer", |keys| keys["access_key_id"] = json!("AKIA0000000000000000")));
    assert_eq!(code(unknown.read("s3://depa-sealed/a", MOST)), Some(Code::StorageDenied));
    let refusal = wrong.read("s3://depa-sealed/a", MOST).unwrap_err();
    assert!(!refusal.sentence.contains("0123456789abcdef"), "{refusal}");
}

#[test]
fn a_bucket_that_is_not_there_is_named_so() {
    let Some(s3) = S3::start("a_bucket_that_is_not_there_is_named_so") else { return };
    let mut store = s3.store("writer");
    store.buckets = vec!["depa-sealed-not".into()];
    assert_eq!(code(reach(store).read("s3://depa-sealed-not/a", MOST)), Some(Code::BucketMissing));
}

#[test]
fn an_object_that_changes_under_way_is_refused() {
    let Some(mut s3) = S3::start("an_object_that_changes_under_way_is_refused") else { return };
    let objects = reach(s3.store("writer"));
    let (text, bytes) = ("s3://depa-sealed/moving", pattern(2 * PART as usize));
    put(&objects, text, &bytes).unwrap();
    let mut parts = 0;
    let done = objects.read_to(text, MOST, &mut |part, size| {
        assert_eq!((part.len() as u64, size), (PART, Some(2 * PART)));
        parts += 1;
        assert_eq!(s3.does(&format!("replace moving {}", 2 * PART)), "done");
        Ok(())
    });
    assert_eq!((code(done), parts), (Some(Code::ObjectChanged), 1));
}

#[test]
fn a_presigned_address_needs_no_store_and_no_credentials() {
    let Some(mut s3) = S3::start("a_presigned_address_needs_no_store_and_no_credentials") else { return };
    let objects = reach(s3.store("writer"));
    put(&objects, "s3://depa-sealed/signed", b"sealed").unwrap();
    let address = s3.does("sign signed");
    let plain = Objects { stores: vec![], ..objects };
    assert_eq!(plain.read(&address, MOST).unwrap(), b"sealed");
    assert_eq!(code(plain.read("s3://depa-sealed/signed", MOST)), Some(Code::AddressRefused));
}
