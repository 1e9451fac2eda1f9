//! The people: each with a folder, a key made by itself, and nothing but the public API and the `depa` library.
//!
//! [`Person`] is what everybody has; [`Sro`], [`Tdp`], [`Tdc`], [`Ccrp`] and [`Psp`] are what their roles do.

mod ccrp;
mod psp;
mod sro;
mod tdc;
mod tdp;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract_client::Client;
use depa::party::Applicant;
use schemas::id::Did;
use schemas::log::Receipt;
use schemas::party::Kind;
use schemas::{Code, R, Refusal, Timestamp};
use signing::{FileKey, Trust};

pub use ccrp::Ccrp;
pub(crate) use ccrp::software_root;
pub use psp::Psp;
pub use sro::Sro;
pub use tdc::{Tdc, TrainingDefaults};
pub use tdp::{CAP, DELTA, Offered, Tdp};

/// Where the time comes from: the machine's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Somebody who acts with a key of their own.
#[derive(Clone)]
pub struct Person {
    /// A name for people.
    pub name: String,
    /// Own folder; nobody else writes there.
    pub dir: PathBuf,
    /// Own signing key.
    pub key: Arc<FileKey>,
    /// Own DID.
    pub did: Did,
    clock: Clock,
    at: Option<At>,
}

/// The registry that a person deals with, once it is there.
#[derive(Clone)]
struct At {
    desk: Client,
    trust: Trust,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({}, {})", self.name, self.did)
    }
}

impl Person {
    /// Makes a folder and a key in it: of a did:web where one is given, of its own did:key otherwise.
    pub fn new(name: &str, dir: &Path, did: Option<&Did>, clock: &Clock) -> R<Person> {
        fs::create_dir_all(dir).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", dir.display())))?;
        let key = depa::keys::new(&dir.join("signing.key"), did)?;
        let did = key.did()?;
        Ok(Person {
            name: name.to_owned(),
            dir: dir.to_owned(),
            key: Arc::new(key),
            did,
            clock: clock.clone(),
            at: None,
        })
    }

    /// Deals with a registry from now on, under trust that was handed over.
    pub fn join(&mut self, desk: &Client, trust: &Trust) {
        let desk = desk.acting_for(self.key.clone()).with_clock(self.clock.clone());
        self.at = Some(At { desk, trust: trust.clone() });
    }

    fn at(&self) -> R<&At> {
        self.at
            .as_ref()
            .ok_or_else(|| Refusal::new(Code::ConfigInvalid, format!("{} knows no registry yet", self.name)))
    }

    /// The front desk, acting for this person.
    pub fn desk(&self) -> R<&Client> {
        Ok(&self.at()?.desk)
    }

    /// The pinned trust.
    pub fn trust(&self) -> R<&Trust> {
        Ok(&self.at()?.trust)
    }

    /// Now, in whole seconds: what documents hold.
    pub fn now(&self) -> Timestamp {
        (self.clock)().whole()
    }

    /// The file of the signing key.
    pub fn key_file(&self) -> PathBuf {
        self.dir.join("signing.key")
    }

    /// Applies for registration.
    pub fn apply(&self, kind: Kind) -> R<Receipt> {
        let applicant = Applicant { kind, legal_name: self.name.clone(), jurisdiction: "IN".into() };
        depa::party::apply(self.desk()?, &applicant, &self.key, self.trust()?, self.now())
    }
}
