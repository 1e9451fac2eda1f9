//! Evidence of a machine with a vTPM: what Azure and the software TPM have in common.

use std::sync::{Mutex, MutexGuard};
use std::thread::sleep;
use std::time::Duration;

use attestation::{Attester, binding, job_pcr, shown, user_data};
use schemas::Digest;
use schemas::evidence::{Evidence, EvidenceKind, Quote, Transcript};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;

use crate::collect::{self, ReferenceValues};

/// The PCR that holds the job. It starts at zero, and only a reboot brings it back there.
pub const JOB_PCR: usize = 8;

/// What an attester asks of a machine with a vTPM. An implementation need not be safe against concurrent calls.
pub trait Vtpm: Send {
    /// Hands over user data and reads the report that lies there then, which may still be an older one.
    fn report_for(&mut self, user_data: &[u8; 64]) -> R<Vec<u8>>;
    /// Reads the report (HCL blob) that lies there now.
    fn report(&mut self) -> R<Vec<u8>>;
    /// A quote over all 24 sha256 PCRs by the attestation key, with the values.
    fn quote(&mut self, nonce: &[u8; 48]) -> R<Quote>;
    /// The 24 sha256 PCRs.
    fn pcrs(&mut self) -> R<Vec<Digest>>;
    /// Extends a digest into [`JOB_PCR`].
    fn extend_job(&mut self, digest: &Digest) -> R<()>;
    /// The X.509 certificate of the attestation key as DER without padding, where the machine has one.
    fn ak_certificate(&mut self) -> R<Option<Vec<u8>>>;
}

/// How long an attester waits for a report that carries its data.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often the report is read again.
    pub tries: u32,
    /// The time between two reads.
    pub pause: Duration,
}

impl Default for Patience {
    /// Half a minute. Azure takes about three seconds (observed by others).
    fn default() -> Patience {
        Patience { tries: 60, pause: Duration::from_millis(500) }
    }
}

/// Shows evidence of a machine with a vTPM, one transcript at a time, for one job per boot.
pub struct VtpmAttester<V> {
    kind: EvidenceKind,
    certificates: Vec<Bytes>,
    patience: Patience,
    machine: Mutex<Machine<V>>,
}

struct Machine<V> {
    vtpm: V,
    /// The job that this process extended into PCR 8.
    job: Option<Digest>,
}

impl<V: Vtpm> VtpmAttester<V> {
    /// An attester of this machine; `certificates` are VCEK, ASK and ARK as DER.
    pub fn new(kind: EvidenceKind, vtpm: V, certificates: Vec<Bytes>, patience: Patience) -> VtpmAttester<V> {
        VtpmAttester { kind, certificates, patience, machine: Mutex::new(Machine { vtpm, job: None }) }
    }

    /// What this machine is now, as values for an image set. See [`collect`].
    pub fn collect(&self) -> R<ReferenceValues> {
        let mut machine = self.machine()?;
        let report = machine.vtpm.report()?;
        let pcrs = machine.vtpm.pcrs()?;
        collect::of_vtpm(self.kind, &report, &pcrs)
    }

    fn machine(&self) -> R<MutexGuard<'_, Machine<V>>> {
        // A panic inside left the machine in an unknown state.
        self.machine.lock().map_err(|_| failed("an earlier use of the TPM did not end"))
    }
}

impl<V: Vtpm> Attester for VtpmAttester<V> {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn attest(&self, transcript: &Transcript) -> R<Evidence> {
        let nonce = binding(transcript)?;
        // Report and quote belong together, and a TPM has one place for user data: one transcript at a time.
        let mut machine = self.machine()?;
        machine.take_up(&transcript.job_sha256)?;
        let report = machine.fresh_report(self.kind, &user_data(&nonce), self.patience)?;
        let quote = machine.vtpm.quote(&nonce)?;
        let ak_certificate = machine.vtpm.ak_certificate()?.map(Bytes);
        Ok(Evidence {
            kind: self.kind,
            report: Bytes(report),
            quote: Some(quote),
            certificates: self.certificates.clone(),
            ak_certificate,
        })
    }
}

impl<V: Vtpm> Machine<V> {
    /// Extends the job into PCR 8, once per boot and before any evidence is shown. A PCR that holds something already,
    /// also this very job from an earlier process, refuses: one run per boot.
    fn take_up(&mut self, job: &Digest) -> R<()> {
        if let Some(taken) = &self.job {
            let same = taken == job;
            return if same { Ok(()) } else { Err(used("this boot has taken up another job")) };
        }
        if self.job_pcr()? != Digest([0; 32]) {
            return Err(used("PCR 8 is extended already; restart the machine for another run"));
        }
        self.vtpm.extend_job(job)?;
        self.job = Some(*job);
        if self.job_pcr()? != job_pcr(job) {
            return Err(failed("PCR 8 does not hold the job after it was extended"));
        }
        Ok(())
    }

    fn job_pcr(&mut self) -> R<Digest> {
        self.vtpm.pcrs()?.get(JOB_PCR).copied().ok_or_else(|| failed("the TPM shows no PCR 8"))
    }

    /// A report that carries this user data, or a refusal after bounded time.
    fn fresh_report(&mut self, kind: EvidenceKind, wanted: &[u8; 64], patience: Patience) -> R<Vec<u8>> {
        let mut report = self.vtpm.report_for(wanted)?;
        for _ in 0..patience.tries {
            if shown(kind, &report)?.user_data == wanted {
                return Ok(report);
            }
            sleep(patience.pause);
            report = self.vtpm.report()?;
        }
        if shown(kind, &report)?.user_data == wanted {
            return Ok(report);
        }
        let waited = patience.pause.as_secs_f64() * f64::from(patience.tries);
        Err(Refusal::new(Code::AttesterStale, format!("the report does not carry this run's data after {waited:.0} s")))
    }
}

/// The machine fails us.
pub(crate) fn failed(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::AttesterFailed, format!("the attester failed: {why}"))
}

fn used(why: &str) -> Refusal {
    Refusal::new(Code::BootUsed, why)
}
