//! The rules of a machine with a vTPM, against a fake of Azure's: a stale report, a PCR that does not take the job, one
//! job per boot.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use attestation::software::envelope;
use attestation::{Attester as _, job_pcr};
use attesters::azure::AzureVm;
use attesters::{Patience, Vtpm, VtpmAttester};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use schemas::evidence::{EvidenceKind, Quote};
use schemas::text::Bytes;
use schemas::{Code, Digest, R};

use super::support::{of_job, refuses, root, transcript};

/// A paravisor that takes its time: user data shows up in the report only after `late` more reads.
struct SlowVm {
    ak: PKey<Private>,
    shown: [u8; 64],
    handed_over: [u8; 64],
    late: u32,
    waited: u32,
    pcrs: Vec<Digest>,
    broken: Option<Vec<u8>>,
    takes_job: bool,
}

/// How many are inside a machine at once; more than one would be a broken lock.
static INSIDE: AtomicU32 = AtomicU32::new(0);

fn vm() -> SlowVm {
    SlowVm {
        ak: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        shown: [0; 64],
        handed_over: [0; 64],
        late: 0,
        waited: 0,
        pcrs: vec![Digest([0; 32]); 24],
        broken: None,
        takes_job: true,
    }
}

fn attester(vm: SlowVm) -> VtpmAttester<SlowVm> {
    let patience = Patience { tries: 3, pause: Duration::from_millis(1) };
    VtpmAttester::new(EvidenceKind::AzureSnp, vm, root().certificates(), patience)
}

impl Vtpm for SlowVm {
    fn report_for(&mut self, user_data: &[u8; 64]) -> R<Vec<u8>> {
        assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0, "two transcripts in one machine");
        (self.handed_over, self.waited) = (*user_data, 0);
        self.report()
    }
    fn report(&mut self) -> R<Vec<u8>> {
        if self.waited >= self.late {
            self.shown = self.handed_over;
        }
        self.waited += 1;
        match &self.broken {
            Some(bytes) => Ok(bytes.clone()),
            None => envelope(&root(), &self.ak, &self.shown),
        }
    }
    fn quote(&mut self, nonce: &[u8; 48]) -> R<Quote> {
        assert_eq!(INSIDE.fetch_sub(1, Ordering::SeqCst), 1, "two transcripts in one machine");
        let pcrs = self.pcrs.iter().map(|p| Bytes(p.0.to_vec())).collect();
        Ok(Quote { message: Bytes(nonce.to_vec()), signature: Bytes(vec![]), pcrs })
    }
    fn pcrs(&mut self) -> R<Vec<Digest>> {
        Ok(self.pcrs.clone())
    }
    fn extend_job(&mut self, digest: &Digest) -> R<()> {
        if self.takes_job {
            self.pcrs[8] = Digest::of_parts(&[&self.pcrs[8].0, &digest.0]);
        }
        Ok(())
    }
    fn ak_certificate(&mut self) -> R<Option<Vec<u8>>> {
        Ok(Some(b"certificate of the attestation key".to_vec()))
    }
}

/// The tests of this module share the count of who is inside.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    let guard = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    INSIDE.store(0, Ordering::SeqCst);
    guard
}

fn user_data_of(report: &[u8]) -> Vec<u8> {
    attestation::shown(EvidenceKind::AzureSnp, report).unwrap().user_data
}

#[test]
fn a_report_is_awaited_until_it_carries_this_transcript() {
    let _alone = alone();
    for late in [0, 1, 3] {
        INSIDE.store(0, Ordering::SeqCst);
        let attester = attester(SlowVm { late, ..vm() });
        let evidence = attester.attest(&transcript(7)).unwrap();
        let binding = attestation::binding(&transcript(7)).unwrap();
        assert_eq!(user_data_of(&evidence.report.0), attestation::user_data(&binding), "late by {late}");
        assert_eq!(evidence.quote.as_ref().unwrap().message.0, binding);
        assert_eq!(evidence.quote.unwrap().pcrs[8].0, job_pcr(&transcript(7).job_sha256).0);
        assert_eq!(evidence.ak_certificate.unwrap().0, b"certificate of the attestation key");
        assert_eq!((evidence.kind, evidence.certificates.len()), (EvidenceKind::AzureSnp, 3));
    }
}

#[test]
fn a_report_that_stays_stale_is_refused() {
    let _alone = alone();
    let attester = attester(SlowVm { late: 100, ..vm() });
    refuses(Code::AttesterStale, attester.attest(&transcript(7)));
}

#[test]
fn a_report_that_cannot_be_read_is_refused() {
    let _alone = alone();
    for broken in [vec![], b"HCLA".to_vec(), vec![0; 2600]] {
        INSIDE.store(0, Ordering::SeqCst);
        let attester = attester(SlowVm { broken: Some(broken), ..vm() });
        refuses(Code::EvidenceForm, attester.attest(&transcript(7)));
        refuses(Code::EvidenceForm, attester.collect());
    }
}

#[test]
fn one_boot_takes_up_one_job() {
    let _alone = alone();
    let same = attester(vm());
    same.attest(&transcript(7)).unwrap();
    same.attest(&transcript(8)).unwrap();
    refuses(Code::BootUsed, same.attest(&of_job(9, 4)));
    // Whatever lies in PCR 8 when a process starts: also the very job of an earlier one.
    let mut extended = vm();
    extended.extend_job(&transcript(7).job_sha256).unwrap();
    refuses(Code::BootUsed, attester(extended).attest(&transcript(7)));
}

#[test]
fn a_pcr_that_does_not_take_the_job_is_refused() {
    let _alone = alone();
    refuses(Code::AttesterFailed, attester(SlowVm { takes_job: false, ..vm() }).attest(&transcript(7)));
    refuses(Code::AttesterFailed, attester(SlowVm { pcrs: vec![], ..vm() }).attest(&transcript(7)));
    refuses(Code::AttesterFailed, attester(SlowVm { pcrs: vec![], ..vm() }).collect());
}

#[test]
fn transcripts_in_parallel_are_served_one_by_one() {
    let _alone = alone();
    let attester = attester(SlowVm { late: 2, ..vm() });
    std::thread::scope(|scope| {
        for nonce in 0..8 {
            let attester = &attester;
            scope.spawn(move || {
                let evidence = attester.attest(&transcript(nonce)).unwrap();
                let binding = attestation::binding(&transcript(nonce)).unwrap();
                assert_eq!(user_data_of(&evidence.report.0), attestation::user_data(&binding));
                assert_eq!(evidence.quote.unwrap().message.0, binding);
            });
        }
    });
    assert_eq!(INSIDE.load(Ordering::SeqCst), 0);
}

#[test]
fn without_a_tpm_azures_attester_refuses() {
    if std::path::Path::new("/dev/tpm0").exists() {
        println!("NOT RUN without_a_tpm_azures_attester_refuses: this machine has a TPM, which is left alone");
        return;
    }
    let mut here = AzureVm::here();
    refuses(Code::AttesterFailed, here.report());
    refuses(Code::AttesterFailed, here.report_for(&[1; 64]));
    refuses(Code::AttesterFailed, here.quote(&[1; 48]));
    refuses(Code::AttesterFailed, here.pcrs());
    refuses(Code::AttesterFailed, here.extend_job(&Digest([1; 32])));
    refuses(Code::AttesterFailed, here.ak_certificate());
}
