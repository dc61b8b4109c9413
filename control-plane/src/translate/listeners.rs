//! Listeners (LDS). Whatever changes here drains connections, so all that changes often is elsewhere: routes by RDS, the
//! filter by ECDS. The filter is in every chain from the start, disabled, and a route turns it on: hence the first key in a
//! file is no listener change.

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

/// How long a client may take to send a request's headers. Envoy's default is for ever.
const REQUEST_HEADERS_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 10, nanos: 0 };
/// How long a client may keep a connection on which it asks for nothing. Envoy's default is an hour, too long for what anybody
/// can open by the thousand; a load balancer before us may keep connections for ten minutes (Google Cloud's does), and would ask over one
/// that is just being closed if we kept them for less. A request that is under way, such as a stream, is no part of it.
const IDLE_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 11 * 60, nanos: 0 };
/// How long a client may take for a TLS handshake. Envoy's default is for ever.
const HANDSHAKE_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 10, nanos: 0 };
/// How long Envoy waits for the first bytes before it goes on without them; only then does the time of a handshake begin. Its
/// default is 15 s.
const FIRST_BYTES_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 5, nanos: 0 };

/// The filter that bounds and counts the connections of a listener.
pub const CONNECTION_LIMIT: &str = "envoy.filters.network.connection_limit";

/// What a listener's resource is made from. The paths of certificates are no part of it: their secrets have names of their own.
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

/// The listener, with its routes and its filters' configurations discovered.
pub(super) fn listener(listener: &model::Listener) -> Listener {
    let routes = RouteSpecifier::Rds(Rds { config_source: Some(from_ads()), route_config_name: listener.name.clone() });
    build(listener, routes, chain::discovered(), Secrets::Discovered)
}

/// The same listener with everything in it but the certificates, whose paths are relative to `folder`.
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
        // A client that connects early and says nothing yet keeps its connection.
        listener_filters_timeout: Some(FIRST_BYTES_TIMEOUT),
        continue_on_listener_filters_timeout: true,
        per_connection_buffer_limit_bytes: flow_control::buffer_limit(),
        ..Listener::default()
    }
}

/// Not in a listener in the clear, where it made the first byte of a new connection 60 to 120 µs later. A listener that gets TLS is
/// replaced for it, which drains no more than its only filter chain does.
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

/// Closes connections beyond the limit as they come, where there is one. In any case Envoy counts those of this form of the
/// listener apart, as `connection_limit.PREFIX.active_connections`: once another form is served, that is how many still drain.
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
        // A client can say neither who it is nor what plan it has, also where no route asks for a key; and it can't have a
        // route chosen by saying so.
        early_header_mutation_extensions: vec![TypedExtensionConfig {
            name: "identity".to_owned(),
            typed_config: Some(pack(&HeaderMutation {
                mutations: vec![remove(CONSUMER_HEADER), remove(PLAN_HEADER), remove_all(METADATA_PREFIX)],
            })),
        }],
        // The address of the connection, not what a client says in `x-forwarded-for`.
        use_remote_address: bool_value(true),
        normalize_path: bool_value(true),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect.into(),
        server_header_transformation: ServerHeaderTransformation::AppendIfAbsent.into(),
        request_headers_timeout: Some(REQUEST_HEADERS_TIMEOUT),
        // Whoever judges the request says whether its body is wanted. Envoy would say 100 by itself before the filter refuses,
        // and drop every interim answer of the upstream (early hints).
        proxy_100_continue: true,
        common_http_protocol_options: Some(HttpProtocolOptions {
            // `x_consumer_id` reaches many frameworks as `x-consumer-id`, which only the filter may say.
            headers_with_underscores_action: HeadersWithUnderscoresAction::DropHeader.into(),
            max_headers_count: limits.header_count.and_then(u32_value),
            idle_timeout: Some(IDLE_TIMEOUT),
            max_stream_duration: Some(duration(MAX_STREAM)),
            ..HttpProtocolOptions::default()
        }),
        http_protocol_options: Some(trailers::http1()),
        // No `allow_connect`: WebSocket over HTTP/2 would be offered, and Envoy 1.40 gives no upstream over HTTP/1.1 the
        // `sec-websocket-key` that it insists on. Without it clients use HTTP/1.1.
        http2_protocol_options: Some(flow_control::http2(
            limits.streams_per_connection.unwrap_or(flow_control::STREAMS),
        )),
        ..HttpConnectionManager::default()
    }
}
