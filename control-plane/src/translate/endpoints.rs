//! Endpoints: EDS serves them, or the cluster holds them if Envoy resolves names.

use std::net::SocketAddr;

use legation_protos::pb::envoy::config::{
    core::v3::Address,
    endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier},
};

use super::common::tcp_address;
use crate::model::{Endpoints, HostPort};

/// Returns the load assignment of a cluster.
pub(super) fn assignment(cluster: &str, endpoints: &Endpoints) -> ClusterLoadAssignment {
    match endpoints {
        Endpoints::Addresses(addresses) => from_addresses(cluster, addresses),
        Endpoints::Names(names) => from_names(cluster, names),
    }
}

pub(super) fn from_addresses(cluster: &str, addresses: &[SocketAddr]) -> ClusterLoadAssignment {
    at(cluster, addresses.iter().map(|address| tcp_address(address.ip().to_string(), address.port())))
}

pub(crate) fn from_names(cluster: &str, names: &[HostPort]) -> ClusterLoadAssignment {
    at(cluster, names.iter().map(|name| tcp_address(name.host.clone(), name.port)))
}

pub(crate) fn at(cluster: &str, addresses: impl Iterator<Item = Address>) -> ClusterLoadAssignment {
    let lb_endpoints: Vec<_> = addresses
        .map(|address| LbEndpoint {
            host_identifier: Some(HostIdentifier::Endpoint(Endpoint { address: Some(address), ..Endpoint::default() })),
            ..LbEndpoint::default()
        })
        .collect();
    // Envoy's form of no endpoints has no locality. An empty locality means the same.
    let endpoints = if lb_endpoints.is_empty() {
        Vec::new()
    } else {
        vec![LocalityLbEndpoints { lb_endpoints, ..LocalityLbEndpoints::default() }]
    };
    ClusterLoadAssignment { cluster_name: cluster.to_owned(), endpoints, ..ClusterLoadAssignment::default() }
}
