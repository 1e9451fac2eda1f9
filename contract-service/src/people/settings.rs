//! The section `[people]` of the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How people sign in, besides passkeys.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleSettings {
    /// An identity provider (OpenID Connect, authorization code with PKCE).
    pub oidc: Option<OidcSettings>,
}

/// An identity provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// Issuer, exactly as its discovery document says it.
    pub issuer: String,
    /// This service's name there; the redirect URI to register is `<url>/auth/oidc/callback`.
    pub client_id: String,
    /// File with the client secret, mode 0600.
    pub client_secret_file: PathBuf,
    /// Scopes besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Claims of the id token that must hold one of these values, for example `hd = ["example.org"]`.
    #[serde(default)]
    pub require: BTreeMap<String, Vec<String>>,
}

impl PeopleSettings {
    /// The same with paths resolved against the configuration's folder.
    pub fn beside(mut self, folder: &Path) -> PeopleSettings {
        if let Some(oidc) = &mut self.oidc {
            oidc.client_secret_file = folder.join(&oidc.client_secret_file);
        }
        self
    }
}
