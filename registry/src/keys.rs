//! The keys that the log is signed with: the one in use, and the one that it replaced for as long as both sign.

use policies::lifecycle::State;
use schemas::jwk::Jwk;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, R, Refusal, Signer};

use crate::Options;

impl Options {
    /// The key of ours with this public half.
    pub(crate) fn ours(&self, jwk: &Jwk) -> Option<&dyn Signer> {
        let next = self.next.get().map(|key| key.as_ref());
        [Some(self.signer.as_ref()), next].into_iter().flatten().find(|key| key.jwk() == jwk)
    }

    /// Every key of ours.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Signer> {
        [Some(self.signer.as_ref()), self.next.get().map(|key| key.as_ref())].into_iter().flatten()
    }

    /// Who signs the head of a log in this state: the key in use, then the one before it within the overlap, where it is
    /// still at hand. `CONFIG_INVALID` where the key in use is not.
    fn signers(&self, state: &State) -> R<Vec<&dyn Signer>> {
        let Some((last, before)) = state.registry_keys().split_last() else {
            return Ok(vec![self.signer.as_ref()]);
        };
        let missing = || {
            let sentence = format!("the log is signed by the key {}, which is not at hand here", last.thumbprint());
            Refusal::new(Code::ConfigInvalid, sentence).at("key_file")
        };
        let mut signers = vec![self.ours(&last.jwk).ok_or_else(missing)?];
        let old = before.last().filter(|key| key.until.is_some_and(|until| state.last_at() < until));
        signers.extend(old.and_then(|key| self.ours(&key.jwk)));
        Ok(signers)
    }

    /// The signed head of a log in this state.
    pub(crate) fn sign(&self, head: &CheckpointRef, state: &State) -> R<Checkpoint> {
        signing::note::sign_checkpoint_with(&self.origin, head, &self.signers(state)?)
    }

    /// Reads a checkpoint that one of our keys signed.
    pub fn own_note(&self, text: &str) -> R<Checkpoint> {
        let mut outcome = Err(Refusal::new(Code::CheckpointInvalid, "no key"));
        for key in self.all() {
            outcome = signing::note::verify_checkpoint(text, &self.origin, key.jwk());
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
