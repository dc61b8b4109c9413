//! `cluster`, `clusters`, `respond` and `rewrite`: where a route's requests go.

use serde::Serialize;

/// What Envoy does with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It forwards the request to a cluster.
    Forward(Forward),
    /// It answers by itself.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// The body. May be empty.
        body: String,
    },
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// One cluster or more. A cluster's share is its weight out of the sum, which is 1 to 2^32 - 1.
    pub clusters: Vec<WeightedCluster>,
    /// What replaces the matched prefix. It follows the rules of
    /// [`PathMatch::Prefix`](super::PathMatch::Prefix), and needs a prefix match.
    pub rewrite_prefix: Option<String>,
}

/// A share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The cluster's name, which exists.
    pub cluster: String,
    /// Its weight. 0 means no traffic.
    pub weight: u32,
}
