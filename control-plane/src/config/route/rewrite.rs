//! `rewrite`: what changes in a request on its way to the cluster.

use crate::config::{
    decode::mapping,
    leaf::{PathPrefix, path_prefix},
};

mapping! {
    /// What changes in a request on its way to the cluster.
    Rewrite, "`rewrite`", "{prefix: /v2}" {
        /// What takes the place of the prefix that `match` names.
        unless_planned prefix: PathPrefix,
    }
    planned: path regex host map_back;
}

/// What takes the place of the matched prefix.
pub fn resolve(rewrite: &Rewrite) -> Option<String> {
    rewrite.prefix.get().map(|prefix| path_prefix(prefix))
}
