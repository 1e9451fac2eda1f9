//! Import: the TDP hands its data keys to its own key service.

use schemas::id::{DataKeyId, Did};
use schemas::release::KeyImport;
use schemas::{Code, Envelope, R, Refusal};
use sealing::DatasetKey;
use serde::Serialize;
use signing::book::OneKey;

use crate::cupboard::Incoming;
use crate::kms::Kms;

/// What an import answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Imported {
    /// The key.
    pub key_id: DataKeyId,
}

impl Kms {
    /// The TDP's own key, and nobody else's.
    pub(crate) fn provider_book(&self) -> OneKey {
        OneKey { holder: self.config.provider.to_string(), jwk: self.provider_jwk.clone() }
    }

    /// Refuses a key that is meant for another key service or provider (`SIGNATURE_CONTEXT`).
    pub(crate) fn is_meant(&self, kms: &str, provider: &Did) -> R<()> {
        if *kms == self.config.url && *provider == self.config.provider {
            return Ok(());
        }
        let sentence = "the key is meant for another key service or provider";
        Err(Refusal::new(Code::SignatureContext, sentence).at("kms"))
    }

    /// Takes a data key in: signed by the TDP for this service, wrapped to its import key.
    pub fn import(&self, import: Envelope<KeyImport>) -> R<Imported> {
        let now = self.now();
        let provider = self.config.provider.as_str();
        let import = signing::verify_by(import, &self.trust.registry, &self.provider_book(), provider)?;
        self.is_meant(&import.kms, &import.provider)?;
        let bound = sealing::wrap::import_context(&import.key_id, &import.manifest_root);
        let key = DatasetKey::from_slice(signing::jose::unwrap_key(&import.jwe, &self.import, &bound)?.as_slice())?;
        self.cupboard.store(&self.store, &Incoming::from(&*import), import.digest(), &key, now)?;
        tracing::info!(key_id = import.key_id.as_str(), dataset = import.dataset_id.as_str(), "data key imported");
        Ok(Imported { key_id: import.key_id.clone() })
    }
}
