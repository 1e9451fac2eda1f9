//! Platform data newer than what this release carries: signed by two SRO people, and never going back.

use std::path::Path;

use attestation::PlatformTable;
use schemas::platform::{PlatformData, PlatformRules};
use schemas::{Document as _, Envelope, R, Timestamp};
use signing::{Signer, Trust};

use crate::edge;

/// The rules compiled in, or those of a file if two pinned SRO people signed it and its version follows.
pub fn pinned_table(data: Option<(&Path, &Trust)>) -> R<PlatformTable> {
    let embedded = PlatformTable::embedded()?;
    let Some((path, trust)) = data else { return Ok(embedded) };
    let envelope: Envelope<PlatformData> = edge::read_json(path)?;
    let signed = signing::verify(envelope, &trust.registry, trust)?;
    trust.two_people(&signed)?;
    PlatformTable::signed(&signed, &embedded)
}

/// Adds an SRO person's signature to platform data: rules as plain JSON, or what another person signed already.
pub fn sign_data(path: &Path, trust: &Trust, person: &dyn Signer, now: Timestamp) -> R<Envelope<PlatformData>> {
    let mut envelope = match edge::read_json::<Envelope<PlatformData>>(path) {
        Ok(envelope) => envelope,
        Err(_) => {
            let rules: PlatformRules = edge::read_json(path)?;
            let (schema, registry) = (PlatformData::SCHEMA.to_owned(), trust.registry.clone());
            Envelope::draft(&PlatformData { schema, registry, rules })?
        }
    };
    envelope.signatures.push(signing::countersign(&envelope, person, now)?);
    Ok(envelope)
}
