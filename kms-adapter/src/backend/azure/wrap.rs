//! `azure-wrap`: the key-encryption key is an RSA key of the vault that does not leave it. Wrapping is ours, under its
//! pinned public half; unwrapping is the vault's, asked for after the room was appraised.

use schemas::id::Did;
use schemas::{Code, R, Refusal};

use super::Settings;
use super::kept::Kept;
use super::vault::Vault;
use crate::backend::{KekRef, KeyBackend, Kind, enclosed, name};
use crate::secret::Secret;

/// The backend.
pub struct AzureWrap {
    vault: Vault,
}

impl AzureWrap {
    /// The backend with these settings. Asks nobody.
    pub fn new(settings: &Settings) -> R<AzureWrap> {
        settings.check(false)?;
        Ok(AzureWrap { vault: Vault::new(settings)? })
    }
}

/// Wraps under the pinned public half.
pub(super) fn sealed(kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>> {
    let (_, public) = Kept::read(kek)?;
    let plain = enclosed::enclose(kek, key, aad)?;
    sealing::gate::rsa_seal(&public, &plain).map_err(|_| Refusal::new(Code::Internal, "RSA-OAEP failed"))
}

impl KeyBackend for AzureWrap {
    fn kind(&self) -> Kind {
        Kind::AzureWrap
    }

    fn create_kek(&self, _: &Did) -> R<KekRef> {
        self.vault.create(&name::fresh(&self.vault.settings.key_prefix)?, None)
    }

    /// Has it opened by the vault before it is kept: under a public key whose private half is elsewhere it would be lost.
    fn wrap(&self, kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>> {
        let wrapped = sealed(kek, key, aad)?;
        let opened = self.unwrap(kek, &wrapped, aad)?;
        if !openssl::memcmp::eq(opened.expose(), key.expose()) {
            return Err(self.vault.fault("opened something else than was wrapped"));
        }
        Ok(wrapped)
    }

    fn unwrap(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret> {
        enclosed::disclose(kek, &self.vault.unwrap(kek, wrapped)?, aad)
    }

    fn rotate(&self, kek: &KekRef) -> R<KekRef> {
        let next = self.vault.create(&kek.name, None)?;
        if next.version == kek.version {
            return Err(self.vault.fault("made no new version"));
        }
        Ok(next)
    }

    fn destroy(&self, kek: &KekRef) -> R<()> {
        self.vault.disable(kek)
    }

    fn health(&self) -> R<()> {
        self.vault.health()
    }
}
