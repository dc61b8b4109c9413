//! `max_request_body`: the largest body of a request. A listener may set it too
//! (`limits.request_body`).
//!
//! Envoy's `body_size_limit` holds nothing back: each part of a body passes as it comes, until the
//! body is too large. That filter takes no settings from a route. So the chain has a carrier that
//! does: a `filter_chain`, which the route fills with the limit.

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::core::v3::TypedExtensionConfig,
            extensions::filters::http::{
                body_size_limit::v3::BodySizeLimit,
                filter_chain::v3::{FilterChain, FilterChainConfig, FilterChainConfigPerRoute},
            },
        },
        google::protobuf::{Any, UInt64Value},
    },
};

use super::{Draft, Word};
use crate::model::{Stream, route::max_request_body::Meaning};

/// The carrier's name in the chain.
pub(in crate::translate) const BODY_LIMIT: &str = "body_limit";

/// Returns the carrier's configuration in the chain, which is empty.
pub(in crate::translate) fn base() -> Any {
    pack(&FilterChainConfig::default())
}

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Meaning;

    /// Applies the route's own limit, or else the listener's. The listener's limit does not apply
    /// to requests that are naturally long.
    fn apply(max_request_body: &Meaning, draft: &mut Draft<'_>) {
        if draft.forward.is_none() {
            return;
        }
        let of_listener = match draft.route.features.stream {
            Some(stream) if Stream::has_long_requests(stream) => None,
            _ => draft.listener.limits.request_body,
        };
        if let Some(largest) = max_request_body.or(of_listener) {
            draft.turn_on(BODY_LIMIT, at_most(largest));
        }
    }
}

fn at_most(largest: u64) -> Any {
    let limit = BodySizeLimit { max_request_bytes: Some(UInt64Value { value: largest }) };
    let filter = TypedExtensionConfig {
        name: "envoy.filters.http.body_size_limit".to_owned(),
        typed_config: Some(pack(&limit)),
    };
    pack(&FilterChainConfigPerRoute { filter_chain: Some(FilterChain { filters: vec![filter] }) })
}
