//! The vault: what both backends ask of it, and how its answers are judged.

use std::future::Future;
use std::sync::Arc;

use azure_core::Error;
use azure_core::http::{ClientOptions, RequestContent, RetryOptions, Transport as Over};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use azure_security_keyvault_keys::models::{
    CreateKeyParameters, EncryptionAlgorithm, Key, KeyAttributes, KeyClientReleaseOptions,
    KeyClientUpdateKeyPropertiesOptions, KeyEncryptionAlgorithm, KeyOperation, KeyOperationParameters,
    KeyReleasePolicy, KeyType, ReleaseParameters, UpdateKeyPropertiesParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use openssl::bn::BigNum;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use schemas::{Code, R, Refusal};
use serde_json::Value;
use zeroize::Zeroizing;

use super::kept::{self, Kept};
use super::transport::{Transport, stopped};
use super::{KeyKind, Settings};
use crate::backend::outbound::{Outbound, Threads};
use crate::backend::{KekRef, name};

/// Of a release policy; Key Vault knows no other.
const POLICY_TYPE: &str = "application/json; charset=utf-8";
/// Calls that one question may cost: a challenge, a token, the question.
const CALLS: u32 = 3;

/// A vault and who we are there.
pub(super) struct Vault {
    pub settings: Settings,
    client: Arc<KeyClient>,
    outbound: Outbound,
    threads: Threads,
}

impl Vault {
    /// The vault of these settings. Asks nobody.
    pub fn new(settings: &Settings) -> R<Vault> {
        let place = settings.address.map(|address| (settings.host(), address));
        let outbound = Outbound::new("the key vault", settings.ca_file.as_deref(), place, settings.limits())?;
        let over = Transport { outbound: outbound.clone(), imds_url: settings.imds_url.clone() };
        let options = ClientOptions {
            // Our own client asks again; twice would be often.
            retry: RetryOptions::none(),
            transport: Some(Over::new(Arc::new(over))),
            ..ClientOptions::default()
        };
        let identity = ManagedIdentityCredentialOptions {
            user_assigned_id: settings.client_id.clone().map(UserAssignedId::ClientId),
            client_options: options.clone(),
        };
        let invalid = |_| Refusal::new(Code::ConfigInvalid, "the Azure crates refuse the table [azure]").at("azure");
        let credential = ManagedIdentityCredential::new(Some(identity)).map_err(invalid)?;
        let keys = KeyClientOptions { client_options: options, ..KeyClientOptions::default() };
        let client = KeyClient::new(&settings.vault, credential, Some(keys)).map_err(invalid)?;
        Ok(Vault { settings: settings.clone(), client: Arc::new(client), outbound, threads: Threads::new()? })
    }

    fn ask<T, F>(&self, ask: impl FnOnce(Arc<KeyClient>) -> F) -> R<T>
    where
        T: Send + 'static,
        F: Future<Output = azure_core::Result<T>> + Send + 'static,
    {
        let (outbound, call) = (self.outbound.clone(), ask(self.client.clone()));
        let judged = async move { call.await.map_err(|error| refusal(&outbound, &error)) };
        self.outbound.wait(&self.threads, CALLS, judged)
    }

    /// A refusal about what the vault did.
    pub fn fault(&self, did: &str) -> Refusal {
        self.outbound.fault(did)
    }

    /// Makes a key, or the next version of one: exportable under a policy, or not at all.
    pub fn create(&self, name: &str, policy: Option<&Value>) -> R<KekRef> {
        name::check(name)?;
        let mut asked = CreateKeyParameters {
            kty: Some(kind(self.settings.key_type)),
            key_size: i32::try_from(self.settings.key_bits).ok(),
            key_ops: Some(vec![KeyOperation::WrapKey, KeyOperation::UnwrapKey]),
            ..CreateKeyParameters::default()
        };
        let mut attributes = KeyAttributes { enabled: Some(true), ..KeyAttributes::default() };
        if let Some(policy) = policy {
            attributes.exportable = Some(true);
            // Whom the vault does not know as attested has no use of the key at all.
            asked.key_ops = Some(vec![KeyOperation::WrapKey]);
            asked.release_policy = Some(KeyReleasePolicy {
                content_type: Some(POLICY_TYPE.into()),
                encoded_policy: Some(policy.to_string().into_bytes()),
                immutable: Some(true),
            });
        }
        asked.key_attributes = Some(attributes);
        let content: RequestContent<_> = asked.try_into().map_err(|e| refusal(&self.outbound, &e))?;
        let wanted = name.to_owned();
        let key = self.ask(|client| async move { client.create_key(&wanted, content, None).await?.into_model() })?;
        self.judge(name, &key, policy)
    }

    /// The reference of a key that the vault says it made, if it is what was asked for.
    fn judge(&self, name: &str, key: &Key, policy: Option<&Value>) -> R<KekRef> {
        let jwk = key.key.as_ref().ok_or_else(|| self.fault("made no key"))?;
        if jwk.kty != Some(kind(self.settings.key_type)) {
            return Err(self.fault("made a key of another type than was asked for"));
        }
        let exportable = key.attributes.as_ref().and_then(|a| a.exportable).unwrap_or(false);
        match policy {
            None if exportable || key.release_policy.is_some() => {
                return Err(self.fault("made a key that may leave it"));
            }
            None => {}
            Some(policy) => {
                let found = key.release_policy.as_ref().filter(|found| exportable && found.immutable == Some(true));
                let found = found.and_then(|found| found.encoded_policy.as_deref());
                let found: Option<Value> = found.and_then(|data| serde_json::from_slice(data).ok());
                let same = found.is_some_and(|found| kept::digest(&found) == kept::digest(policy));
                if !same {
                    return Err(
                        self.fault("made an exportable key without our release policy, or with one that may change")
                    );
                }
            }
        }
        let version = self.version(name, jwk.kid.as_deref().unwrap_or_default())?;
        let public = self.public(jwk.n.as_deref(), jwk.e.as_deref())?;
        Ok(KekRef { name: name.to_owned(), version, kept: Kept::new(&public, policy)?.write()? })
    }

    /// The version in a key's identifier, which must be of this vault and this name.
    fn version(&self, name: &str, kid: &str) -> R<String> {
        let host = format!("https://{}", self.settings.host());
        let rest = kid.strip_prefix(&host).and_then(|rest| rest.split_once("/keys/"));
        let version = rest
            .filter(|(port, _)| port.is_empty() || port.starts_with(':'))
            .and_then(|(_, path)| path.strip_prefix(name)?.strip_prefix('/'));
        let plain = |text: &&str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        version.filter(plain).map(str::to_owned).ok_or_else(|| self.fault("named another key than it was asked for"))
    }

    fn public(&self, n: Option<&[u8]>, e: Option<&[u8]>) -> R<PKey<Public>> {
        let read = |bytes: Option<&[u8]>| BigNum::from_slice(bytes.unwrap_or_default());
        let made = read(n).and_then(|n| Rsa::from_public_components(n, read(e)?)).and_then(PKey::from_rsa);
        let key = made.map_err(|_| self.fault("gave a public key that cannot be read"))?;
        let usual = key.rsa().is_ok_and(|rsa| rsa.e().to_vec() == [1, 0, 1]);
        if key.bits() != self.settings.key_bits || !usual {
            return Err(self.fault("made a key of another size than was asked for"));
        }
        Ok(key)
    }

    /// Has the vault unwrap.
    pub fn unwrap(&self, kek: &KekRef, wrapped: &[u8]) -> R<Zeroizing<Vec<u8>>> {
        name::check(&kek.name)?;
        name::check(&kek.version)?;
        let asked = KeyOperationParameters {
            algorithm: Some(EncryptionAlgorithm::RsaOaep256),
            value: Some(wrapped.to_vec()),
            ..KeyOperationParameters::default()
        };
        let content: RequestContent<_> = asked.try_into().map_err(|e| refusal(&self.outbound, &e))?;
        let (name, version) = (kek.name.clone(), kek.version.clone());
        let answer = self.ask(|client| async move {
            match client.unwrap_key(&name, &version, content, None).await {
                Ok(answer) => answer.into_model().map(Some),
                Err(error) if error.http_status().is_some_and(|status| u16::from(status) == 400) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        let bad = || Refusal::new(Code::KeyRowTampered, "a wrapped key does not open");
        let answer = answer.ok_or_else(bad)?;
        let plain = answer.result.ok_or_else(|| self.fault("unwrapped nothing"))?;
        let version = self.version(&kek.name, answer.kid.as_deref().unwrap_or_default());
        let plain = Zeroizing::new(plain);
        if version? != kek.version {
            return Err(self.fault("unwrapped with another version than was named"));
        }
        Ok(plain)
    }

    /// Has the vault release a key to whom the token attests; gives the signed object.
    pub fn release(&self, kek: &KekRef, token: &str, nonce: &str) -> R<String> {
        name::check(&kek.name)?;
        name::check(&kek.version)?;
        let asked = ReleaseParameters {
            algorithm: Some(KeyEncryptionAlgorithm::RsaAesKeyWrap256),
            nonce: Some(nonce.to_owned()),
            target_attestation_token: Some(token.to_owned()),
        };
        let content: RequestContent<_> = asked.try_into().map_err(|e| refusal(&self.outbound, &e))?;
        let options = KeyClientReleaseOptions { key_version: Some(kek.version.clone()), ..Default::default() };
        let name = kek.name.clone();
        let answer =
            self.ask(|client| async move { client.release(&name, content, Some(options)).await?.into_model() })?;
        answer.value.ok_or_else(|| self.fault("released nothing"))
    }

    /// Switches a version off. Key Vault deletes no single version; that is its operator's act on the whole key.
    pub fn disable(&self, kek: &KekRef) -> R<()> {
        name::check(&kek.name)?;
        name::check(&kek.version)?;
        let off = KeyAttributes { enabled: Some(false), ..KeyAttributes::default() };
        let asked = UpdateKeyPropertiesParameters { key_attributes: Some(off), ..Default::default() };
        let content: RequestContent<_> = asked.try_into().map_err(|e| refusal(&self.outbound, &e))?;
        let options =
            KeyClientUpdateKeyPropertiesOptions { key_version: Some(kek.version.clone()), ..Default::default() };
        let name = kek.name.clone();
        let key = self.ask(|client| async move {
            client.update_key_properties(&name, content, Some(options)).await?.into_model()
        })?;
        match key.attributes.and_then(|attributes| attributes.enabled) {
            Some(false) => Ok(()),
            _ => Err(self.fault("left on what was switched off")),
        }
    }

    /// Whether the vault would answer us: it says what it knows about a key that is not there.
    pub fn health(&self) -> R<()> {
        let name = format!("{}-health", self.settings.key_prefix);
        self.ask(|client| async move {
            match client.get_key(&name, None).await {
                Err(error) if error.http_status().is_some_and(|status| u16::from(status) == 404) => Ok(()),
                other => other.map(drop),
            }
        })
    }
}

fn kind(kind: KeyKind) -> KeyType {
    match kind {
        KeyKind::RsaHsm => KeyType::RsaHsm,
        KeyKind::Rsa => KeyType::Rsa,
    }
}

fn refusal(outbound: &Outbound, error: &Error) -> Refusal {
    if let Some(ours) = stopped(error) {
        return ours;
    }
    match error.http_status() {
        Some(status) => outbound.refused(u16::from(status)),
        None => outbound.fault("gave an answer that the Azure crates refuse"),
    }
}
