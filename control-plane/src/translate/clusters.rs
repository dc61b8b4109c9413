//! Clusters (CDS). One with addresses only gets its endpoints by EDS, so that they move without touching the cluster.

use std::{collections::HashMap, time::Duration};

use legation_protos::{
    pack,
    pb::envoy::{
        config::{
            cluster::v3::{
                CircuitBreakers, Cluster, circuit_breakers,
                cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy},
            },
            route::v3::route_action::{
                HashPolicy,
                hash_policy::{ConnectionProperties, PolicySpecifier},
            },
        },
        extensions::upstreams::http::v3::{
            HttpProtocolOptions,
            http_protocol_options::{
                AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
                explicit_http_config::ProtocolConfig,
            },
        },
    },
    pb::google::protobuf::Any,
};
use serde::Serialize;

use super::{
    common::{duration, from_ads, u32_value},
    endpoints, flow_control,
    tls::{self, Secrets},
    trailers,
};
use crate::model::{self, ClusterTls, Endpoints, HostPort, LoadBalancing, Protocol};

/// How many requests a cluster takes at once, each of which may be a stream that lasts. Envoy's default of 1,024 is one of a mesh:
/// here 11 connections of HTTP/2 with idle streams would shut everybody else out. An idle stream takes 20 KiB of Envoy's memory.
const AT_ONCE: u32 = 10_000;

/// What a cluster's resource is made from: all of it but the addresses that EDS serves.
#[derive(Serialize)]
pub(super) struct ClusterFragment<'a> {
    name: &'a str,
    /// The endpoints, where Envoy resolves them; none, where EDS serves them.
    names: Option<&'a [HostPort]>,
    protocol: Protocol,
    lb: LoadBalancing,
    connect_timeout: Duration,
    tls: Option<TlsFragment<'a>>,
}

/// The files' paths are no part of it: their secrets have names of their own.
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
        lb_policy: lb_policy(fragment.lb).into(),
        circuit_breakers: Some(circuit_breakers()),
        // A name with both families would give each endpoint twice, one of which often does not listen.
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        transport_socket: cluster.tls.as_ref().map(|tls| tls::upstream(&cluster.name, tls, cluster.protocol, secrets)),
        typed_extension_protocol_options: protocol_options(cluster),
        ..Cluster::default()
    }
}

fn circuit_breakers() -> CircuitBreakers {
    let thresholds = circuit_breakers::Thresholds {
        max_connections: u32_value(AT_ONCE),
        max_pending_requests: u32_value(AT_ONCE),
        max_requests: u32_value(AT_ONCE),
        ..circuit_breakers::Thresholds::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}

fn lb_policy(lb: LoadBalancing) -> LbPolicy {
    match lb {
        LoadBalancing::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancing::LeastRequest => LbPolicy::LeastRequest,
        LoadBalancing::RingHash => LbPolicy::RingHash,
        LoadBalancing::Random => LbPolicy::Random,
        LoadBalancing::Maglev => LbPolicy::Maglev,
    }
}

/// How the cluster speaks HTTP, and what a balancer that hashes hashes: here and not in the routes, so that `lb` is a setting
/// of the cluster alone.
fn protocol_options(cluster: &model::Cluster) -> HashMap<String, Any> {
    let (protocol, lb) = (cluster.protocol, cluster.lb);
    let explicit =
        |config| UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) });
    let upstream_protocol_options = match protocol {
        Protocol::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(trailers::http1())),
        Protocol::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(flow_control::http2(flow_control::STREAMS))),
        Protocol::Auto if cluster.tls.is_some() => UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http_protocol_options: Some(trailers::http1()),
            http2_protocol_options: Some(flow_control::http2(flow_control::STREAMS)),
            ..AutoHttpConfig::default()
        }),
        Protocol::Auto => UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(trailers::http1()),
            http2_protocol_options: Some(flow_control::http2(flow_control::STREAMS)),
            ..UseDownstreamHttpConfig::default()
        }),
    };
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(upstream_protocol_options),
        hash_policy: if lb.hashes() { vec![client_address_hash()] } else { Vec::new() },
        ..HttpProtocolOptions::default()
    };
    HashMap::from([("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), pack(&options))])
}

fn client_address_hash() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })),
        terminal: false,
    }
}
