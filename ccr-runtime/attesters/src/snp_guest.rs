//! A bare SEV-SNP guest: reports by `/dev/sev-guest`, user data straight in the report. There is no vTPM, so nothing
//! holds the job of an earlier run: an image of this kind must not run a second `ccr` by itself.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use attestation::{Attester, binding, shown, user_data};
use schemas::evidence::{Evidence, EvidenceKind, Transcript};
use schemas::problem::R;
use schemas::text::Bytes;
use sev::firmware::guest::Firmware;
use sev::firmware::host::CertType;

use crate::certificates::{ordered, unavailable};
use crate::collect::{self, ReferenceValues};
use crate::vtpm::failed;

/// What the host hands over beside a report: VCEK or VLEK, ASK, ARK.
#[derive(Clone, Default, Debug)]
pub struct HostCertificates {
    /// VCEK or VLEK.
    pub leaf: Option<Vec<u8>>,
    /// ASK (ASVK for a VLEK).
    pub ask: Option<Vec<u8>>,
    /// ARK.
    pub ark: Option<Vec<u8>>,
}

/// What an attester asks of a guest's device.
pub trait GuestDevice: Send {
    /// A report of 1184 bytes with this data, requested at VMPL 0.
    fn report(&mut self, data: &[u8; 64]) -> R<Vec<u8>>;
    /// The certificates that the host hands over.
    fn host_certificates(&mut self) -> R<HostCertificates>;
}

/// `/dev/sev-guest`.
pub struct SevGuest;

impl GuestDevice for SevGuest {
    fn report(&mut self, data: &[u8; 64]) -> R<Vec<u8>> {
        let mut firmware = Firmware::open().map_err(|e| failed(format!("/dev/sev-guest: {e}")))?;
        firmware.get_report(None, Some(*data), Some(0)).map_err(failed)
    }

    fn host_certificates(&mut self) -> R<HostCertificates> {
        let mut firmware = Firmware::open().map_err(|e| failed(format!("/dev/sev-guest: {e}")))?;
        let (_, table) = firmware.get_ext_report(None, Some([0; 64]), Some(0)).map_err(failed)?;
        let mut found = HostCertificates::default();
        for entry in table.unwrap_or_default() {
            let place = match entry.cert_type {
                CertType::VCEK | CertType::VLEK => &mut found.leaf,
                CertType::ASK => &mut found.ask,
                CertType::ARK => &mut found.ark,
                _ => continue,
            };
            *place = Some(entry.data);
        }
        Ok(found)
    }
}

/// Shows reports of a bare guest.
pub struct SnpGuestAttester<D> {
    certificates: Vec<Bytes>,
    device: Mutex<D>,
}

/// An attester of this guest. Certificates come from a folder (`vcek`, `ask`, `ark`, each `.der` or `.pem`) where one is
/// given, and from the host otherwise.
pub fn open(certificates: Option<&Path>) -> R<SnpGuestAttester<SevGuest>> {
    SnpGuestAttester::new(SevGuest, certificates)
}

impl<D: GuestDevice> SnpGuestAttester<D> {
    /// An attester over a device.
    pub fn new(mut device: D, folder: Option<&Path>) -> R<SnpGuestAttester<D>> {
        let certificates = match folder {
            Some(folder) => {
                let [leaf, ask, ark] = ["vcek", "ask", "ark"].map(|name| file(folder, name));
                ordered(&leaf?, &[&ask?, &ark?])?
            }
            None => {
                let HostCertificates { leaf, ask, ark } = device.host_certificates()?;
                let missing = || unavailable("the host hands over none; give a folder");
                ordered(&leaf.ok_or_else(missing)?, &[&ask.ok_or_else(missing)?, &ark.ok_or_else(missing)?])?
            }
        };
        Ok(SnpGuestAttester { certificates, device: Mutex::new(device) })
    }

    /// What this guest is now, as values for an image set.
    pub fn collect(&self) -> R<ReferenceValues> {
        collect::of_guest(&self.report(&[0; 64])?)
    }

    /// A report that carries this data.
    fn report(&self, data: &[u8; 64]) -> R<Vec<u8>> {
        let mut device = self.device.lock().map_err(|_| failed("an earlier use of the device did not end"))?;
        let report = device.report(data)?;
        if shown(EvidenceKind::Snp, &report)?.user_data != data {
            return Err(failed("the report carries other data"));
        }
        Ok(report)
    }
}

impl<D: GuestDevice> Attester for SnpGuestAttester<D> {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::Snp
    }

    fn attest(&self, transcript: &Transcript) -> R<Evidence> {
        let report = self.report(&user_data(&binding(transcript)?))?;
        Ok(Evidence {
            kind: EvidenceKind::Snp,
            report: Bytes(report),
            quote: None,
            certificates: self.certificates.clone(),
            ak_certificate: None,
        })
    }
}

fn file(folder: &Path, name: &str) -> R<Vec<u8>> {
    let paths: [PathBuf; 2] = ["der", "pem"].map(|form| folder.join(format!("{name}.{form}")));
    let found = paths.iter().find_map(|path| std::fs::read(path).ok());
    found.ok_or_else(|| unavailable(format!("{name} is missing in the folder")))
}
