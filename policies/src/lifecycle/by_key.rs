//! Which contracts a key signed, of those that may still be stopped: so that a report of a key reads these and no others.
//! A contract leaves the index when it ends, by an entry or by the clock as an entry tells it; so the index never has more
//! rows than signatures on living contracts. It follows from the contracts alone and is kept in no row of its own.

use schemas::Digest;
use schemas::contract::ContractState;

use super::table::Table;
use super::{ContractRow, State};

/// Thumbprint of a key and digest of a contract that it signed.
pub(super) type ByKey = Table<(String, Digest), ()>;

impl State {
    /// The contracts that are not known to have ended and that this key signed, by digest.
    pub fn living_contracts_of_key(&self, thumbprint: &str) -> Vec<Digest> {
        let of = |digest| (thumbprint.to_owned(), Digest(digest));
        self.by_key.range(of([0; 32])..=of([0xff; 32])).map(|((_, sha256), ())| *sha256).collect()
    }

    /// Brings the index up to date with a contract whose signatures or end changed.
    pub(super) fn index_contract(&mut self, sha256: &Digest) {
        let Some(row) = self.contracts.get(sha256) else { return };
        for key in keys(row) {
            if living(row) { self.by_key.put(key, ()) } else { self.by_key.remove(&key) }
        }
    }

    /// Takes a signature of a contract out of the index.
    pub(super) fn unindex_signature(&mut self, thumbprint: &str, sha256: &Digest) {
        self.by_key.remove(&(thumbprint.to_owned(), *sha256));
    }
}

/// The index of these contracts.
pub(super) fn index(contracts: &Table<Digest, ContractRow>) -> ByKey {
    let mut index = ByKey::default();
    let living = contracts.iter().map(|(_, row)| row).filter(|row| living(row));
    living.flat_map(keys).for_each(|key| index.put(key, ()));
    index
}

fn keys(row: &ContractRow) -> Vec<(String, Digest)> {
    row.signatures.iter().map(|s| (s.kid.thumbprint.clone(), row.sha256)).collect()
}

/// Neither an entry nor the clock, as far as it is told, has ended it.
fn living(row: &ContractRow) -> bool {
    use ContractState::{Expired, Lapsed, Revoked};
    row.ended.is_none() && !matches!(row.told, Some(Expired | Lapsed | Revoked))
}
