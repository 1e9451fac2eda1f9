//! Azure Key Vault through the official crates (feature `azure`): [`AzureWrap`] has the vault unwrap with a key that never
//! leaves its HSM; [`AzureSkr`] has the vault release an exportable key to attested hardware only, as a second gate that
//! asks Microsoft Azure Attestation (MAA) and not us.
//!
//! RSA-OAEP has no associated data: what is wrapped is [`super::enclosed`]. Wrapping is done here, under the public key
//! that was pinned when the key was made, so that no plaintext and no later public key of the vault's choice is involved.

#[cfg(feature = "azure")]
mod kept;
#[cfg(feature = "azure")]
mod maa;
#[cfg(feature = "azure")]
pub mod released;
#[cfg(feature = "azure")]
mod skr;
#[cfg(feature = "azure")]
mod transport;
#[cfg(feature = "azure")]
mod vault;
#[cfg(feature = "azure")]
mod wrap;

use std::net::IpAddr;
use std::path::PathBuf;

use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

#[cfg(feature = "azure")]
pub use skr::{AzureSkr, Grant};
#[cfg(feature = "azure")]
pub use wrap::AzureWrap;

use super::outbound::{Limits, defaults as common};

/// Where a virtual machine asks for its identity's token.
const IMDS: &str = "http://169.254.169.254";

/// The type of a key at the vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum KeyKind {
    /// In a hardware security module.
    #[default]
    #[serde(rename = "RSA-HSM")]
    RsaHsm,
    /// In software, for vaults without one.
    #[serde(rename = "RSA")]
    Rsa,
}

/// The table `[azure]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The vault: `https://NAME.vault.azure.net`, or a managed HSM.
    pub vault: String,
    /// Address of a private endpoint, where the vault's name does not resolve to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// PEM file of the authorities that may vouch for the vault; the machine's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Client id of a user-assigned managed identity; the machine's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where tokens of the managed identity are asked for: the instance metadata service, or one on loopback or by https.
    #[serde(default = "defaults::imds_url")]
    pub imds_url: String,
    /// What the names of keys begin with.
    #[serde(default = "common::key_prefix")]
    pub key_prefix: String,
    /// `RSA-HSM` or `RSA`; secure key release needs `RSA-HSM`.
    #[serde(default)]
    pub key_type: KeyKind,
    /// 2048, 3072 or 4096.
    #[serde(default = "defaults::key_bits")]
    pub key_bits: u32,
    /// Milliseconds of one attempt.
    #[serde(default = "common::timeout_ms")]
    pub timeout_ms: u32,
    /// Attempts in all; 429, 5xx and time-outs are tried again.
    #[serde(default = "common::attempts")]
    pub attempts: u32,
    /// Milliseconds before the second attempt, doubled for each further one.
    #[serde(default = "common::backoff_ms")]
    pub backoff_ms: u32,
    /// Secure key release: the release policy (grammar 1.0.0) that new keys get, immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_file: Option<PathBuf>,
    /// Secure key release: file with the MAA token of this machine, which its attestation agent renews; mode 0600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Secure key release: PEM file of the RSA key that the token names, to which the vault wraps; mode 0600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport_key_file: Option<PathBuf>,
    /// Secure key release: the MAA instance (`https://NAME.REGION.attest.azure.net`) whose token each room must bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maa: Option<String>,
    /// Its keys: a JWK set as that instance answers under `/certs`; read anew for each release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maa_keys_file: Option<PathBuf>,
}

mod defaults {
    pub fn imds_url() -> String {
        super::IMDS.into()
    }
    pub fn key_bits() -> u32 {
        3072
    }
}

impl Settings {
    /// Refuses what would be unsafe or cannot work, for secure key release or for wrapping alone.
    pub fn check(&self, release: bool) -> R<()> {
        let bad = |why: &str| Err(Refusal::new(Code::ConfigInvalid, format!("azure.{why}")).at("azure"));
        if !self.vault.starts_with("https://") {
            return bad("vault is https:// and a name");
        }
        crate::config::loopback_or_tls(&self.vault).map_err(|e| e.at("azure"))?;
        if self.imds_url != IMDS {
            crate::config::loopback_or_tls(&self.imds_url).map_err(|e| e.at("azure"))?;
        }
        super::name::check_prefix(&self.key_prefix)?;
        if !matches!(self.key_bits, 2048 | 3072 | 4096) {
            return bad("key_bits is 2048, 3072 or 4096");
        }
        let parts = [&self.policy_file, &self.token_file, &self.transport_key_file];
        if release && self.policy_file.is_none() {
            return bad("policy_file is missing: an exportable key without a release policy is refused");
        }
        if release && self.key_type != KeyKind::RsaHsm {
            return bad("key_type is RSA-HSM where keys are released");
        }
        if release && self.token_file.is_some() != self.transport_key_file.is_some() {
            return bad("token_file and transport_key_file belong together");
        }
        if self.maa.is_some() != self.maa_keys_file.is_some() {
            return bad("maa and maa_keys_file belong together");
        }
        if let Some(maa) = &self.maa {
            if !maa.starts_with("https://") {
                return bad("maa is https:// and a name");
            }
            crate::config::loopback_or_tls(maa).map_err(|e| e.at("azure"))?;
        }
        if !release && (parts.iter().any(|part| part.is_some()) || self.maa.is_some()) {
            return bad("policy_file, token_file, transport_key_file and maa are of use to azure-skr alone");
        }
        self.limits().check("azure")
    }

    fn limits(&self) -> Limits {
        Limits { timeout_ms: self.timeout_ms, attempts: self.attempts, backoff_ms: self.backoff_ms }
    }

    /// The vault's name, without its port.
    #[cfg(feature = "azure")]
    fn host(&self) -> &str {
        let rest = self.vault.trim_start_matches("https://");
        rest.split(':').next().unwrap_or(rest)
    }
}
