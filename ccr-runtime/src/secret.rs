//! The run secret: 32 fresh bytes from which everything secret of a run is derived, kept in memory only.

use hkdf::Hkdf;
use schemas::id::RunId;
use schemas::{Code, Digest, R, Refusal};
use sha2::Sha256;
use signing::FileKey;
use signing::jose::EncKey;
use zeroize::Zeroizing;

/// Drawn once per run and wiped on drop. A copy of this room has to draw its own.
pub struct RunSecret(Zeroizing<[u8; 32]>);

impl RunSecret {
    /// Fresh from the operating system.
    pub fn draw() -> R<RunSecret> {
        Ok(RunSecret(Zeroizing::new(signing::signer::random::<32>()?)))
    }

    fn derive(&self, label: &str, context: &[u8]) -> R<Zeroizing<[u8; 32]>> {
        let mut out = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand_multi_info(&[label.as_bytes(), &[0], context], out.as_mut_slice())
            .map_err(|_| Refusal::new(Code::Internal, "key derivation failed"))?;
        Ok(out)
    }

    /// The key that signs everything the run says after check-in.
    pub fn run_key(&self, run: &RunId) -> R<FileKey> {
        Ok(FileKey::from_seed(run.as_str(), &*self.derive("depa/run/sign/1", b"")?))
    }

    /// The key to which data keys are wrapped: drawn apart, so that nothing derived ever equals it.
    pub fn enc_key(&self) -> R<EncKey> {
        EncKey::generate()
    }

    /// The worker's seed for sampling and noise, bound to the job: another job gets independent noise.
    pub fn worker_seed(&self, job: &Digest) -> R<Zeroizing<[u8; 32]>> {
        self.derive("depa/run/noise/1", &job.0)
    }

    /// The key of the checkpoint after one step of one configuration of the job.
    pub fn checkpoint_key(&self, job: &Digest, configuration: &Digest, step: u32) -> R<Zeroizing<[u8; 32]>> {
        self.derive("depa/run/checkpoint/1", &[&job.0[..], &configuration.0, &step.to_be_bytes()].concat())
    }

    /// The same secret for another part of the same run.
    pub(crate) fn copy(&self) -> RunSecret {
        RunSecret(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_separate_and_bound_to_the_job() {
        let secret = RunSecret(Zeroizing::new([7; 32]));
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        assert_eq!(*secret.worker_seed(&a).unwrap(), *secret.worker_seed(&a).unwrap());
        assert_ne!(*secret.worker_seed(&a).unwrap(), *secret.worker_seed(&b).unwrap());
        assert_ne!(*secret.worker_seed(&a).unwrap(), *secret.derive("depa/run/sign/1", &a.0).unwrap());
    }
}
