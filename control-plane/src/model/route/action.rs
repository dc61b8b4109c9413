//! `cluster`, `clusters`, `respond` and `rewrite`: what becomes of a route's requests.

use serde::Serialize;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes to a cluster.
    Forward(Forward),
    /// The gateway answers by itself.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// The body; may be empty.
        body: String,
    },
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// One cluster or more; each weight counts against the sum, which is at least 1 and at most 2^32 - 1.
    pub clusters: Vec<WeightedCluster>,
    /// What the matched prefix becomes, by the same rules as [`PathMatch::Prefix`](super::PathMatch::Prefix). Only with a prefix match.
    pub rewrite_prefix: Option<String>,
}

/// A share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The cluster's name, which exists.
    pub cluster: String,
    /// Its share; 0 is none.
    pub weight: u32,
}
