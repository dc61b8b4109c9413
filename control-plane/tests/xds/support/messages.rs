//! Envoy's messages for a gateway of one listener, one route and one cluster.

use legation::{origin::Origin, snapshot::Resource};
use legation_protos::{
    ResourceType, pack,
    pb::{
        envoy::{
            config::{
                cluster::v3::{
                    Cluster,
                    cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
                },
                core::v3::{
                    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Locality, SocketAddress, address,
                    config_source::ConfigSourceSpecifier, socket_address::PortSpecifier,
                },
                endpoint::v3::{
                    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
                },
                listener::v3::{ApiListener, Filter, FilterChain, Listener, filter},
                route::v3::{
                    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route, route_action, route_match,
                },
            },
            extensions::filters::{
                http::router::v3::Router,
                network::http_connection_manager::v3::{
                    HttpConnectionManager, HttpFilter, Rds, http_connection_manager, http_filter,
                },
            },
        },
        google::protobuf::{Duration as ProtoDuration, UInt32Value},
    },
};
use prost::Message;

/// A message as a resource.
pub fn resource(kind: ResourceType, name: &str, message: &impl Message) -> (ResourceType, Resource) {
    let body = message.encode_to_vec();
    // These messages hold no maps, so their bytes are the same each time.
    let version = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&body));
    let origin = Origin { file: "gateway.yaml".into(), line: 1, column: 1 };
    (kind, Resource { name: name.into(), version: version.into(), body: body.into(), origin, service_name: None })
}

fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource::default())),
        ..ConfigSource::default()
    })
}

fn address(port: u16) -> Option<Address> {
    let port_specifier = Some(PortSpecifier::PortValue(port.into()));
    let socket = SocketAddress { address: "127.0.0.1".into(), port_specifier, ..SocketAddress::default() };
    Some(Address { address: Some(address::Address::SocketAddress(socket)) })
}

/// A cluster with endpoints from EDS.
pub fn eds_cluster(name: &str, connect_timeout: i64) -> Cluster {
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        connect_timeout: Some(ProtoDuration { seconds: connect_timeout, nanos: 0 }),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), ..EdsClusterConfig::default() }),
        ..Cluster::default()
    }
}

/// The one endpoint of a cluster, on this port.
pub fn endpoints(name: &str, port: u16) -> ClusterLoadAssignment {
    endpoints_at(name, &[port])
}

/// The endpoints of a cluster, on these ports, in one locality. It has a weight, since gRPC leaves
/// out a locality without one.
pub fn endpoints_at(name: &str, ports: &[u16]) -> ClusterLoadAssignment {
    let lb_endpoints = ports.iter().map(|port| {
        let endpoint = Endpoint { address: address(*port), ..Endpoint::default() };
        LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() }
    });
    let locality = LocalityLbEndpoints {
        locality: Some(Locality { region: "here".to_owned(), ..Locality::default() }),
        load_balancing_weight: Some(UInt32Value { value: 1 }),
        lb_endpoints: lb_endpoints.collect(),
        ..LocalityLbEndpoints::default()
    };
    ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}

/// A listener with routes of its own name from RDS.
pub fn listener(name: &str, port: u16) -> Listener {
    let manager = pack(&connection_manager(name));
    let filter = Filter { name: "http".to_owned(), config_type: Some(filter::ConfigType::TypedConfig(manager)) };
    Listener {
        name: name.to_owned(),
        address: address(port),
        filter_chains: vec![FilterChain { filters: vec![filter], ..FilterChain::default() }],
        ..Listener::default()
    }
}

/// The same for a client without a proxy, which has no socket.
pub fn api_listener(name: &str) -> Listener {
    Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(pack(&connection_manager(name))) }),
        ..Listener::default()
    }
}

fn connection_manager(name: &str) -> HttpConnectionManager {
    let router = HttpFilter {
        name: "router".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack(&Router::default()))),
        ..HttpFilter::default()
    };
    let rds = Rds { config_source: ads(), route_config_name: name.to_owned() };
    HttpConnectionManager {
        stat_prefix: name.to_owned(),
        route_specifier: Some(http_connection_manager::RouteSpecifier::Rds(rds)),
        http_filters: vec![router],
        ..HttpConnectionManager::default()
    }
}

/// Routes that lead everything to one cluster.
pub fn routes(name: &str, cluster: &str) -> RouteConfiguration {
    let action = RouteAction {
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..RouteAction::default()
    };
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(route_match::PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        action: Some(route::Action::Route(action)),
        ..Route::default()
    };
    let host = VirtualHost {
        name: "all".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    RouteConfiguration { name: name.to_owned(), virtual_hosts: vec![host], ..RouteConfiguration::default() }
}
