//! Clusters (CDS). A cluster whose endpoints are addresses gets them by EDS, so that they change
//! without touching the cluster.

use std::{collections::HashMap, time::Duration};

use legation_protos::{
    pack,
    pb::envoy::config::cluster::v3::{
        Cluster,
        cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig},
    },
};
use serde::Serialize;

use super::{
    cluster::{circuit_breaker, lb, protocol, tls},
    common::{duration, from_ads},
    endpoints, flow_control,
    tls::Secrets,
};
use crate::model::{self, ClusterTls, Endpoints, HostPort, LoadBalancing, Protocol};

/// The name of the extension with HTTP settings. Envoy requires the name of its message.
const HTTP_PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The fragment of a cluster's resource: all of the cluster except the addresses that EDS serves.
#[derive(Serialize)]
pub(super) struct ClusterFragment<'a> {
    name: &'a str,
    /// The endpoints, if Envoy resolves them. `None` if EDS serves them.
    names: Option<&'a [HostPort]>,
    protocol: Protocol,
    lb: LoadBalancing,
    connect_timeout: Duration,
    tls: Option<TlsFragment<'a>>,
}

/// The paths of files are not in it, since secrets have names of their own.
#[derive(Serialize)]
struct TlsFragment<'a> {
    server_name: &'a str,
    ca: bool,
    certificate: bool,
}

pub(super) fn fragment(cluster: &model::Cluster) -> ClusterFragment<'_> {
    ClusterFragment {
        name: &cluster.name,
        names: match &cluster.endpoints {
            Endpoints::Addresses(_) => None,
            Endpoints::Names(names) => Some(names),
        },
        protocol: cluster.protocol,
        lb: cluster.lb,
        connect_timeout: cluster.connect_timeout,
        tls: cluster.tls.as_ref().map(tls_fragment),
    }
}

fn tls_fragment(tls: &ClusterTls) -> TlsFragment<'_> {
    TlsFragment { server_name: &tls.server_name, ca: tls.ca.is_some(), certificate: tls.certificate.is_some() }
}

pub(super) fn cluster(cluster: &model::Cluster, secrets: Secrets<'_>) -> Cluster {
    let fragment = fragment(cluster);
    let (discovery, eds_cluster_config, load_assignment) = match fragment.names {
        None => (
            DiscoveryType::Eds,
            Some(EdsClusterConfig { eds_config: Some(from_ads()), service_name: String::new() }),
            None,
        ),
        Some(names) => (DiscoveryType::StrictDns, None, Some(endpoints::from_names(fragment.name, names))),
    };
    Cluster {
        name: fragment.name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
        eds_cluster_config,
        load_assignment,
        connect_timeout: Some(duration(fragment.connect_timeout)),
        per_connection_buffer_limit_bytes: flow_control::buffer_limit(),
        lb_policy: lb::lb_policy(fragment.lb).into(),
        circuit_breakers: Some(circuit_breaker::circuit_breakers()),
        // With both families, a name would give each endpoint twice, and one of the two often does
        // not listen.
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        transport_socket: cluster.tls.as_ref().map(|tls| tls::upstream(&cluster.name, tls, cluster.protocol, secrets)),
        typed_extension_protocol_options: HashMap::from([(
            HTTP_PROTOCOL_OPTIONS.to_owned(),
            pack(&protocol::options(cluster)),
        )]),
        ..Cluster::default()
    }
}
