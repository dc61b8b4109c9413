//! Which snapshot each node is to be at. A plan is made whole and never changes; the next one replaces it.

use std::{collections::BTreeMap, sync::Arc};

use crate::snapshot::Snapshot;

/// One snapshot for all nodes, but for a few that are at another: those that try a new one first, and those that could not
/// take it. It costs what the exceptions cost, however many nodes there are.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    all: Option<Arc<Snapshot>>,
    exceptions: BTreeMap<Arc<str>, Arc<Snapshot>>,
}

impl Plan {
    /// All are to be at this snapshot; at none, nothing is answered yet.
    pub fn all(snapshot: Option<Arc<Snapshot>>) -> Self {
        Self { all: snapshot, exceptions: BTreeMap::new() }
    }

    /// The node of this id is to be at another one.
    pub fn except(&mut self, node: Arc<str>, snapshot: Arc<Snapshot>) {
        self.exceptions.insert(node, snapshot);
    }

    /// What the node of this id is to be at.
    pub fn target(&self, node: &str) -> Option<&Arc<Snapshot>> {
        self.exceptions.get(node).or(self.all.as_ref())
    }

    /// What all are to be at who are no exception.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.all.as_ref()
    }

    /// The generation that all are to be at who are no exception.
    pub fn generation(&self) -> Option<u64> {
        self.all.as_ref().map(|snapshot| snapshot.generation())
    }

    /// Whether both say the same of every node.
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
