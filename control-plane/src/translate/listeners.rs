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
                common::mutation_rules::v3::{self as mutation_rules, header_mutation},
                core::v3::{
                    ExtensionConfigSource, HttpProtocolOptions, TypedExtensionConfig,
                    http_protocol_options::HeadersWithUnderscoresAction,
                },
                listener::v3::{Filter, FilterChain, Listener, ListenerFilter, filter, listener_filter},
                route::v3::RouteConfiguration,
            },
            extensions::{
                filters::{
                    http::{router::v3::Router, wasm::v3::Wasm},
                    listener::tls_inspector::v3::TlsInspector,
                    network::connection_limit::v3::ConnectionLimit,
                    network::http_connection_manager::v3::{
                        HttpConnectionManager, HttpFilter, Rds,
                        http_connection_manager::{
                            PathWithEscapedSlashesAction, RouteSpecifier, ServerHeaderTransformation,
                        },
                        http_filter::ConfigType,
                    },
                },
                http::early_header_mutation::header_mutation::v3::HeaderMutation,
            },
            r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
        },
        google::protobuf,
    },
};
use prost::Name;
use serde::Serialize;

use super::{
    common::{bool_value, from_ads, tcp_address, u32_value},
    extensions::FILTER_NAME,
    flow_control,
    tls::{self, Secrets},
};
use crate::model::{self, ListenerLimits, TlsVersion};

/// How long a client may take to send a request's headers. Envoy's default is for ever.
const REQUEST_HEADERS_TIMEOUT: protobuf::Duration = protobuf::Duration { seconds: 10, nanos: 0 };

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

/// The listener, with its routes and the filter's configuration discovered.
pub(super) fn listener(listener: &model::Listener) -> Listener {
    let routes = RouteSpecifier::Rds(Rds { config_source: Some(from_ads()), route_config_name: listener.name.clone() });
    let filter = ConfigType::ConfigDiscovery(ExtensionConfigSource {
        config_source: Some(from_ads()),
        type_urls: vec![Wasm::type_url()],
        ..ExtensionConfigSource::default()
    });
    build(listener, routes, filter, Secrets::Discovered)
}

/// The same listener with everything in it but the certificates, whose paths are relative to `folder`.
pub(super) fn static_listener(
    listener: &model::Listener,
    routes: RouteConfiguration,
    filter: &Wasm,
    folder: &Path,
) -> Listener {
    let (routes, filter) = (RouteSpecifier::RouteConfig(routes), ConfigType::TypedConfig(pack(filter)));
    build(listener, routes, filter, Secrets::Files(folder))
}

fn build(listener: &model::Listener, routes: RouteSpecifier, filter: ConfigType, secrets: Secrets<'_>) -> Listener {
    let manager = connection_manager(listener, routes, filter);
    Listener {
        name: listener.name.clone(),
        address: Some(tcp_address(listener.address.to_string(), listener.port)),
        filter_chains: vec![FilterChain {
            name: listener.name.clone(),
            filters: connection_limit(listener)
                .into_iter()
                .chain([Filter {
                    name: "envoy.filters.network.http_connection_manager".to_owned(),
                    config_type: Some(filter::ConfigType::TypedConfig(pack(&manager))),
                }])
                .collect(),
            transport_socket: listener.tls.as_ref().map(|tls| tls::downstream(&listener.name, tls, secrets)),
            ..FilterChain::default()
        }],
        // In every listener from the start: to add it later would replace the listener.
        listener_filters: vec![ListenerFilter {
            name: "envoy.filters.listener.tls_inspector".to_owned(),
            config_type: Some(listener_filter::ConfigType::TypedConfig(pack(&TlsInspector::default()))),
            ..ListenerFilter::default()
        }],
        // A client that connects early and says nothing yet keeps its connection.
        continue_on_listener_filters_timeout: true,
        per_connection_buffer_limit_bytes: flow_control::buffer_limit(),
        ..Listener::default()
    }
}

/// Closes connections beyond the limit as they come. Not there where no limit is said.
fn connection_limit(listener: &model::Listener) -> Option<Filter> {
    let limit = ConnectionLimit {
        stat_prefix: listener.name.clone(),
        max_connections: Some(protobuf::UInt64Value { value: listener.limits.connections? }),
        ..ConnectionLimit::default()
    };
    Some(Filter {
        name: "envoy.filters.network.connection_limit".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(pack(&limit))),
    })
}

/// Settings of an edge proxy, most of those in Envoy's "Configuring Envoy as an edge proxy".
fn connection_manager(listener: &model::Listener, routes: RouteSpecifier, filter: ConfigType) -> HttpConnectionManager {
    let limits = listener.limits;
    HttpConnectionManager {
        stat_prefix: listener.name.clone(),
        max_request_headers_kb: limits.header_kib.and_then(u32_value),
        route_specifier: Some(routes),
        http_filters: vec![
            HttpFilter {
                name: FILTER_NAME.to_owned(),
                disabled: true,
                config_type: Some(filter),
                ..HttpFilter::default()
            },
            HttpFilter {
                name: "envoy.filters.http.router".to_owned(),
                config_type: Some(ConfigType::TypedConfig(pack(&Router::default()))),
                ..HttpFilter::default()
            },
        ],
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
        common_http_protocol_options: Some(HttpProtocolOptions {
            // `x_consumer_id` reaches many frameworks as `x-consumer-id`, which only the filter may say.
            headers_with_underscores_action: HeadersWithUnderscoresAction::DropHeader.into(),
            max_headers_count: limits.header_count.and_then(u32_value),
            ..HttpProtocolOptions::default()
        }),
        http2_protocol_options: Some(flow_control::http2(
            limits.streams_per_connection.unwrap_or(flow_control::STREAMS),
        )),
        ..HttpConnectionManager::default()
    }
}

fn remove_all(prefix: &str) -> mutation_rules::HeaderMutation {
    let pattern = MatchPattern::Prefix(prefix.to_owned());
    let matcher = StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() };
    let remove = header_mutation::RemoveOnMatch { key_matcher: Some(matcher) };
    mutation_rules::HeaderMutation { action: Some(header_mutation::Action::RemoveOnMatch(remove)) }
}

fn remove(header: &str) -> mutation_rules::HeaderMutation {
    mutation_rules::HeaderMutation { action: Some(header_mutation::Action::Remove(header.to_owned())) }
}
