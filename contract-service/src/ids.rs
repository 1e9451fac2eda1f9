//! Fresh ids and tokens. Randomness comes from the operating system, the time from the caller.

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
