//! A drafted contract against the rules of the register, before anybody signs it.

use contract_client::Client;
use schemas::contract::Contract;
use schemas::{Envelope, R, Timestamp};
use serde::Serialize;
use signing::Trust;

/// A draft that the register's rules have nothing against.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// The contract's digest.
    pub sha256: schemas::Digest,
    /// Datasets whose verified offers it was compared with.
    pub datasets: usize,
}

/// Fetches and verifies every offer that a draft names and asks the rules that the service asks: terms, privacy, period,
/// parties. The first refusal is returned as the service would give it; templates and states are the service's to judge.
pub fn check(client: &Client, draft: &Envelope<Contract>, trust: &Trust, now: Timestamp) -> R<Checked> {
    let contract = draft.read_unverified()?;
    let offers: R<Vec<_>> =
        contract.datasets.iter().map(|d| crate::dataset::verified_offer(client, trust, &d.dataset_id)).collect();
    let offers = offers?;
    let pinned: Vec<_> = offers.iter().map(|o| (o.digest(), &***o)).collect();
    policies::registration::contract(&contract, &pinned, &trust.registry, now)?;
    Ok(Checked { sha256: draft.digest(), datasets: offers.len() })
}
