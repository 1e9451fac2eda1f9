//! The first entry: whose log this is, and which SRO people there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::event::SroPerson;
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use super::{State, transition};

/// What the genesis entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Genesis {
    /// The registry.
    pub registry: Did,
    /// Its key.
    pub registry_jwk: Jwk,
    /// Origin of the log's checkpoints.
    pub origin: String,
    /// SRO people, at least two.
    pub sro: Vec<SroPerson>,
}

impl Genesis {
    /// The SRO person with this DID.
    pub fn person(&self, did: &str) -> Option<&SroPerson> {
        self.sro.iter().find(|p| p.did.as_str() == did)
    }
}

impl State {
    /// Whose log this is; none before the first entry.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_deref()
    }

    /// The registry, or a refusal before the first entry.
    pub fn registry(&self) -> R<&Did> {
        self.genesis().map(|g| &g.registry).ok_or_else(|| transition("the log has no genesis entry yet"))
    }

    /// Whether this DID is an SRO person.
    pub fn is_sro(&self, did: &str) -> bool {
        self.genesis().is_some_and(|g| g.person(did).is_some())
    }

    pub(super) fn check_genesis(&self, registry: &Did, registry_jwk: &Jwk, sro: &[SroPerson]) -> R<()> {
        if self.genesis.is_some() || self.size != 0 {
            return Err(transition("a log has one genesis entry, its first"));
        }
        let people: BTreeSet<&Did> = sro.iter().map(|p| &p.did).collect();
        let mut keys: BTreeSet<String> = sro.iter().map(|p| p.jwk.thumbprint()).collect();
        keys.insert(registry_jwk.thumbprint());
        if people.len() < 2 || people.len() != sro.len() || keys.len() != sro.len() + 1 || people.contains(registry) {
            return Err(Refusal::new(Code::TwoPeopleNeeded, "a genesis names at least two SRO people with a key each")
                .at("sro"));
        }
        Ok(())
    }

    pub(super) fn fold_genesis(&mut self, registry: &Did, registry_jwk: &Jwk, origin: &str, sro: &[SroPerson]) {
        self.genesis = Some(Arc::new(Genesis {
            registry: registry.clone(),
            registry_jwk: registry_jwk.clone(),
            origin: origin.to_owned(),
            sro: sro.to_vec(),
        }));
    }
}
