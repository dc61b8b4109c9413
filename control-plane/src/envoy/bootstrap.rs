//! The bootstrap with which an Envoy joins: who it is, and where the control plane is.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use legation_protos::{
    pack,
    pb::envoy::{
        config::{
            bootstrap::v3::{Admin, Bootstrap, bootstrap::DynamicResources, bootstrap::StaticResources},
            cluster::v3::{
                Cluster,
                cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily},
            },
            core::v3::{
                ApiConfigSource, ApiVersion, BackoffStrategy, GrpcService, Http2ProtocolOptions, KeepaliveSettings,
                Node, RetryPolicy,
                api_config_source::ApiType,
                grpc_service::{self, EnvoyGrpc},
            },
        },
        extensions::upstreams::http::v3::{
            HttpProtocolOptions,
            http_protocol_options::{
                ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
            },
        },
    },
};

use crate::{
    model::HostPort,
    translate::{
        common::{duration, from_ads, tcp_address},
        endpoints,
    },
};

/// The name of the control plane's own cluster in an Envoy that joins; no cluster of the file may have it.
pub const XDS_CLUSTER: &str = "legation-xds";

/// A half-open connection to the control plane is found out after the interval and the timeout together.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Between attempts to reach the control plane. Envoy's own pause grows to 30 s: too long for one that was only restarted.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an Envoy joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// Its name in `/status`.
    pub node_id: String,
    /// The group it belongs to.
    pub node_cluster: String,
    /// The control plane's host name or address.
    pub xds_host: String,
    /// The control plane's xDS port.
    pub xds_port: u16,
    /// Where its admin interface listens.
    pub admin: SocketAddr,
    /// State of the world rather than delta.
    pub sotw: bool,
}

/// The bootstrap.
pub fn bootstrap(join: &Join) -> Bootstrap {
    Bootstrap {
        node: Some(Node { id: join.node_id.clone(), cluster: join.node_cluster.clone(), ..Node::default() }),
        admin: Some(Admin {
            address: Some(tcp_address(join.admin.ip().to_string(), join.admin.port())),
            ..Admin::default()
        }),
        dynamic_resources: Some(DynamicResources {
            ads_config: Some(ads(join.sotw)),
            cds_config: Some(from_ads()),
            lds_config: Some(from_ads()),
            ..DynamicResources::default()
        }),
        static_resources: Some(StaticResources { clusters: vec![xds_cluster(join)], ..StaticResources::default() }),
        ..Bootstrap::default()
    }
}

fn ads(sotw: bool) -> ApiConfigSource {
    let api_type = if sotw { ApiType::Grpc } else { ApiType::DeltaGrpc };
    ApiConfigSource {
        api_type: api_type.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![GrpcService {
            target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(EnvoyGrpc {
                cluster_name: XDS_CLUSTER.to_owned(),
                retry_policy: Some(RetryPolicy {
                    retry_back_off: Some(BackoffStrategy {
                        base_interval: Some(duration(FIRST_PAUSE)),
                        max_interval: Some(duration(LONGEST_PAUSE)),
                    }),
                    ..RetryPolicy::default()
                }),
                ..EnvoyGrpc::default()
            })),
            ..GrpcService::default()
        }],
        // Only the first request of a stream need say who asks.
        set_node_on_first_message_only: true,
        ..ApiConfigSource::default()
    }
}

fn xds_cluster(join: &Join) -> Cluster {
    let keepalive = KeepaliveSettings {
        interval: Some(duration(KEEPALIVE_INTERVAL)),
        timeout: Some(duration(KEEPALIVE_TIMEOUT)),
        ..KeepaliveSettings::default()
    };
    let http2 = Http2ProtocolOptions { connection_keepalive: Some(keepalive), ..Http2ProtocolOptions::default() };
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(http2)),
        })),
        ..HttpProtocolOptions::default()
    };
    let control_plane = HostPort { host: join.xds_host.clone(), port: join.xds_port };
    Cluster {
        name: XDS_CLUSTER.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into())),
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        connect_timeout: Some(duration(CONNECT_TIMEOUT)),
        load_assignment: Some(endpoints::from_names(XDS_CLUSTER, &[control_plane])),
        typed_extension_protocol_options: HashMap::from([(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(),
            pack(&options),
        )]),
        ..Cluster::default()
    }
}
