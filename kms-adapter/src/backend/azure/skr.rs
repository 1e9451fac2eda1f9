//! `azure-skr`: an exportable RSA key under an immutable release policy. The vault judges the MAA token of attested
//! hardware by that policy and wraps the key to the RSA key that the token names; the data key opens only with both the
//! vault's word and ours.
//!
//! With `maa` in the configuration the token is the room's, and the vault wraps to the room: what this service hands out
//! opens nowhere else, not here either. Without it the token is this machine's own.

use std::path::Path;

use openssl::pkey::{PKey, Private, Public};
use schemas::id::Did;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use sealing::gate::{self, Gated};
use serde_json::Value;
use zeroize::Zeroizing;

use super::kept::Kept;
use super::released::{self, Expected};
use super::vault::Vault;
use super::wrap::sealed;
use super::{Settings, maa};
use crate::backend::outbound::secret_file;
use crate::backend::{Caller, KekRef, KeyBackend, Kind, Opened, name};
use crate::secret::Secret;

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
        if maa::parts(token).is_none() {
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
        let (ciphertext, public) = self.released(&grant.token, kek)?;
        let key = gate::released_key(&ciphertext, &grant.key, &public)?;
        Ok(Secret::from_bytes(&gate::opened(&key, &kek.name, &kek.version, wrapped, aad)?))
    }

    /// What the vault lets go of against a token, checked as far as it can be without the transport key; and the pinned
    /// public half.
    fn released(&self, token: &str, kek: &KekRef) -> R<(Vec<u8>, PKey<Public>)> {
        let (kept, public) = Kept::read(kek)?;
        let policy = kept.policy.ok_or_else(|| {
            Refusal::new(Code::KeyRowTampered, "an exportable key without a release policy is not used")
        })?;
        let nonce = format!("{:032x}", u128::from_be_bytes(signing::signer::random::<16>()?));
        let object = self.vault.release(kek, token, &nonce)?;
        let settings = &self.vault.settings;
        let expected =
            Expected { host: settings.host(), ca_file: settings.ca_file.as_deref(), kek, nonce: &nonce, policy };
        Ok((released::read(&object, &expected)?, public))
    }

    /// For a room that brings its own token: the vault wraps to that room's transport key, and this service never sees
    /// the key-encryption key.
    fn for_room(
        &self,
        maa: &str,
        keys: &Path,
        kek: &KekRef,
        wrapped: &[u8],
        aad: &[u8],
        room: &Caller<'_>,
    ) -> R<Gated> {
        let token = maa::judged(maa, keys, room)?;
        let (released, public) = self.released(token, kek)?;
        let der = |_| Refusal::new(Code::Internal, "a public key cannot be written");
        Ok(Gated {
            name: kek.name.clone(),
            version: kek.version.clone(),
            public: Bytes(public.public_key_to_der().map_err(der)?),
            released: Bytes(released),
            wrapped: Bytes(wrapped.to_vec()),
            context: Bytes(aad.to_vec()),
        })
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

    fn open_for(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8], room: &Caller<'_>) -> R<Opened> {
        match (&self.vault.settings.maa, &self.vault.settings.maa_keys_file) {
            (Some(maa), Some(keys)) => self.for_room(maa, keys, kek, wrapped, aad, room).map(Opened::Gated),
            _ => self.unwrap(kek, wrapped, aad).map(Opened::Key),
        }
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
