//! The largest body of a request on a route: `max_request_body`, or the listener's `request_body`. Envoy's `body_size_limit` holds
//! nothing back: each part of a body passes as it comes, until it is too much. It has no configuration for a route, so it is put
//! there by a filter that has one, a chain within the chain.

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::core::v3::TypedExtensionConfig,
            extensions::filters::{
                http::{
                    body_size_limit::v3::BodySizeLimit,
                    filter_chain::v3::{FilterChain, FilterChainConfig, FilterChainConfigPerRoute},
                },
                network::http_connection_manager::v3::HttpFilter,
            },
        },
        google::protobuf::{Any, UInt64Value},
    },
};

use super::common::disabled_filter;

/// The filter's name in the chain and in `typed_per_filter_config`.
pub(super) const NAME: &str = "body_limit";

/// The carrier, with nothing in it.
pub(super) fn filter() -> HttpFilter {
    disabled_filter(NAME, &FilterChainConfig::default())
}

/// What it does on a route: so many bytes at most.
pub(super) fn on_route(largest: u64) -> Any {
    let limit = BodySizeLimit { max_request_bytes: Some(UInt64Value { value: largest }) };
    let filter = TypedExtensionConfig {
        name: "envoy.filters.http.body_size_limit".to_owned(),
        typed_config: Some(pack(&limit)),
    };
    pack(&FilterChainConfigPerRoute { filter_chain: Some(FilterChain { filters: vec![filter] }) })
}
