//! The first entry: whose log this is, and which SRO people there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::envelope::Envelope;
use schemas::event::SroPerson;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::rules::LogSucceeded;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, read, transition};

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
    /// Every key that the registry signed with, oldest first; the last one is in use.
    pub registry_keys: Vec<RegistryKey>,
    /// The log that this one continues.
    pub succeeds: Option<Envelope<LogSucceeded>>,
}

/// A key of the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistryKey {
    /// The key.
    pub jwk: Jwk,
    /// Index of the entry that brought it.
    pub from: u64,
    /// Until when it signs beside the next one; none for the key in use.
    pub until: Option<Timestamp>,
}

impl RegistryKey {
    /// Its RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> String {
        self.jwk.thumbprint()
    }
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

    /// Every key that the registry signs or signed with, oldest first: an old one counts for what it signed.
    pub fn registry_keys(&self) -> &[RegistryKey] {
        self.genesis().map(|g| g.registry_keys.as_slice()).unwrap_or_default()
    }

    /// The registry's key under this id, if it signs now: the one in use, or the one before within the overlap.
    pub(super) fn registry_key(&self, kid: &KeyId) -> Option<Jwk> {
        let signs = |key: &&RegistryKey| key.until.is_none_or(|until| self.last_at < until);
        let found = self.registry_keys().iter().filter(signs).find(|key| key.thumbprint() == kid.thumbprint)?;
        Some(found.jwk.clone())
    }

    pub(super) fn check_genesis(
        &self,
        registry: &Did,
        (registry_jwk, origin): (&Jwk, &str),
        sro: &[SroPerson],
        succeeds: Option<&Envelope<LogSucceeded>>,
    ) -> R<()> {
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
        succeeds.map_or(Ok(()), |succession| succession_fits(succession, registry, (registry_jwk, origin), sro))
    }

    pub(super) fn fold_genesis(
        &mut self,
        registry: &Did,
        (registry_jwk, origin): (&Jwk, &str),
        sro: &[SroPerson],
        succeeds: Option<&Envelope<LogSucceeded>>,
    ) {
        self.genesis = Some(Arc::new(Genesis {
            registry: registry.clone(),
            registry_jwk: registry_jwk.clone(),
            origin: origin.to_owned(),
            sro: sro.to_vec(),
            registry_keys: vec![RegistryKey { jwk: registry_jwk.clone(), from: 0, until: None }],
            succeeds: succeeds.cloned(),
        }));
    }
}

/// A log that continues another one names it, goes by a new origin, and two people of its own SRO say so.
fn succession_fits(
    envelope: &Envelope<LogSucceeded>,
    registry: &Did,
    (registry_jwk, origin): (&Jwk, &str),
    sro: &[SroPerson],
) -> R<()> {
    let succession = read(envelope)?;
    if succession.new_key.is_some_and(|key| key != registry_jwk.thumbprint()) {
        return Err(transition("the log begins with another key than its succession names").at("succeeds.new_key"));
    }
    if succession.registry != *registry || succession.new_origin != origin || succession.old_origin == origin {
        let sentence = "a succession names this registry, the closed log's origin and this log's own, new one";
        return Err(transition(sentence).at("succeeds"));
    }
    let signed = |p: &&SroPerson| {
        let kid = KeyId::new(&p.did, p.jwk.thumbprint());
        envelope.signatures.iter().any(|s| s.kid == kid)
    };
    if envelope.signatures.len() != 2 || sro.iter().filter(signed).count() != 2 {
        return Err(Refusal::new(Code::TwoPeopleNeeded, "two different SRO people sign a succession").at("succeeds"));
    }
    Ok(())
}
