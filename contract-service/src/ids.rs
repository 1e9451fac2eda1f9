//! Fresh ids and tokens. Randomness comes from the operating system, the time from the caller.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use schemas::text::Bytes;
use schemas::{R, Timestamp};

/// A UUIDv7 of this time.
pub fn uuid(now: Timestamp) -> R<uuid::Uuid> {
    let millis = u64::try_from(now.micros() / 1000).unwrap_or_default();
    let random = signing::signer::random::<10>()?;
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// 24 random bytes, base64url.
pub fn token() -> R<String> {
    Ok(Bytes(signing::signer::random::<24>()?.to_vec()).text())
}

/// The number of a request: a random number of this process and a count; unique enough for a log, and cheap.
pub fn request() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| signing::signer::random::<8>().map(u64::from_be_bytes).unwrap_or_default());
    format!("{start:016x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
