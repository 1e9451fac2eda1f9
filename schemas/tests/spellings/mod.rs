//! Digests and times have one spelling each.

use schemas::{Code, Digest, Timestamp};

#[test]
fn another_spelling_of_a_digest_is_refused() {
    let text = "0f".repeat(32);
    assert_eq!(Digest::parse(&text).unwrap().to_string(), text);
    for bad in ["", "0f", &"0F".repeat(32), &"0g".repeat(32), &"0f".repeat(33), &format!(" {}", "0f".repeat(32))] {
        assert_eq!(Digest::parse(bad).unwrap_err().code, Code::MalformedDigest, "{bad}");
    }
}

#[test]
fn another_spelling_of_a_time_is_refused() {
    let text = "2026-12-01T00:00:00Z";
    assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
    for bad in ["", "2026-12-01", "2026-12-01T00:00:00", "2026-12-01T00:00:00+00:00", "2026-13-01T00:00:00Z"] {
        assert_eq!(Timestamp::parse(bad).unwrap_err().code, Code::MalformedTime, "{bad}");
    }
}
