//! `azure-skr`: an exportable RSA key under an immutable release policy. The vault judges the MAA token of attested
//! hardware by that policy and wraps the key to the RSA key that the token names; the data key opens only with both the
//! vault's word and ours.

use std::path::Path;

use openssl::pkey::{PKey, Private};
use schemas::id::Did;
use schemas::{Code, R, Refusal};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Settings;
use super::kept::Kept;
use super::released::{self, Expected};
use super::vault::Vault;
use super::wrap::sealed;
use crate::backend::outbound::secret_file;
use crate::backend::{KekRef, KeyBackend, Kind, name};
use crate::secret::Secret;

/// The longest token that is forwarded.
const TOKEN_BYTES: usize = 32 * 1024;

/// By what a key is released: the MAA token of attested hardware, and the RSA key that the token names.
pub struct Grant {
    token: Zeroizing<String>,
    key: PKey<Private>,
}

impl Grant {
    /// A grant of a token and the PEM of the key that it names.
    pub fn new(token: &str, key_pem: &[u8]) -> R<Grant> {
        let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("azure: {why}")).at("azure");
        let token = token.trim();
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if token.len() > TOKEN_BYTES || token.split('.').count() != 3 || !token.split('.').all(part) {
            return Err(bad("the token is no compact JWS"));
        }
        let key = PKey::private_key_from_pem(key_pem).map_err(|_| bad("the transport key is no PEM"))?;
        if key.rsa().is_err() || key.bits() < 2048 {
            return Err(bad("the transport key is RSA with at least 2048 bits"));
        }
        Ok(Grant { token: Zeroizing::new(token.to_owned()), key })
    }

    fn load(token_file: &Path, key_file: &Path) -> R<Grant> {
        let token = secret_file(token_file, "azure.token_file")?;
        Grant::new(&token, secret_file(key_file, "azure.transport_key_file")?.as_bytes())
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grant(hidden)")
    }
}

/// The backend.
pub struct AzureSkr {
    vault: Vault,
    policy: Value,
}

impl AzureSkr {
    /// The backend with these settings. Asks nobody.
    pub fn new(settings: &Settings) -> R<AzureSkr> {
        settings.check(true)?;
        let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("azure.policy_file {why}")).at("azure");
        let path = settings.policy_file.as_ref().ok_or_else(|| bad("is missing"))?;
        let text = std::fs::read(path).map_err(|_| bad("cannot be read"))?;
        let policy: Value = serde_json::from_slice(&text).map_err(|_| bad("is no JSON"))?;
        check_policy(&policy).ok_or_else(|| {
            bad("is no policy of version 1.0.0 in which each authority is https and asks for at least one claim")
        })?;
        Ok(AzureSkr { vault: Vault::new(settings)?, policy })
    }

    /// [`KeyBackend::unwrap`] under this grant.
    pub fn unwrap_under(&self, grant: &Grant, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret> {
        let (kept, public) = Kept::read(kek)?;
        let policy = kept.policy.ok_or_else(|| {
            Refusal::new(Code::KeyRowTampered, "an exportable key without a release policy is not used")
        })?;
        let nonce = format!("{:032x}", u128::from_be_bytes(signing::signer::random::<16>()?));
        let object = self.vault.release(kek, &grant.token, &nonce)?;
        let settings = &self.vault.settings;
        let expected =
            Expected { host: settings.host(), ca_file: settings.ca_file.as_deref(), kek, nonce: &nonce, policy };
        let ciphertext = released::read(&object, &expected)?;
        released::open(&ciphertext, &grant.key, &public, kek, wrapped, aad)
    }
}

/// Some claim is asked of each authority: a policy that any token of an authority meets is none.
fn check_policy(policy: &Value) -> Option<()> {
    let rules = policy.get("anyOf")?.as_array().filter(|rules| !rules.is_empty())?;
    let asks = |rule: &Value| {
        let https = rule.get("authority").and_then(Value::as_str).is_some_and(|a| a.starts_with("https://"));
        let some = |word| rule.get(word).and_then(Value::as_array).is_some_and(|claims| !claims.is_empty());
        https && (some("allOf") || some("anyOf"))
    };
    (policy.get("version")? == "1.0.0" && rules.iter().all(asks)).then_some(())
}

impl KeyBackend for AzureSkr {
    fn kind(&self) -> Kind {
        Kind::AzureSkr
    }

    fn create_kek(&self, _: &Did) -> R<KekRef> {
        self.vault.create(&name::fresh(&self.vault.settings.key_prefix)?, Some(&self.policy))
    }

    fn wrap(&self, kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>> {
        sealed(kek, key, aad)
    }

    /// Under the grant of the configured files.
    fn unwrap(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret> {
        let settings = &self.vault.settings;
        let (Some(token), Some(key)) = (&settings.token_file, &settings.transport_key_file) else {
            let sentence = "a key is released against an MAA token only: token_file and transport_key_file are missing";
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("azure"));
        };
        self.unwrap_under(&Grant::load(token, key)?, kek, wrapped, aad)
    }

    fn rotate(&self, kek: &KekRef) -> R<KekRef> {
        let next = self.vault.create(&kek.name, Some(&self.policy))?;
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
