//! Checkpoints of a training, sealed in memory: for a worker of the same run, job, configuration and step, or nobody.
//!
//! Each is an object of its own under a key that follows from the run secret, the digest of the job, that of the
//! configuration and the step; the object's header names the run. One that is put in the place of another does not open
//! (`SEALED_WRONG_OBJECT`), nor one that was changed (`SEALED_TAMPERED`).
//! They lie in memory and nowhere else: with `ccr` they are gone, and so is the run.

use schemas::id::RunId;
use schemas::{Digest, R};
use sealing::{DEFAULT_CHUNK, DatasetKey, Subject, open_model, seal_bytes};
use zeroize::Zeroizing;

use crate::secret::RunSecret;

/// Seals and opens the checkpoints of one training.
pub struct Vault {
    secret: RunSecret,
    run: RunId,
    job: Digest,
    configuration: Digest,
}

/// A sealed checkpoint.
#[derive(Clone)]
pub struct Kept {
    /// Steps that were done when it was made.
    pub step: u32,
    sealed: Vec<u8>,
}

impl Vault {
    /// For the run of this secret, for this job and this configuration of it ([`schemas::worker::configuration`]).
    pub fn new(secret: &RunSecret, run: &RunId, job: Digest, configuration: Digest) -> Vault {
        Vault { secret: secret.copy(), run: run.clone(), job, configuration }
    }

    /// Seals the state after a step.
    pub fn seal(&self, step: u32, state: &[u8]) -> R<Kept> {
        let subject = Subject::Model { run: self.run.clone() };
        Ok(Kept { step, sealed: seal_bytes(state, &self.key(step)?, &subject, DEFAULT_CHUNK)?.bytes })
    }

    /// Opens a checkpoint. One of another run, job, configuration or step is refused, as is one that was changed.
    pub fn open(&self, kept: &Kept) -> R<Zeroizing<Vec<u8>>> {
        open_model(&kept.sealed, &self.key(kept.step)?, &self.run)
    }

    fn key(&self, step: u32) -> R<DatasetKey> {
        let key = self.secret.checkpoint_key(&self.job, &self.configuration, step)?;
        Ok(DatasetKey::from_bytes(*key))
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;

    #[test]
    fn a_checkpoint_opens_for_its_own_run_job_configuration_and_step_alone() {
        let (secret, other) = (RunSecret::draw().unwrap(), RunSecret::draw().unwrap());
        let runs = ["run_01900000-0000-7000-8000-000000000001", "run_01900000-0000-7000-8000-000000000002"];
        let [run, another] = runs.map(|run| RunId::parse(run).unwrap());
        let (job, configuration) = (Digest([1; 32]), Digest([2; 32]));
        let vault = Vault::new(&secret, &run, job, configuration);
        let kept = vault.seal(7, b"weights").unwrap();
        assert_eq!(vault.open(&kept).unwrap().as_slice(), b"weights");
        assert!(!kept.sealed.windows(7).any(|window| window == b"weights"));
        let refused = |vault: &Vault, kept: &Kept| vault.open(kept).unwrap_err().code;
        let others = [
            Vault::new(&other, &run, job, configuration),
            Vault::new(&secret, &run, Digest([3; 32]), configuration),
            Vault::new(&secret, &run, job, Digest([3; 32])),
        ];
        for (at, vault) in others.iter().enumerate() {
            assert_eq!(refused(vault, &kept), Code::SealedWrongObject, "vault {at}");
        }
        assert_eq!(refused(&Vault::new(&secret, &another, job, configuration), &kept), Code::SealedWrongObject);
        assert_eq!(refused(&vault, &Kept { step: 8, ..kept.clone() }), Code::SealedWrongObject);
        let mut flipped = kept.clone();
        *flipped.sealed.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&vault, &flipped), Code::SealedTampered);
    }
}
