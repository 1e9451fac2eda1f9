//! The header of compact JWS that are no documents: tokens, attestation results, events. `typ` keeps the kinds apart.

use schemas::id::KeyId;
use schemas::text::Bytes;
use schemas::{R, Signer, canonical};
use serde::{Deserialize, Serialize};

/// Three members and no others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub alg: String,
    pub kid: KeyId,
    pub typ: String,
}

impl Header {
    /// The first part of a compact JWS of this kind by this signer.
    pub(crate) fn part(typ: &str, signer: &dyn Signer) -> R<String> {
        let header = Header { alg: "EdDSA".into(), kid: signer.kid().clone(), typ: typ.into() };
        Ok(Bytes(canonical::to_bytes(&header)?).text())
    }
}
