//! Bundles opened lately. Reserve and release of a run open the same documents, and checking their signatures takes a
//! quarter of a release.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::R;
use schemas::bundle::JobBundle;
use signing::{OpenedBundle, Trust};

/// Bundles kept at most. A run needs its own from reserve to release; the oldest goes first.
const MOST: usize = 32;

/// A bundle, under what it was opened, and what came of it.
struct Kept {
    bundle: JobBundle,
    trust: Trust,
    opened: Arc<OpenedBundle>,
}

/// The bundles that this process opened lately. That signatures and receipts are good is a fact of the bundle's own
/// bytes and of the keys pinned: both are compared whole, and nothing else makes it untrue. What changes with time
/// (contracts in force, keys withdrawn, platforms) is judged each time, elsewhere.
#[derive(Default)]
pub(crate) struct Bundles(Mutex<VecDeque<Kept>>);

impl Bundles {
    /// The bundle opened as [`signing::open_bundle`] does; a refusal is not kept.
    pub(crate) fn open(&self, bundle: JobBundle, trust: Trust) -> R<Arc<OpenedBundle>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = lock().iter().find(|kept| kept.bundle == bundle && kept.trust == trust) {
            return Ok(kept.opened.clone());
        }
        let opened = Arc::new(signing::open_bundle(bundle.clone(), &trust)?);
        let mut all = lock();
        all.push_back(Kept { bundle, trust, opened: opened.clone() });
        if all.len() > MOST {
            all.pop_front();
        }
        Ok(opened)
    }
}
