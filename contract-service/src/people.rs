//! How people sign in: passkeys, or an identity provider where one is configured; never a password.
//!
//! A person is enrolled by a one-time link ([`enrol`]) and signs in by [`passkey`] or [`oidc`]; [`recovery`] helps who
//! lost the passkey. What follows is a [`session`]: it reads what its member may read, and manages the person's own
//! means. It signs nothing: documents are signed by keys.

pub mod cookie;
pub mod enrol;
pub mod oidc;
pub mod passkey;
pub mod presence;
pub mod recovery;
mod secret;
pub mod session;
mod settings;
pub mod trail;

pub use settings::{OidcSettings, PeopleSettings};

use schemas::{Code, R, Refusal};

use crate::config::Config;

/// What signing in needs.
pub struct People {
    /// Relying party of passkeys; none where the service's URL has no host name.
    passkeys: Option<passkey::Rp>,
    /// The identity provider, where one is configured.
    oidc: Option<oidc::Provider>,
    /// Names and attributes of cookies.
    pub cookies: cookie::Cookies,
}

impl People {
    /// Reads the configuration; the identity provider is not asked yet.
    pub fn new(config: &Config) -> R<People> {
        let oidc = config.people.oidc.as_ref().map(|settings| oidc::Provider::new(settings, config)).transpose()?;
        Ok(People { passkeys: passkey::Rp::new(&config.url)?, oidc, cookies: cookie::Cookies::new(&config.url) })
    }

    /// The relying party.
    pub fn passkeys(&self) -> R<&passkey::Rp> {
        let why = "passkeys need a host name in the service's url, and it has an address; use localhost in a demo";
        self.passkeys.as_ref().ok_or_else(|| Refusal::new(Code::NotFound, why))
    }

    /// By what people sign in here, as `/.well-known/depa-configuration` says it.
    pub fn ways(&self) -> Vec<&'static str> {
        let passkey = self.passkeys.as_ref().map(|_| "passkey");
        passkey.into_iter().chain(self.oidc.as_ref().map(|_| "oidc")).collect()
    }

    /// The identity provider.
    pub fn oidc(&self) -> R<&oidc::Provider> {
        self.oidc.as_ref().ok_or_else(|| Refusal::new(Code::NotFound, "no identity provider is configured here"))
    }
}

/// What everybody is told who does not get in, whatever the reason.
pub fn refused() -> Refusal {
    Refusal::new(Code::SignInRefused, "signing in was refused; ask whoever administers your organisation")
}
