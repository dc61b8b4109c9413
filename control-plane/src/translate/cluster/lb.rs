//! `lb`: how Envoy chooses the endpoint of a request.

use legation_protos::pb::envoy::config::{
    cluster::v3::cluster::LbPolicy,
    route::v3::route_action::{
        HashPolicy,
        hash_policy::{ConnectionProperties, PolicySpecifier},
    },
};

use crate::model::LoadBalancing;

/// Returns Envoy's form of the word.
pub(in crate::translate) fn lb_policy(lb: LoadBalancing) -> LbPolicy {
    match lb {
        LoadBalancing::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancing::LeastRequest => LbPolicy::LeastRequest,
        LoadBalancing::RingHash => LbPolicy::RingHash,
        LoadBalancing::Random => LbPolicy::Random,
        LoadBalancing::Maglev => LbPolicy::Maglev,
    }
}

/// Returns the input of a hashing balancer. It is in the cluster and not in the routes, so an edit
/// of `lb` changes only the cluster.
pub(in crate::translate) fn hash_policy(lb: LoadBalancing) -> Vec<HashPolicy> {
    if lb.hashes() { vec![client_address()] } else { Vec::new() }
}

fn client_address() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })),
        terminal: false,
    }
}
