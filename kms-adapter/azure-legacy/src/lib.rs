//! Secrets and unwrapping by `azure_security_keyvault` 0.21; see the README for why the key service does not use it.

use std::sync::Arc;

use azure_core::auth::TokenCredential;
use azure_security_keyvault::prelude::{
    CryptographParamtersEncryption, EncryptionAlgorithm, RsaEncryptionParameters, UnwrapKeyParameters,
};
use azure_security_keyvault::{KeyClient, SecretClient};
use zeroize::Zeroizing;

/// A vault, and who we are there.
pub struct Vault {
    keys: KeyClient,
    secrets: SecretClient,
}

impl Vault {
    /// The vault at this URL (`https://NAME.vault.azure.net`). Asks nobody.
    ///
    /// Errors: the URL is none, or has no host of a vault.
    pub fn new(url: &str, credential: Arc<dyn TokenCredential>) -> azure_core::Result<Vault> {
        Ok(Vault { keys: KeyClient::new(url, credential.clone())?, secrets: SecretClient::new(url, credential)? })
    }

    /// The newest version of a secret.
    ///
    /// Errors: those of the vault and of the way there.
    pub async fn get(&self, name: &str) -> azure_core::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(self.secrets.get(name).into_future().await?.value))
    }

    /// A new version of a secret.
    ///
    /// Errors: those of the vault and of the way there.
    pub async fn set(&self, name: &str, value: &str) -> azure_core::Result<()> {
        self.secrets.set(name, value).into_future().await.map(drop)
    }

    /// Has the vault unwrap with a version of an RSA key, by RSA-OAEP with SHA-256. `wrapped` is Base64url without
    /// padding: the crate takes the text, not the bytes. RSA-OAEP has no associated data: the caller checks what it gets.
    ///
    /// Errors: those of the vault and of the way there.
    pub async fn unwrap_key(&self, name: &str, version: &str, wrapped: &str) -> azure_core::Result<Zeroizing<Vec<u8>>> {
        let algorithm = RsaEncryptionParameters::new(EncryptionAlgorithm::RsaOaep256)?;
        let parameters = UnwrapKeyParameters {
            decrypt_parameters_encryption: CryptographParamtersEncryption::Rsa(algorithm),
            ciphertext: wrapped.as_bytes().to_vec(),
        };
        let opened = self.keys.unwrap_key(name, parameters).version(version).into_future().await?;
        Ok(Zeroizing::new(opened.result))
    }
}
