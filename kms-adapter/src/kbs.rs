//! The KBS face: the request-challenge-attestation-response endpoints of Confidential Containers' KBS protocol, version
//! 0.4.0, so that stock guests can fetch a dataset's key.
//!
//! Off by default, and weaker than the run protocol on purpose and openly: a stock guest carries no Admission, no run key
//! and no lease, and nobody sees what it lets out. So the contract must allow it for the dataset, the provider must keep
//! bringing the contract's papers with a fresh status list, and the first fetch costs all that is left of the clause.
//! Sessions and papers are kept in memory alone: a restart ends them.
//!
//! Read: [`session`], [`wire`] (what is said), [`attest`], [`papers`], [`fetch`], [`kept`]; [`token`] and [`face`] (HTTP).

pub(crate) mod attest;
pub(crate) mod face;
pub(crate) mod fetch;
pub(crate) mod init_data;
pub(crate) mod kept;
pub(crate) mod papers;
pub(crate) mod refused;
pub(crate) mod session;
pub(crate) mod token;
pub mod wire;

use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// Table `[kbs]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether the face answers at all.
    pub enabled: bool,
    /// Seconds from the challenge to the end of a session.
    pub session_seconds: u32,
    /// Sessions at a time.
    pub sessions: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { enabled: false, session_seconds: 300, sessions: 256 }
    }
}

impl Settings {
    /// Minutes, and a number that fits into memory: each session holds evidence of up to 64 KiB.
    pub(crate) fn check(&self) -> R<()> {
        for (value, least, most, name) in
            [(self.session_seconds, 30, 900, "kbs.session_seconds"), (self.sessions, 1, 4096, "kbs.sessions")]
        {
            if !(least..=most).contains(&value) {
                return Err(Refusal::new(Code::ConfigInvalid, format!("{name} is {least} to {most}")).at(name));
            }
        }
        Ok(())
    }
}

/// What the face remembers.
pub(crate) struct Face {
    pub sessions: session::Sessions,
    pub papers: papers::Shelf,
}

impl Face {
    /// Nothing yet.
    pub fn new(settings: &Settings) -> Face {
        Face { sessions: session::Sessions::new(settings.sessions), papers: papers::Shelf::default() }
    }
}
