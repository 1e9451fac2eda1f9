//! A map whose clone is free and whose rows are shared: a change copies one path of the tree and one row, so that every
//! batch can begin with a clone of the state and two states can be compared without reading what they share.

use std::ops::RangeBounds;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

/// An ordered map of shared rows.
#[derive(Clone, Debug)]
pub(crate) struct Table<K: Ord, V>(OrdMap<K, Row<V>>);

/// A row shared between states; one that is the same row is not compared.
#[derive(Debug)]
struct Row<V>(Arc<V>);

impl<V> Clone for Row<V> {
    fn clone(&self) -> Self {
        Row(Arc::clone(&self.0))
    }
}

impl<V: PartialEq> PartialEq for Row<V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<K: Ord + Clone, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.diff(&other.0).next().is_none()
    }
}

impl<K: Ord + Clone, V: Clone> Default for Table<K, V> {
    fn default() -> Self {
        Table(OrdMap::new())
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|row| row.0.as_ref())
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.0.insert(key, Row(Arc::new(value)));
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// The row to change; a row shared with a snapshot is copied first.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(|row| Arc::make_mut(&mut row.0))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(k, row)| (k, row.0.as_ref()))
    }

    pub(crate) fn range<B: RangeBounds<K>>(&self, bounds: B) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range::<B, K>(bounds).map(|(k, row)| (k, row.0.as_ref()))
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> Table<K, V> {
    /// The rows that differ from an older table, with the row as it is now; none where it is gone.
    pub(crate) fn changed_since<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = (&'a K, Option<&'a V>)> {
        older.0.diff(&self.0).map(|change| match change {
            DiffItem::Add(key, row) | DiffItem::Update { new: (key, row), .. } => (key, Some(row.0.as_ref())),
            DiffItem::Remove(key, _) => (key, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_its_rows_and_the_difference_names_what_changed() {
        let mut table = Table::default();
        for n in 0..1000 {
            table.put(n, n);
        }
        let before = table.clone();
        assert_eq!(table, before);
        *table.get_mut(&7).unwrap() = 70;
        table.put(1000, 1);
        table.remove(&8);
        assert_eq!((before.get(&7), table.get(&7)), (Some(&7), Some(&70)));
        let changed: Vec<_> = table.changed_since(&before).collect();
        assert_eq!(changed, [(&7, Some(&70)), (&8, None), (&1000, Some(&1))]);
        assert_ne!(table, before);
        assert_eq!(table.range(5..9).map(|(k, _)| *k).collect::<Vec<_>>(), [5, 6, 7]);
        assert!(table.contains(&9) && !table.contains(&8));
    }
}
