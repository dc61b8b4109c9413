//! Noticing what is given twice.

use std::collections::{BTreeMap, btree_map::Entry};

use super::node::Span;

/// Where things were first given.
#[derive(Debug)]
pub struct Places<K>(BTreeMap<K, Span>);

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Places<K> {
    /// The place where `key` was given before. If it was not, `at` becomes its place.
    pub fn earlier(&mut self, key: K, at: Span) -> Option<Span> {
        match self.0.entry(key) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(at);
                None
            }
        }
    }
}
