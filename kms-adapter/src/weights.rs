//! Weights of the provider where it consumes data itself: their key goes in as a data key does, and out to an attested room
//! that carries out a job which the provider signed and which names exactly this key.
//!
//! No budget is spent, so nothing is reserved, charged, renewed or entered in the journal; a key asked for again under
//! fresh evidence is wrapped again.

use schemas::id::KeyId;
use schemas::weights::{SealedWeights, WeightsImport, WeightsRelease, WeightsRequest};
use schemas::{Code, Digest, Envelope, R, Refusal, Signer as _, canonical};
use sealing::DatasetKey;

use crate::backend::{Caller, Opened};
use crate::cupboard::{Incoming, KeyRow};
use crate::judge::{Spends, Vouched, facts};
use crate::keys::Imported;
use crate::kms::Kms;

impl Kms {
    /// Takes the key of sealed weights in: signed by the provider for this service, wrapped to its import key.
    pub fn import_weights(&self, import: Envelope<WeightsImport>) -> R<Imported> {
        let now = self.now();
        let provider = self.config.provider.as_str();
        let import = signing::verify_by(import, &self.trust.registry, &self.provider_book(), provider)?;
        self.is_meant(&import.kms, &import.provider)?;
        let bound = sealing::wrap::weights_context(&import.key_id, &import.manifest_root);
        let key = DatasetKey::from_slice(signing::jose::unwrap_key(&import.jwe, &self.import, &bound)?.as_slice())?;
        self.cupboard.store(&self.store, &Incoming::from(&*import), import.digest(), &key, now)?;
        tracing::info!(
            key_id = import.key_id.as_str(),
            weights = import.weights_id.as_str(),
            "key of weights imported"
        );
        Ok(Imported { key_id: import.key_id.clone() })
    }

    /// Wraps the key of a job's weights to the room that carries the job out.
    pub fn release_weights(&self, request: WeightsRequest) -> R<Envelope<WeightsRelease>> {
        let now = self.now();
        let WeightsRequest { attested, admission, bundle, maa_token } = request;
        let challenge = self.consume(&attested.transcript.challenge_id, now)?;
        let vouched = self.vouched(&challenge, &attested, admission, bundle, Spends::Nothing, now)?;
        let (sealed, row) = self.own_weights(&vouched)?;
        let transcript = &attested.transcript;
        let user_data = attestation::user_data(&attestation::binding(transcript)?);
        let (token, ak_sha256) = (maa_token.as_deref(), vouched.appraisal.record.ak_sha256);
        let kek = self.store.transact(|c| self.cupboard.kek(c, row.kek_version))?;
        // The backend may be far away: what ran out meanwhile counts no more.
        let key = self.cupboard.open_for(&row, &kek, &Caller { token, user_data, ak_sha256, now })?;
        let (now, facts) = (self.now(), facts(&vouched.opened));
        policies::release::transcript(transcript, &challenge, &facts, now)?;
        policies::release::admission(&vouched.admission, transcript, now)?;
        policies::gate::job(&facts, &vouched.admission.contracts, now)?;
        let transcript_sha256 = Digest::of(&canonical::to_bytes(transcript)?);
        let wrap = |key: &[u8; 32]| signing::jose::wrap_key(key, &transcript.enc_jwk, &transcript_sha256.0);
        let (jwe, gated) = match &key {
            Opened::Key(key) => (wrap(key.expose())?, None),
            Opened::Gated(parts) => {
                let under = DatasetKey::random()?;
                (wrap(under.expose())?, Some(parts.seal(&under)?))
            }
        };
        let release = WeightsRelease {
            schema: "weights-release.v1".into(),
            registry: self.trust.registry.clone(),
            kms: self.config.url.clone(),
            provider: self.config.provider.clone(),
            run_id: transcript.run_id.clone(),
            job_sha256: transcript.job_sha256,
            transcript_sha256,
            weights_id: sealed.weights_id.clone(),
            manifest_root: sealed.manifest_root,
            key_id: sealed.key.key_id.clone(),
            jwe,
            gated,
            at: now,
        };
        let answer = signing::sign(&release, &self.signer, now)?;
        tracing::info!(
            run_id = release.run_id.as_str(),
            weights = release.weights_id.as_str(),
            "key of weights released"
        );
        Ok(answer)
    }

    /// The weights of the job, with the row of their key.
    fn own_weights<'a>(&self, vouched: &'a Vouched) -> R<(&'a SealedWeights, KeyRow)> {
        let pinned = KeyId::new(self.config.provider.as_str(), self.provider_jwk.thumbprint());
        let keeper = policies::weights::Keeper {
            url: &self.config.url,
            provider: &self.config.provider,
            pinned: &pinned,
            sign_jwk: self.signer.jwk(),
        };
        let shown = vouched.appraisal.assurance.min(vouched.appraisal.kind.assurance());
        let sealed = policies::weights::key(&facts(&vouched.opened), &keeper, shown)?;
        let row = self.store.transact(|c| self.cupboard.row(c, &sealed.key.key_id))?;
        if !row.is_of_weights(&sealed.weights_id, &sealed.manifest_root) {
            let sentence = format!("{} is not the key of these weights", sealed.key.key_id);
            return Err(Refusal::new(Code::KeyUnknown, sentence));
        }
        if shown < row.min_assurance()? {
            let sentence = "the key was imported for stronger evidence than this";
            return Err(Refusal::new(Code::AssuranceTooLow, sentence));
        }
        Ok((sealed, row))
    }
}
