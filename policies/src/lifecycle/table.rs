//! A map whose clone is free and whose rows are shared: snapshots of the state cost no copy until a table changes.

use std::collections::BTreeMap;
use std::sync::Arc;

/// An ordered map of shared rows.
#[derive(Debug, PartialEq)]
pub(super) struct Table<K: Ord, V>(Arc<BTreeMap<K, Arc<V>>>);

impl<K: Ord, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table(Arc::clone(&self.0))
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(super) fn new() -> Table<K, V> {
        Table(Arc::new(BTreeMap::new()))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(Arc::as_ref)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        Arc::make_mut(&mut self.0).insert(key, Arc::new(value));
    }

    /// The row to change; a row shared with a snapshot is copied first.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        Arc::make_mut(&mut self.0).get_mut(key).map(Arc::make_mut)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(k, v)| (k, v.as_ref()))
    }

    pub(super) fn range<B: std::ops::RangeBounds<K>>(&self, bounds: B) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range(bounds).map(|(k, v)| (k, v.as_ref()))
    }
}
