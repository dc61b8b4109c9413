//! Listeners (LDS).
//!
//! A change here drains connections. So everything that changes often travels elsewhere: routes by
//! RDS, the filters' configurations by ECDS. Filters are in every chain from the start, and routes
//! turn them on. Hence the first key in a file changes no listener.

use std::{net::IpAddr, path::Path};

use legation_filter::identity::{CONSUMER_HEADER, METADATA_PREFIX, PLAN_HEADER};
use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::{
                core::v3::{
                    HttpProtocolOptions, TypedExtensionConfig, http_protocol_options::HeadersWithUnderscoresAction,
                },
                listener::v3::{Filter, FilterChain, Listener, ListenerFilter, filter, listener_filter},
                route::v3::RouteConfiguration,
            },
            extensions::{
                filters::{
                    listener::tls_inspector::v3::TlsInspector,
                    network::connection_limit::v3::ConnectionLimit,
                    network::http_connection_manager::v3::{
                        HttpConnectionManager, HttpFilter, Rds,
                        http_connection_manager::{
                            PathWithEscapedSlashesAction, RouteSpecifier, ServerHeaderTransformation,
                        },
                    },
                },
                http::early_header_mutation::header_mutation::v3::HeaderMutation,
            },
        },
        google::protobuf,
    },
};
use prost::{Message, Name};
use serde::Serialize;

use super::{
    chain,
    common::{bool_value, duration, from_ads, remove, remove_all, tcp_address, u32_value},
    extensions::Inputs,
    flow_control,
    listener::tls,
    tls::Secrets,
    trailers, version,
};
use crate::model::{self, ListenerLimits, TlsVersion, route::timeouts::MAX_STREAM};

/// How long a client may take to send a request's headers. By default Envoy waits for ever.
const REQUEST_HEADERS_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 10, nanos: 0 };
/// How long a client may keep a connection without a request under way. Envoy's default is an hour,
/// which is too long, since anybody can open connections by the thousand. A load balancer in front
/// may keep connections for ten minutes (Google Cloud's does). With a shorter timeout here it would
/// send requests over connections that are just being closed.
const IDLE_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 11 * 60, nanos: 0 };
/// How long a client may take for a TLS handshake. By default Envoy waits for ever.
const HANDSHAKE_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 10, nanos: 0 };
/// How long Envoy waits for the first bytes before it goes on without them. The time for the
/// handshake begins only then. Envoy's default is 15 s.
const FIRST_BYTES_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 5, nanos: 0 };

/// The filter that bounds and counts the connections of a listener.
pub const CONNECTION_LIMIT: &str = "envoy.filters.network.connection_limit";

/// The fragment of a listener's resource. The paths of certificates are not in it, since secrets
/// have names of their own.
#[derive(Serialize)]
pub(super) struct ListenerFragment<'a> {
    name: &'a str,
    address: IpAddr,
    port: u16,
    tls: Option<TlsFragment>,
    limits: ListenerLimits,
}

#[derive(Serialize)]
struct TlsFragment {
    min_version: TlsVersion,
    client_ca: bool,
}

pub(super) fn fragment(listener: &model::Listener) -> ListenerFragment<'_> {
    let tls = listener.tls.as_ref();
    ListenerFragment {
        name: &listener.name,
        address: listener.address,
        port: listener.port,
        limits: listener.limits,
        tls: tls.map(|tls| TlsFragment { min_version: tls.min_version, client_ca: tls.client_ca.is_some() }),
    }
}

/// Returns the listener. Envoy discovers its routes and its filters' configurations.
pub(super) fn listener(listener: &model::Listener) -> Listener {
    let routes = RouteSpecifier::Rds(Rds { config_source: Some(from_ads()), route_config_name: listener.name.clone() });
    build(listener, routes, chain::discovered(), Secrets::Discovered)
}

/// Returns the same listener with everything in it, except the certificates. Their paths are
/// relative to `folder`.
pub(super) fn static_listener(
    listener: &model::Listener,
    routes: RouteConfiguration,
    inputs: &Inputs<'_>,
    folder: &Path,
) -> Listener {
    build(listener, RouteSpecifier::RouteConfig(routes), chain::inline(inputs), Secrets::Files(folder))
}

fn build(
    listener: &model::Listener,
    routes: RouteSpecifier,
    filters: Vec<HttpFilter>,
    secrets: Secrets<'_>,
) -> Listener {
    let manager = connection_manager(listener, routes, filters);
    Listener {
        name: listener.name.clone(),
        address: Some(tcp_address(listener.address.to_string(), listener.port)),
        filter_chains: vec![FilterChain {
            name: listener.name.clone(),
            filters: vec![
                network_filter(CONNECTION_LIMIT, &connection_limit(listener)),
                network_filter("envoy.filters.network.http_connection_manager", &manager),
            ],
            transport_socket: listener.tls.as_ref().map(|tls| tls::downstream(&listener.name, tls, secrets)),
            transport_socket_connect_timeout: listener.tls.as_ref().map(|_| HANDSHAKE_TIMEOUT),
            ..FilterChain::default()
        }],
        listener_filters: listener.tls.iter().map(|_| tls_inspector()).collect(),
        // A client may connect early and send nothing yet. It keeps its connection.
        listener_filters_timeout: Some(FIRST_BYTES_TIMEOUT),
        continue_on_listener_filters_timeout: true,
        per_connection_buffer_limit_bytes: flow_control::buffer_limit(),
        ..Listener::default()
    }
}

/// Listeners in the clear have no inspector, because it delayed the first byte of a new connection
/// by 60 to 120 µs. Turning TLS on thus replaces the listener. That drains no more than replacing
/// its only filter chain.
fn tls_inspector() -> ListenerFilter {
    ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(pack(&TlsInspector::default()))),
        ..ListenerFilter::default()
    }
}

fn network_filter<M: Message + Name>(name: &str, config: &M) -> Filter {
    Filter { name: name.to_owned(), config_type: Some(filter::ConfigType::TypedConfig(pack(config))) }
}

/// Closes connections beyond the limit, if there is one. It also has Envoy count the connections of
/// this form of the listener separately, as `connection_limit.PREFIX.active_connections`. Once
/// another form is served, that is the number of connections that still drain.
fn connection_limit(listener: &model::Listener) -> ConnectionLimit {
    ConnectionLimit {
        stat_prefix: format!("{}-{}", listener.name, version::mark(&fragment(listener))),
        max_connections: Some(protobuf::UInt64Value { value: listener.limits.connections.unwrap_or(u64::MAX) }),
        ..ConnectionLimit::default()
    }
}

/// Settings of an edge proxy, most of those in Envoy's "Configuring Envoy as an edge proxy".
fn connection_manager(
    listener: &model::Listener,
    routes: RouteSpecifier,
    http_filters: Vec<HttpFilter>,
) -> HttpConnectionManager {
    let limits = listener.limits;
    HttpConnectionManager {
        stat_prefix: listener.name.clone(),
        max_request_headers_kb: limits.header_kib.and_then(u32_value),
        route_specifier: Some(routes),
        http_filters,
        // Removes identity headers of clients, also for routes that ask for no key. This happens
        // before Envoy chooses a route, so a client cannot have one chosen by them.
        early_header_mutation_extensions: vec![TypedExtensionConfig {
            name: "identity".to_owned(),
            typed_config: Some(pack(&HeaderMutation {
                mutations: vec![remove(CONSUMER_HEADER), remove(PLAN_HEADER), remove_all(METADATA_PREFIX)],
            })),
        }],
        // The address of the connection, not the client's `x-forwarded-for`.
        use_remote_address: bool_value(true),
        normalize_path: bool_value(true),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect.into(),
        server_header_transformation: ServerHeaderTransformation::AppendIfAbsent.into(),
        request_headers_timeout: Some(REQUEST_HEADERS_TIMEOUT),
        // The filter or the upstream decides whether the body is wanted. By default Envoy answers
        // 100 before the filter can refuse, and drops every interim answer of the upstream (early
        // hints).
        proxy_100_continue: true,
        common_http_protocol_options: Some(HttpProtocolOptions {
            // `x_consumer_id` reaches many frameworks as `x-consumer-id`, which only the filter may
            // set.
            headers_with_underscores_action: HeadersWithUnderscoresAction::DropHeader.into(),
            max_headers_count: limits.header_count.and_then(u32_value),
            idle_timeout: Some(IDLE_TIMEOUT),
            max_stream_duration: Some(duration(MAX_STREAM)),
            ..HttpProtocolOptions::default()
        }),
        http_protocol_options: Some(trailers::http1()),
        // No `allow_connect`. It would offer WebSocket over HTTP/2, for which Envoy 1.40 sends
        // HTTP/1.1 upstreams no `sec-websocket-key`, and they refuse. Without the offer clients use
        // HTTP/1.1.
        http2_protocol_options: Some(flow_control::http2(
            limits.streams_per_connection.unwrap_or(flow_control::STREAMS),
        )),
        ..HttpConnectionManager::default()
    }
}
