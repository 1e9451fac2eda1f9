//! SIMULATED: the software attester. The same envelope, report and quote as an Azure confidential VM, under a root of
//! its own. It shows which code runs, on a machine that nobody vouches for.
//!
//! Locks: its root counts only where a demo profile pins it; every certificate carries a critical extension that no
//! ordinary verifier accepts; its assurance is `software`; the production package is built without this module.

mod measure;
mod platform;
mod root;

use openssl::pkey::{HasPublic, PKey, Private};
use openssl::rsa::Rsa;
use schemas::Digest;
use schemas::evidence::{Evidence, EvidenceKind, Quote, Transcript};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;

use crate::attester::Attester;
use crate::expected;
use crate::snp::{hcl, quote};

pub use measure::measure;
pub use platform::{id_key_digest, image_set_pcrs, launch_measurement};
pub(crate) use platform::{pcrs, report, sign_quote, sign_report, var_data};
pub use root::SoftwareRoot;

/// Shows software evidence for one measurement, with an attestation key of its own.
pub struct SoftwareAttester {
    pub(crate) root: SoftwareRoot,
    pub(crate) measurement: Digest,
    pub(crate) ak: PKey<Private>,
}

impl SoftwareAttester {
    /// An attester of the code with this measurement (PCR 11). Draws a fresh RSA-2048 attestation key.
    pub fn new(root: SoftwareRoot, measurement: Digest) -> R<SoftwareAttester> {
        let ak = PKey::from_rsa(Rsa::generate(2048).map_err(fault)?).map_err(fault)?;
        Ok(SoftwareAttester { root, measurement, ak })
    }
}

impl Attester for SoftwareAttester {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::Software
    }

    fn attest(&self, transcript: &Transcript) -> R<Evidence> {
        self.show(&expected::binding(transcript)?, expected::job_pcr(&transcript.job_sha256))
    }
}

impl SoftwareAttester {
    /// Evidence over this binding, with this value in PCR 8: what a room or a guest of others shows.
    pub fn show(&self, nonce: &[u8; 48], eighth: Digest) -> R<Evidence> {
        let report = envelope(&self.root, &self.ak, &expected::user_data(nonce))?;
        let pcrs = pcrs(&self.measurement, eighth);
        let digest = Digest::of_parts(&pcrs.iter().map(|p| p.0.as_slice()).collect::<Vec<_>>());
        let message = quote::write(nonce, quote::ALL_PCRS, &digest);
        let signature = sign_quote(&self.ak, &message)?;
        Ok(Evidence {
            kind: EvidenceKind::Software,
            report: Bytes(report),
            quote: Some(Quote {
                message: Bytes(message),
                signature: Bytes(signature),
                pcrs: pcrs.iter().map(|p| Bytes(p.0.to_vec())).collect(),
            }),
            certificates: self.root.certificates(),
            ak_certificate: None,
        })
    }
}

/// The HCL blob that the software platform shows for an attestation key and user data: runtime data, and a report that
/// binds them under the software root. About 1.9 KB, the same length for every RSA-2048 key.
pub fn envelope<K: HasPublic>(root: &SoftwareRoot, ak: &PKey<K>, user_data: &[u8; 64]) -> R<Vec<u8>> {
    let var_data = var_data(ak, user_data)?;
    let mut signed = report(root.chip_id(), var_data.as_bytes());
    sign_report(&mut signed, root.key())?;
    Ok(hcl::wrap(&signed, var_data.as_bytes()))
}

/// A failure of the cryptographic library: ours, not the peer's.
pub(crate) fn fault(e: openssl::error::ErrorStack) -> Refusal {
    Refusal::new(Code::Internal, format!("the software attester failed: {e}"))
}
