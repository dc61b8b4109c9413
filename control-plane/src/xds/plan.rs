//! Which snapshot each node is to be at. A plan is made whole and never changes. The next plan
//! replaces it.

use std::{collections::BTreeMap, sync::Arc};

use crate::snapshot::Snapshot;

/// One snapshot for all nodes, except for a few that are at another: the nodes that try a new
/// snapshot first, and those that rejected it. A plan costs what its exceptions cost, however many
/// nodes there are.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    all: Option<Arc<Snapshot>>,
    exceptions: BTreeMap<Arc<str>, Arc<Snapshot>>,
}

impl Plan {
    /// All nodes are to be at this snapshot. Without one, the server does not answer yet.
    pub fn all(snapshot: Option<Arc<Snapshot>>) -> Self {
        Self { all: snapshot, exceptions: BTreeMap::new() }
    }

    /// Adds an exception for the node with this id.
    pub fn except(&mut self, node: Arc<str>, snapshot: Arc<Snapshot>) {
        self.exceptions.insert(node, snapshot);
    }

    /// The snapshot that the node of this id is to be at.
    pub fn target(&self, node: &str) -> Option<&Arc<Snapshot>> {
        self.exceptions.get(node).or(self.all.as_ref())
    }

    /// The snapshot of all nodes that are no exception.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.all.as_ref()
    }

    /// The generation of all nodes that are no exception.
    pub fn generation(&self) -> Option<u64> {
        self.all.as_ref().map(|snapshot| snapshot.generation())
    }

    /// Whether both plans send every node to the same snapshot.
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
