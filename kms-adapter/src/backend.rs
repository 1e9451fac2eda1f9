//! Where key-encryption keys live: in the database under the root key, or in a vault elsewhere.
//!
//! A backend may call out to a network. So the cupboard asks it before or after a transaction of the
//! database, never inside one, and the transaction checks again what may have changed meanwhile.

pub mod azure;
pub mod embedded;
mod enclosed;
mod name;
mod outbound;
pub mod transit;

use schemas::id::Did;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use sealing::gate::Gated;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::secret::Secret;

/// The kinds of backend, by the word of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Key-encryption keys stand in the database, each wrapped under the root key.
    #[default]
    Embedded,
    /// The transit engine of HashiCorp Vault or OpenBao.
    Transit,
    /// Azure Key Vault unwraps, with a key that does not leave it; the default for production on Azure.
    AzureWrap,
    /// Azure Key Vault releases an exportable key to attested hardware: a second gate, which is not ours.
    AzureSkr,
}

impl Kind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Embedded => "embedded",
            Kind::Transit => "transit",
            Kind::AzureWrap => "azure-wrap",
            Kind::AzureSkr => "azure-skr",
        }
    }
}

/// One version of a key-encryption key, as its backend names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KekRef {
    /// The key's name at the backend; the same for all its versions.
    pub name: String,
    /// The version at the backend, as it says it: a number, or what else it counts by.
    pub version: String,
    /// What the backend asks to be kept beside the name: [`embedded`] the key itself, wrapped under the root key; empty
    /// where the key stays at the backend. Never a secret in clear.
    pub kept: Vec<u8>,
}

/// What a room shows to a gate of the backend's own, after this service has judged the room itself.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The token that the room brought, as it came.
    pub token: Option<&'a str>,
    /// The user data that its evidence carries: bound to the transcript.
    pub user_data: [u8; 64],
    /// SHA-256 of the attestation key that signed its evidence (SubjectPublicKeyInfo); none of a bare guest.
    pub ak_sha256: Option<Digest>,
    /// When.
    pub now: Timestamp,
}

/// A data key that a backend let go of.
pub enum Opened {
    /// The key.
    Key(Secret),
    /// What opens in the room alone, with the transport key of the room's token. This service does not see the key.
    Gated(Gated),
}

/// Wraps data keys under key-encryption keys that it alone can use.
///
/// `aad` names the data key (provider, dataset, version, manifest root, least assurance, key id). What was wrapped under
/// one `aad` does not open under another: a backend without associated data of its own puts a digest of it inside the
/// wrapped bytes and compares it after unwrapping.
///
/// Errors: [`schemas::Code::KeyRowTampered`] where wrapped bytes do not open, [`schemas::Code::PeerUnreachable`],
/// [`schemas::Code::PeerFault`] and [`schemas::Code::Timeout`] where a backend elsewhere does not do what was asked.
/// None of them names a key's bytes.
pub trait KeyBackend: Send + Sync {
    /// What it is.
    fn kind(&self) -> Kind;

    /// Makes the key-encryption key of a provider, at its first version. One that nobody refers to afterwards does no
    /// harm.
    fn create_kek(&self, provider: &Did) -> R<KekRef>;

    /// Wraps a data key. The bytes are kept as they are.
    fn wrap(&self, kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>>;

    /// Opens what [`KeyBackend::wrap`] gave for the same key-encryption key and `aad`. Only asked for after the room was
    /// appraised and every rule has agreed.
    fn unwrap(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret>;

    /// Opens it for a room. As [`KeyBackend::unwrap`], but where the backend judges rooms by itself.
    fn open_for(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8], _: &Caller<'_>) -> R<Opened> {
        self.unwrap(kek, wrapped, aad).map(Opened::Key)
    }

    /// Makes the next version of a key-encryption key. The one before still unwraps.
    fn rotate(&self, kek: &KekRef) -> R<KekRef>;

    /// Ends a version for good, where the backend can; asked only once nothing is wrapped under it. Asked again, it
    /// succeeds again.
    fn destroy(&self, kek: &KekRef) -> R<()>;

    /// Whether it would answer now; asked by `/readyz`.
    fn health(&self) -> R<()>;
}

/// Requires the table of the backend that the configuration names, and no other's.
pub(crate) fn check(config: &Config) -> R<()> {
    let invalid = |why: &str| Err(Refusal::new(Code::ConfigInvalid, why).at("backend"));
    match (config.backend, &config.transit, &config.azure) {
        (Kind::Embedded, None, None) => Ok(()),
        (Kind::Transit, Some(settings), None) => settings.check(),
        (Kind::AzureWrap | Kind::AzureSkr, _, _) if cfg!(not(feature = "azure")) => {
            invalid("this build knows no Azure: build with --features azure")
        }
        (Kind::AzureWrap, None, Some(settings)) => settings.check(false),
        (Kind::AzureSkr, None, Some(settings)) => settings.check(true),
        _ => invalid("backend asks for its own table, [transit] or [azure], and for no other"),
    }
}

/// The backend that the configuration names.
pub fn open(config: &Config, root: &Secret) -> R<Box<dyn KeyBackend>> {
    check(config)?;
    match (config.backend, &config.transit, &config.azure) {
        (Kind::Transit, Some(settings), _) => Ok(Box::new(transit::Transit::new(settings)?)),
        #[cfg(feature = "azure")]
        (Kind::AzureWrap, _, Some(settings)) => Ok(Box::new(azure::AzureWrap::new(settings)?)),
        #[cfg(feature = "azure")]
        (Kind::AzureSkr, _, Some(settings)) => Ok(Box::new(azure::AzureSkr::new(settings)?)),
        _ => Ok(Box::new(embedded::Embedded::new(root)?)),
    }
}
