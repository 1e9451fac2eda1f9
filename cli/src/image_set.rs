//! Image sets: what a clean room must show itself to be; approved by two SRO people.

use std::collections::BTreeMap;

use contract_client::Client;
use schemas::desk::TwoPeople;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::ImageSetId;
use schemas::text::Bytes;
use schemas::{Digest, Envelope, R, Timestamp};
use serde::{Deserialize, Serialize};
use signing::{FileKey, Trust};
use uuid::Uuid;

/// What `ccr measure` and `depa ccr measure` print, and what `depa image-set new --pcrs` reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Whether the values are those of the software attester, for which nobody vouches.
    pub simulated: bool,
    /// The kind of evidence.
    pub evidence: EvidenceKind,
    /// SHA-256 over all measured files.
    pub measurement: Digest,
    /// Required PCR values by index.
    pub pcrs: BTreeMap<String, Digest>,
    /// Allowed launch measurements.
    pub measurements: Vec<Bytes>,
    /// Allowed id key digests.
    pub id_key_digests: Vec<Bytes>,
}

/// The SIMULATED values of a room with this measurement: those that the software attester shows.
#[cfg(feature = "software-attester")]
pub fn software(measurement: Digest) -> Measurement {
    Measurement {
        simulated: true,
        evidence: EvidenceKind::Software,
        measurement,
        pcrs: attestation::software::image_set_pcrs(&measurement),
        measurements: vec![attestation::software::launch_measurement()],
        id_key_digests: vec![attestation::software::id_key_digest()],
    }
}

/// Drafts an image set, without a signature. `days` from now it ends.
pub fn draft(
    name: &str,
    measured: &Measurement,
    days: u32,
    trust: &Trust,
    id: Uuid,
    now: Timestamp,
) -> R<Envelope<ImageSet>> {
    let set = ImageSet {
        schema: "image-set.v1".into(),
        registry: trust.registry.clone(),
        image_set_id: ImageSetId::new(id),
        name: name.to_owned(),
        profile: measured.evidence,
        pcrs: measured.pcrs.clone(),
        measurements: measured.measurements.clone(),
        id_key_digests: measured.id_key_digests.clone(),
        host_data: None,
        valid_from: now,
        valid_to: now.plus_seconds(i64::from(days) * 86_400),
    };
    policies::registration::image_set(&set, &trust.registry, now)?;
    Envelope::draft(&set)
}

/// Hands in one SRO person's signature; the set is approved once a second person's arrives.
pub fn sign(client: &Client, draft: &Envelope<ImageSet>, person: &FileKey, now: Timestamp) -> R<TwoPeople> {
    let signature = signing::countersign(draft, person, now)?;
    client.approve_image_set(&Envelope::new(draft.payload.0.clone(), vec![signature]))
}
