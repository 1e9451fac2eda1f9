//! An Azure SEV-SNP confidential VM: its vTPM by `az-snp-vtpm`, its certificates by the instance metadata service.
//!
//! `az-snp-vtpm` reads `/dev/tpm0`, which root or the group `tss` may. Its own verifier is not used: it neither pins
//! AMD's roots nor compares the quote's PCR selection.

pub mod imds;

use az_snp_vtpm::vtpm;
use schemas::Digest;
use schemas::evidence::{EvidenceKind, Quote};
use schemas::problem::R;
use schemas::text::Bytes;

use crate::tpm::Tpm;
use crate::vtpm::{JOB_PCR, Patience, Vtpm, VtpmAttester, failed};

/// The machine that this process runs on.
pub struct AzureVm(Tpm);

/// An attester of this machine. Asks the metadata service for VCEK, ASK and ARK, once: they change only with a reboot.
pub fn open() -> R<VtpmAttester<AzureVm>> {
    let certificates = imds::certificates(&imds::Imds::default())?;
    Ok(VtpmAttester::new(EvidenceKind::AzureSnp, AzureVm::here(), certificates, Patience::default()))
}

impl AzureVm {
    /// This machine, whatever it is: nothing is asked of it yet.
    pub fn here() -> AzureVm {
        AzureVm(Tpm::device())
    }
}

impl Vtpm for AzureVm {
    fn report_for(&mut self, user_data: &[u8; 64]) -> R<Vec<u8>> {
        // Sleeps three seconds and reads once; the caller polls on.
        vtpm::get_report_with_report_data(user_data).map_err(failed)
    }

    fn report(&mut self) -> R<Vec<u8>> {
        vtpm::get_report().map_err(failed)
    }

    fn quote(&mut self, nonce: &[u8; 48]) -> R<Quote> {
        let quote = vtpm::get_quote(nonce).map_err(failed)?;
        Ok(Quote {
            message: Bytes(quote.message()),
            signature: Bytes(quote.signature()),
            pcrs: quote.pcrs_sha256().map(|p| Bytes(p.to_vec())).collect(),
        })
    }

    fn pcrs(&mut self) -> R<Vec<Digest>> {
        self.0.pcrs()
    }

    fn extend_job(&mut self, digest: &Digest) -> R<()> {
        vtpm::extend_pcr(JOB_PCR as u8, &digest.0).map_err(failed)
    }

    fn ak_certificate(&mut self) -> R<Option<Vec<u8>>> {
        self.0.ak_certificate()
    }
}
