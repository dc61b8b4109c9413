//! The snapshot that each node should have. A plan never changes; the next one replaces it.

use std::{collections::BTreeMap, sync::Arc};

use crate::snapshot::Snapshot;

/// One snapshot for all nodes, with a few exceptions: nodes that try a new one first, and nodes
/// that rejected it. Only exceptions take memory, however many nodes there are.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    all: Option<Arc<Snapshot>>,
    exceptions: BTreeMap<Arc<str>, Arc<Snapshot>>,
}

impl Plan {
    /// Makes a plan in which all nodes should have this snapshot. Without one, the server answers
    /// nothing yet.
    pub fn all(snapshot: Option<Arc<Snapshot>>) -> Self {
        Self { all: snapshot, exceptions: BTreeMap::new() }
    }

    /// Adds an exception for the node with this id.
    pub fn except(&mut self, node: Arc<str>, snapshot: Arc<Snapshot>) {
        self.exceptions.insert(node, snapshot);
    }

    /// Returns the snapshot for the node with this id.
    pub fn target(&self, node: &str) -> Option<&Arc<Snapshot>> {
        self.exceptions.get(node).or(self.all.as_ref())
    }

    /// Returns the snapshot for nodes without an exception.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.all.as_ref()
    }

    /// Returns the generation for nodes without an exception.
    pub fn generation(&self) -> Option<u64> {
        self.all.as_ref().map(|snapshot| snapshot.generation())
    }

    /// Returns whether both plans are the same for every node.
    pub fn same_as(&self, other: &Self) -> bool {
        let all = match (&self.all, &other.all) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let mut exceptions = self.exceptions.iter().zip(&other.exceptions);
        all && self.exceptions.len() == other.exceptions.len()
            && exceptions.all(|((a, at), (b, bt))| a == b && Arc::ptr_eq(at, bt))
    }
}
