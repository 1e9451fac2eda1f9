//! Image sets: what a clean room must show itself to be; approved by two SRO people.

use std::collections::BTreeMap;

use contract_client::Client;
use schemas::desk::TwoPeople;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::text::Bytes;
use schemas::{Digest, Envelope, R, Timestamp};
use serde::{Deserialize, Serialize};
use signing::{Signer, Trust};
use uuid::Uuid;

/// What `ccr measure` and `depa ccr measure` print, of whatever kind the room is, and what `depa image-set new --pcrs` and
/// `depa kms collect` read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Whether the values are those of the software attester, for which nobody vouches.
    pub simulated: bool,
    /// The kind of evidence.
    pub evidence: EvidenceKind,
    /// SHA-256 over all measured files, of the software attester only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<Digest>,
    /// Required PCR values by index; none of a bare guest.
    pub pcrs: BTreeMap<String, Digest>,
    /// Launch measurements.
    pub measurements: Vec<Bytes>,
    /// Id key digests.
    pub id_key_digests: Vec<Bytes>,
    /// Host data of a bare guest; where a room has none it is all zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_data: Option<Digest>,
}

/// The SIMULATED values of a room with this measurement: those that the software attester shows.
#[cfg(feature = "software-attester")]
pub fn software(measurement: Digest) -> Measurement {
    Measurement {
        simulated: true,
        evidence: EvidenceKind::Software,
        measurement: Some(measurement),
        pcrs: attestation::software::image_set_pcrs(&measurement),
        measurements: vec![attestation::software::launch_measurement()],
        id_key_digests: vec![attestation::software::id_key_digest()],
        host_data: None,
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
    crate::kms::collect(name, std::slice::from_ref(measured), days, trust, id, now)
}

/// Hands in one SRO person's signature; the set is approved once a second person's arrives.
pub fn sign(client: &Client, draft: &Envelope<ImageSet>, person: &dyn Signer, now: Timestamp) -> R<TwoPeople> {
    let signature = signing::countersign(draft, person, now)?;
    client.approve_image_set(&Envelope::new(draft.payload.0.clone(), vec![signature]))
}
