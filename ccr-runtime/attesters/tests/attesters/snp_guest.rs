//! A bare guest against a fake device; the real one needs a CPU.

use attestation::{Attester as _, binding, user_data};
use attesters::snp_guest::{self, GuestDevice, HostCertificates, SnpGuestAttester};
use openssl::x509::X509;
use schemas::evidence::EvidenceKind;
use schemas::{Code, R};

use super::support::{Folder, attestation, refuses, transcript};

/// Puts the data into a recorded report, as the firmware would before it signs.
struct Device {
    report: Vec<u8>,
    stale: bool,
    certificates: HostCertificates,
}

fn vcek() -> Vec<u8> {
    std::fs::read(attestation().join("tests/data/milan-v3-trustee-v2/vcek.der")).unwrap()
}

fn amd(name: &str) -> Vec<u8> {
    let pem = std::fs::read(attestation().join("data/amd-roots").join(name)).unwrap();
    X509::from_pem(&pem).unwrap().to_der().unwrap()
}

fn device() -> Device {
    let hcl = std::fs::read(attestation().join("tests/data/milan-v3-trustee-v2/hcl.bin")).unwrap();
    let certificates =
        HostCertificates { leaf: Some(vcek()), ask: Some(amd("milan-ask.pem")), ark: Some(amd("milan-ark.pem")) };
    Device { report: hcl[32..1216].to_vec(), stale: false, certificates }
}

impl GuestDevice for Device {
    fn report(&mut self, data: &[u8; 64]) -> R<Vec<u8>> {
        let mut report = self.report.clone();
        if !self.stale {
            report[0x50..0x90].copy_from_slice(data);
        }
        Ok(report)
    }
    fn host_certificates(&mut self) -> R<HostCertificates> {
        Ok(self.certificates.clone())
    }
}

#[test]
fn a_guest_shows_a_report_with_the_binding_in_it() {
    let attester = SnpGuestAttester::new(device(), None).unwrap();
    let evidence = attester.attest(&transcript(7)).unwrap();
    let data = user_data(&binding(&transcript(7)).unwrap());
    assert_eq!(evidence.report.0[0x50..0x90], data);
    assert_eq!((evidence.kind, evidence.report.0.len()), (EvidenceKind::Snp, 1184));
    assert!(evidence.quote.is_none() && evidence.ak_certificate.is_none());
    let certificates: Vec<_> = evidence.certificates.into_iter().map(|c| c.0).collect();
    assert_eq!(certificates, [vcek(), amd("milan-ask.pem"), amd("milan-ark.pem")]);
}

#[test]
fn reference_values_of_a_guest_are_captured() {
    let values = SnpGuestAttester::new(device(), None).unwrap().collect().unwrap();
    let report = device().report;
    assert_eq!((values.kind, values.pcrs.len()), (EvidenceKind::Snp, 0));
    assert_eq!(values.measurements[0].0, report[0x90..0xc0]);
    assert_eq!(values.id_key_digests[0].0, report[0xe0..0x110]);
    assert_eq!(values.host_data, None, "zero host data names nothing");
    let mut named = device();
    named.report[0xc0..0xe0].fill(5);
    let values = SnpGuestAttester::new(named, None).unwrap().collect().unwrap();
    assert_eq!(values.host_data.unwrap().0, [5; 32]);
}

#[test]
fn a_report_with_other_data_is_refused() {
    let attester = SnpGuestAttester::new(Device { stale: true, ..device() }, None).unwrap();
    refuses(Code::AttesterFailed, attester.attest(&transcript(7)));
    let attester = SnpGuestAttester::new(Device { report: vec![0; 1183], stale: true, ..device() }, None).unwrap();
    refuses(Code::EvidenceForm, attester.attest(&transcript(7)));
}

#[test]
fn certificates_come_from_a_folder_or_the_host_and_must_be_whole() {
    let folder = Folder::new();
    let none = || Device { certificates: HostCertificates::default(), ..device() };
    refuses(Code::CertificatesUnavailable, SnpGuestAttester::new(none(), None));
    let no_root = HostCertificates { ark: None, ..device().certificates };
    refuses(Code::CertificatesUnavailable, SnpGuestAttester::new(Device { certificates: no_root, ..device() }, None));
    refuses(Code::CertificatesUnavailable, SnpGuestAttester::new(none(), Some(&folder.0)));
    std::fs::write(folder.0.join("vcek.der"), vcek()).unwrap();
    std::fs::write(folder.0.join("ask.der"), amd("milan-ask.pem")).unwrap();
    std::fs::write(folder.0.join("ark.der"), b"no certificate").unwrap();
    refuses(Code::CertificatesUnavailable, SnpGuestAttester::new(none(), Some(&folder.0)));
    std::fs::remove_file(folder.0.join("ark.der")).unwrap();
    std::fs::copy(attestation().join("data/amd-roots/milan-ark.pem"), folder.0.join("ark.pem")).unwrap();
    let attester = SnpGuestAttester::new(none(), Some(&folder.0)).unwrap();
    assert_eq!(attester.attest(&transcript(7)).unwrap().certificates[2].0, amd("milan-ark.pem"));
}

#[test]
fn without_the_device_the_attester_refuses() {
    if std::path::Path::new("/dev/sev-guest").exists() {
        println!("NOT RUN without_the_device_the_attester_refuses: this machine is a guest");
        return;
    }
    refuses(Code::AttesterFailed, snp_guest::open(None));
    let folder = Folder::new();
    for (name, bytes) in [("vcek", vcek()), ("ask", amd("milan-ask.pem")), ("ark", amd("milan-ark.pem"))] {
        std::fs::write(folder.0.join(format!("{name}.der")), bytes).unwrap();
    }
    let attester = snp_guest::open(Some(&folder.0)).unwrap();
    refuses(Code::AttesterFailed, attester.attest(&transcript(7)));
}
