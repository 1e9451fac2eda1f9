//! What a participant pins: the registry's key and the SRO people. Compared once, out of band; then kept in a file.

use std::path::Path;

use contract_client::Client;
use schemas::lineage::LogLineage;
use schemas::{Digest, R, canonical};
use serde::Serialize;
use signing::{Trust, note};

use crate::edge;

/// What two people read to each other over the telephone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fingerprints {
    /// The registry.
    pub registry: String,
    /// Thumbprint of its key.
    pub registry_key: String,
    /// Origin of the log.
    pub origin: String,
    /// Names of the SRO people with the thumbprints of their keys.
    pub sro: Vec<(String, String)>,
    /// SHA-256 of all of it.
    pub sha256: Digest,
}

/// Fetches what the service says about itself. Worth no more than the connection until the fingerprints are compared.
pub fn fetch(client: &Client) -> R<Trust> {
    client.trust()
}

/// Keeps it in a new file.
pub fn save(trust: &Trust, out: &Path) -> R<()> {
    edge::write_json(out, trust)
}

/// Reads a trust file and, where it lies beside it, the lineage of the log's keys.
pub fn load(path: &Path) -> R<Trust> {
    Trust::load(path)
}

/// The trust under which a checkpoint note of this service counts: as it is, or by the lineage of the log's keys that the
/// service shows. A lineage that does not follow from what is pinned is refused with its own code.
pub fn for_note(client: &Client, trust: &Trust, text: &str) -> R<Trust> {
    let Err(refusal) = note::verify_checkpoint(text, &trust.origin, trust) else { return Ok(trust.clone()) };
    let Ok(lineage) = client.log_keys() else { return Err(refusal) };
    if lineage.is_plain() {
        return Err(refusal);
    }
    let followed = trust.following(&lineage)?;
    note::verify_checkpoint(text, &followed.origin, &followed)?;
    Ok(followed)
}

/// Fetches the lineage of the log's keys, which must follow from what is pinned.
pub fn lineage(client: &Client, trust: &Trust) -> R<LogLineage> {
    let lineage = client.log_keys()?;
    trust.following(&lineage)?;
    Ok(lineage)
}

/// The fingerprints of a trust file.
pub fn fingerprints(trust: &Trust) -> R<Fingerprints> {
    Ok(Fingerprints {
        registry: trust.registry.to_string(),
        registry_key: trust.registry_jwk.thumbprint(),
        origin: trust.origin.clone(),
        sro: trust.sro.iter().map(|p| (p.name.clone(), p.jwk.thumbprint())).collect(),
        sha256: Digest::of(&canonical::to_bytes(trust)?),
    })
}
