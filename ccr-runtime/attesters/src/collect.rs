//! Capture of reference values: what a known-good machine is now, in the words of an image set.
//!
//! Nobody vouches for the values here. Two people of the SRO who know the machine sign them as an image set; what an
//! unknown machine shows must never become one.

use std::collections::BTreeMap;

use attestation::shown;
use schemas::Digest;
use schemas::evidence::EvidenceKind;
use schemas::problem::R;
use schemas::text::Bytes;

use crate::vtpm::failed;

/// The PCRs that an image set names: boot application, secure boot, command line, kernel image, command line overrides.
const NAMED: [usize; 5] = [4, 7, 9, 11, 12];

/// Values for an image set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReferenceValues {
    /// The kind of evidence that shows them.
    pub kind: EvidenceKind,
    /// PCRs 4, 7, 9, 11 and 12 by index; none of a bare guest.
    pub pcrs: BTreeMap<String, Digest>,
    /// The launch measurement.
    pub measurements: Vec<Bytes>,
    /// The digest of the id key.
    pub id_key_digests: Vec<Bytes>,
    /// The host data of a bare guest.
    pub host_data: Option<Digest>,
}

/// Values of a machine with a vTPM. The host data of a paravisor says nothing of ours and is left out.
pub(crate) fn of_vtpm(kind: EvidenceKind, report: &[u8], pcrs: &[Digest]) -> R<ReferenceValues> {
    let shown = shown(kind, report)?;
    let named = NAMED.map(|index| pcrs.get(index).map(|value| (index.to_string(), *value)));
    let pcrs = named.into_iter().collect::<Option<_>>().ok_or_else(|| failed("the TPM shows too few PCRs"))?;
    let (measurements, id_key_digests) = (vec![shown.measurement], vec![shown.id_key_digest]);
    Ok(ReferenceValues { kind, pcrs, measurements, id_key_digests, host_data: None })
}

/// Values of a bare guest.
#[cfg(feature = "snp-guest-attester")]
pub(crate) fn of_guest(report: &[u8]) -> R<ReferenceValues> {
    let kind = EvidenceKind::Snp;
    let shown = shown(kind, report)?;
    let (measurements, id_key_digests) = (vec![shown.measurement], vec![shown.id_key_digest]);
    let host_data = (shown.host_data != Digest([0; 32])).then_some(shown.host_data);
    Ok(ReferenceValues { kind, pcrs: BTreeMap::new(), measurements, id_key_digests, host_data })
}
