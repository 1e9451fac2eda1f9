//! May a room pass a second gate with this token? The gate is not ours (Azure secure key release asks Microsoft Azure
//! Attestation); but what it is told must be about the machine and the transcript that our own appraisal judged.

use schemas::digest::Digest;
use schemas::problem::{Code, R};
use schemas::time::Timestamp;

use crate::forms::ensure;

/// What a token says, its signature verified under the keys of the trusted instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomToken {
    /// Who issued it.
    pub issuer: String,
    /// Not before, in seconds of the epoch.
    pub from: i64,
    /// Not at or after, in seconds of the epoch.
    pub until: i64,
    /// The user data of the report that it judged.
    pub user_data: Vec<u8>,
    /// SHA-256 of the attestation key that the report names (SubjectPublicKeyInfo).
    pub ak_sha256: Option<Digest>,
}

/// How far the clocks of issuer and key service may differ, in seconds.
const SKEW: i64 = 5;

/// Was it issued by this instance, is it in its time, and is it about this room? `user_data` and `ak_sha256` are those of
/// the evidence that was appraised under the transcript; a token for another transcript has other user data, and one of
/// another machine that repeats ours has another attestation key.
pub fn room_token(
    token: &RoomToken,
    issuer: &str,
    user_data: &[u8; 64],
    ak_sha256: Option<&Digest>,
    now: Timestamp,
) -> R<()> {
    let sentence = "The token is of another attestation service than the provider trusts.";
    ensure(token.issuer == issuer, Code::MaaTokenIssuer, "maa_token", sentence)?;
    let in_time = token.from <= now.seconds().saturating_add(SKEW) && now.seconds() < token.until;
    ensure(in_time, Code::MaaTokenExpired, "maa_token", "The token is not in its time; ask for a new one.")?;
    let ours = token.user_data == user_data && ak_sha256.is_some() && token.ak_sha256.as_ref() == ak_sha256;
    ensure(ours, Code::MaaTokenMismatch, "maa_token", "The token is about another machine or transcript.")
}
