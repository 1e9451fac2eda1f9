//! Who listens: the endpoints that are switched on, kept in memory until one of them changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use schemas::R;
use schemas::id::{Did, EndpointId};

use crate::Registry;
use crate::conn::Db;
use crate::endpoint::{self, Endpoint};
use crate::error::Fault;
use crate::outbox::Walk;

/// Who listens, how often that was changed, and where something waits that no entry caused.
#[derive(Default)]
pub(crate) struct Listening {
    count: AtomicU64,
    kept: Mutex<Option<(u64, Arc<Listeners>)>>,
    stirred: Mutex<BTreeSet<EndpointId>>,
    walks: Mutex<HashMap<EndpointId, Walk>>,
}

/// The endpoints that are switched on, paused ones among them, by their owners. Does not change under its holder.
#[derive(Debug, Default)]
pub struct Listeners {
    by_owner: BTreeMap<Did, Vec<Arc<Endpoint>>>,
    owners: HashMap<EndpointId, Did>,
}

impl From<Vec<Endpoint>> for Listeners {
    fn from(all: Vec<Endpoint>) -> Listeners {
        let mut by_owner: BTreeMap<Did, Vec<Arc<Endpoint>>> = BTreeMap::new();
        let owners = all.iter().map(|endpoint| (endpoint.endpoint_id.clone(), endpoint.owner.clone())).collect();
        for endpoint in all {
            by_owner.entry(endpoint.owner.clone()).or_default().push(Arc::new(endpoint));
        }
        Listeners { by_owner, owners }
    }
}

impl Listeners {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_owner.values().flatten()
    }

    /// Who has any.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Did> {
        self.by_owner.keys()
    }

    /// Whose an endpoint is.
    pub(crate) fn owner(&self, endpoint: &EndpointId) -> Option<&Did> {
        self.owners.get(endpoint)
    }

    /// Those of one owner.
    pub(crate) fn of(&self, owner: &Did) -> &[Arc<Endpoint>] {
        self.by_owner.get(owner).map_or(&[], Vec::as_slice)
    }
}

impl Registry {
    /// The endpoints that are switched on. Kept until one of them changes; only the process that writes may rely on it.
    pub fn listeners(&self) -> R<Arc<Listeners>> {
        let shared = &self.shared;
        // The count before the rows: a change that comes between is seen at the next call.
        let now = shared.listening.count.load(Ordering::Acquire);
        let mut kept = shared.listening.kept.lock().unwrap_or_else(|p| p.into_inner());
        if let Some((_, listeners)) = kept.as_ref().filter(|(count, _)| *count == now) {
            return Ok(Arc::clone(listeners));
        }
        let listeners = Arc::new(Listeners::from(self.read(endpoint::switched_on)?));
        *kept = Some((now, Arc::clone(&listeners)));
        Ok(listeners)
    }

    /// Counts what was changed about endpoints here; it moves after the commit.
    pub fn webhook_changes(&self) -> u64 {
        self.shared.listening.count.load(Ordering::Acquire)
    }

    /// Forgets what [`Registry::listeners`] keeps: another process may have changed it.
    pub fn forget_listeners(&self) {
        self.shared.listening.count.fetch_add(1, Ordering::AcqRel);
    }

    /// The endpoints for which something waits that no entry caused: a test, or what is sent once more. Each is named once.
    pub fn stirred(&self) -> BTreeSet<EndpointId> {
        std::mem::take(&mut *self.shared.listening.stirred.lock().unwrap_or_else(|p| p.into_inner()))
    }

    /// Something waits for an endpoint: the deliverer looks there, and a walk through what waits begins anew.
    pub(crate) fn stir(&self, endpoint: &EndpointId) {
        let listening = &self.shared.listening;
        listening.walks.lock().unwrap_or_else(|p| p.into_inner()).remove(endpoint);
        listening.stirred.lock().unwrap_or_else(|p| p.into_inner()).insert(endpoint.clone());
    }

    /// A look at an ordered endpoint, which goes on with its walk.
    pub(crate) fn walked<T>(
        &self,
        endpoint: &EndpointId,
        look: impl FnOnce(&mut Walk) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let walks = || self.shared.listening.walks.lock().unwrap_or_else(|p| p.into_inner());
        let mut walk = walks().remove(endpoint).unwrap_or_default();
        let seen = look(&mut walk);
        if walk.is_on() {
            walks().insert(endpoint.clone(), walk);
        }
        seen
    }

    /// A write about one endpoint after which the deliverer follows the endpoints anew. Its walk begins anew; those of others
    /// go on, or else whoever pauses and resumes would have every long backlog of others walked through from its beginning.
    pub(crate) fn told_otherwise<T: Send + 'static>(
        &self,
        endpoint: &EndpointId,
        act: impl FnMut(&mut Db) -> Result<T, Fault> + Send + 'static,
    ) -> R<T> {
        let done = self.write(act);
        self.shared.listening.walks.lock().unwrap_or_else(|p| p.into_inner()).remove(endpoint);
        self.forget_listeners();
        done
    }
}
