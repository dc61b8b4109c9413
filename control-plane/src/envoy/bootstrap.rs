//! The bootstrap with which an Envoy joins: its identity, and where the control plane is.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

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
                Address, ApiConfigSource, ApiVersion, BackoffStrategy, DataSource, GrpcService, Http2ProtocolOptions,
                KeepaliveSettings, Node, Pipe, RetryPolicy, TransportSocket, address,
                api_config_source::ApiType,
                data_source,
                grpc_service::{self, EnvoyGrpc},
                transport_socket,
            },
            metrics::v3::{StatsConfig, TagSpecifier, tag_specifier::TagValue},
        },
        extensions::transport_sockets::tls::v3::{
            CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, TlsCertificate, UpstreamTlsContext,
            common_tls_context::ValidationContextType, subject_alt_name_matcher::SanType,
        },
        extensions::upstreams::http::v3::{
            HttpProtocolOptions,
            http_protocol_options::{
                ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
            },
        },
        r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
    },
};

use super::overload::{Limits, overload_manager};
use crate::{
    model::HostPort,
    translate::{
        common::{duration, from_ads, tcp_address},
        endpoints,
        runtime::layered_runtime,
    },
};

/// The name of the control plane's own cluster in an Envoy that joins. No cluster of the file may
/// have it.
pub const XDS_CLUSTER: &str = "legation-xds";

/// Envoy finds out about a half-open connection to the control plane after the interval and the
/// timeout together.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause between attempts to reach the control plane. Envoy's own pause grows to 30 s, which is
/// too long for a control plane that was only restarted.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an Envoy joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// Its name in `/status`.
    pub node_id: String,
    /// The group it belongs to.
    pub node_cluster: String,
    /// Where the control plane is.
    pub xds: ControlPlaneAddress,
    /// Where its admin interface listens.
    pub admin: SocketAddr,
    /// State of the world rather than delta.
    pub sotw: bool,
    /// How much it takes before it refuses.
    pub limits: Limits,
}

/// Where the control plane is.
#[derive(Clone, Debug)]
pub enum ControlPlaneAddress {
    /// On the network.
    Port {
        /// Its host name or address.
        host: String,
        /// Its xDS port.
        port: u16,
        /// TLS, if the port has it.
        tls: Option<JoinTls>,
    },
    /// On the same machine: a socket file.
    Socket(PathBuf),
}

/// How an Envoy knows the control plane, and how the control plane knows it. All are PEM files on
/// Envoy's machine. Envoy reads them when it starts.
#[derive(Clone, Debug)]
pub struct JoinTls {
    /// The authorities that the control plane's certificate must come from.
    pub ca: String,
    /// Envoy's own certificate and its key.
    pub identity: Option<(String, String)>,
}

/// The filter counts decisions by names such as `wasmcustom.legation_requests.api.pro.passed`.
/// Envoy makes labels of their parts.
fn decision_labels() -> Vec<TagSpecifier> {
    let label = |name: &str, pattern: &str| TagSpecifier {
        tag_name: format!("legation_{name}"),
        tag_value: Some(TagValue::Regex(format!(r"^wasmcustom\.legation_requests{pattern}$"))),
    };
    vec![
        label("policy", r"(\.([^.]+))\.[^.]+\.[^.]+"),
        label("plan", r"\.[^.]+(\.([^.]+))\.[^.]+"),
        label("decision", r"\.[^.]+\.[^.]+(\.([^.]+))"),
    ]
}

/// The bootstrap.
pub fn bootstrap(join: &Join) -> Bootstrap {
    Bootstrap {
        node: Some(Node { id: join.node_id.clone(), cluster: join.node_cluster.clone(), ..Node::default() }),
        admin: Some(Admin {
            address: Some(tcp_address(join.admin.ip().to_string(), join.admin.port())),
            // The admin interface must not refuse a person who wants to know why Envoy refuses.
            ignore_global_conn_limit: true,
            ..Admin::default()
        }),
        dynamic_resources: Some(DynamicResources {
            ads_config: Some(ads(join.sotw)),
            cds_config: Some(from_ads()),
            lds_config: Some(from_ads()),
            ..DynamicResources::default()
        }),
        static_resources: Some(StaticResources { clusters: vec![xds_cluster(join)], ..StaticResources::default() }),
        overload_manager: Some(overload_manager(join.limits)),
        layered_runtime: Some(layered_runtime()),
        stats_config: Some(StatsConfig { stats_tags: decision_labels(), ..StatsConfig::default() }),
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
        // Only the first request of a stream need carry the node.
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
    let cluster = Cluster {
        name: XDS_CLUSTER.to_owned(),
        connect_timeout: Some(duration(CONNECT_TIMEOUT)),
        typed_extension_protocol_options: HashMap::from([(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(),
            pack(&options),
        )]),
        ..Cluster::default()
    };
    match &join.xds {
        ControlPlaneAddress::Port { host, port, tls } => Cluster {
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into())),
            dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
            load_assignment: Some(endpoints::from_names(XDS_CLUSTER, &[HostPort { host: host.clone(), port: *port }])),
            transport_socket: tls.as_ref().map(|tls| transport_socket(host, tls)),
            ..cluster
        },
        ControlPlaneAddress::Socket(path) => Cluster {
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
            load_assignment: Some(endpoints::at(XDS_CLUSTER, [socket_file(path)].into_iter())),
            ..cluster
        },
    }
}

fn socket_file(path: &Path) -> Address {
    let pipe = Pipe { path: path.display().to_string(), ..Pipe::default() };
    Address { address: Some(address::Address::Pipe(pipe)) }
}

/// The control plane must show a certificate of these authorities, for the host that Envoy was
/// told.
fn transport_socket(host: &str, tls: &JoinTls) -> TransportSocket {
    let is_address = host.parse::<IpAddr>().is_ok();
    let name = SubjectAltNameMatcher {
        san_type: if is_address { SanType::IpAddress } else { SanType::Dns }.into(),
        matcher: Some(StringMatcher { match_pattern: Some(MatchPattern::Exact(host.to_owned())), ignore_case: false }),
        ..SubjectAltNameMatcher::default()
    };
    let authorities = CertificateValidationContext {
        trusted_ca: Some(file(&tls.ca)),
        match_typed_subject_alt_names: vec![name],
        ..CertificateValidationContext::default()
    };
    let identity = tls.identity.as_ref().map(|(cert, key)| TlsCertificate {
        certificate_chain: Some(file(cert)),
        private_key: Some(file(key)),
        ..TlsCertificate::default()
    });
    let context = UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            alpn_protocols: vec!["h2".to_owned()],
            tls_certificates: identity.into_iter().collect(),
            validation_context_type: Some(ValidationContextType::ValidationContext(authorities)),
            ..CommonTlsContext::default()
        }),
        // An address sends no name (RFC 6066, section 3).
        sni: if is_address { String::new() } else { host.to_owned() },
        ..UpstreamTlsContext::default()
    };
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(pack(&context))),
    }
}

fn file(path: &str) -> DataSource {
    DataSource { specifier: Some(data_source::Specifier::Filename(path.to_owned())), ..DataSource::default() }
}
