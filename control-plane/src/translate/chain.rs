//! The chain of HTTP filters: their order with reasons, and how each configuration reaches Envoy.
//!
//! The chain is a part of the listener, and a changed listener drains its connections. So every
//! filter that a route may ever turn on is in every chain from the first day. Edits reach a filter
//! in other ways:
//!
//! - A filter that is on by route is `disabled` in the chain. A route turns it on, and configures
//!   it, in `typed_per_filter_config`, which RDS carries.
//! - A filter whose own configuration changes is a [`Source::Ecds`]: ECDS carries the
//!   configuration.
//! - A guard without a configuration refuses every request: an RBAC filter that denies all takes
//!   its place. A guard's slot takes only one other type of configuration, since Envoy ignores a
//!   route's message of another type than the slot's.
//!
//! A disabled filter costs a request about 0.02 µs. `docs/decisions.md` has what was tried.

use std::sync::Arc;

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::{
                core::v3::{ExtensionConfigSource, TypedExtensionConfig},
                rbac::v3::{Permission, Policy, Principal, Rbac as Rules, permission, principal, rbac::Action},
            },
            extensions::filters::{
                http::{rbac::v3::Rbac, router::v3::Router, wasm::v3::Wasm},
                network::http_connection_manager::v3::{HttpFilter, http_filter::ConfigType},
            },
        },
        google::protobuf::Any,
    },
};
use prost::Name;

use super::{
    common::from_ads,
    extensions::{self, Extension, Inputs},
    route::{max_request_body, timeouts},
    trailers,
};

/// A place in the chain.
pub(super) struct Slot {
    /// The filter's name: in the chain, in ECDS, and in `typed_per_filter_config`.
    pub(super) name: &'static str,
    /// Whether only routes turn it on.
    is_by_route: bool,
    source: Source,
}

/// How a filter's own configuration reaches Envoy.
enum Source {
    /// In the listener. It is the same for every file; routes hold what differs.
    Static(fn() -> Any),
    /// By ECDS.
    Ecds {
        /// The one type of configuration that it takes.
        type_url: fn() -> String,
        /// Makes the resource.
        resource: fn(&Inputs<'_>) -> Extension,
        /// Whether requests may pass only with its permission.
        is_guard: bool,
    },
}

/// The filters in the order in which they see a request. They see the response in reverse order.
pub(super) const CHAIN: &[Slot] = &[
    // Checks the key and counts. First, so that the others do no work for a refused request.
    Slot {
        name: extensions::FILTER_NAME,
        is_by_route: true,
        source: Source::Ecds { type_url: Wasm::type_url, resource: extensions::gateway_filter, is_guard: true },
    },
    // Sets a header that the router reads. Behind the guards, so that refused requests do not pay.
    Slot { name: timeouts::REQUEST_TIMEOUT, is_by_route: true, source: Source::Static(timeouts::base) },
    // Counts a body as it passes. Behind all filters that may change or replace a body, so that it
    // sees what the router sees.
    Slot { name: max_request_body::BODY_LIMIT, is_by_route: true, source: Source::Static(max_request_body::base) },
    // Removes forbidden trailers. Last, so that it also removes those that other filters add.
    Slot { name: "trailers", is_by_route: false, source: Source::Static(trailers::removals) },
    // Forwards the request. Envoy requires it to be last.
    Slot { name: "envoy.filters.http.router", is_by_route: false, source: Source::Static(router) },
];

/// Returns the chain of a listener that a control plane serves.
pub(super) fn discovered() -> Vec<HttpFilter> {
    filters(|source| match source {
        Source::Static(configuration) => ConfigType::TypedConfig(configuration()),
        Source::Ecds { type_url, is_guard, .. } => ConfigType::ConfigDiscovery(ExtensionConfigSource {
            config_source: Some(from_ads()),
            type_urls: std::iter::once(type_url()).chain(is_guard.then(Rbac::type_url)).collect(),
            // The listener still waits for the resource, so that Envoy refuses no request at its
            // start.
            default_config: is_guard.then(|| pack(&deny_all())),
            ..ExtensionConfigSource::default()
        }),
    })
}

/// Returns the chain of a listener that holds all configurations itself.
pub(super) fn inline(inputs: &Inputs<'_>) -> Vec<HttpFilter> {
    filters(|source| {
        ConfigType::TypedConfig(match source {
            Source::Static(configuration) => configuration(),
            Source::Ecds { resource, .. } => resource(inputs).configuration,
        })
    })
}

/// Returns the resources of ECDS, each with its version.
pub(super) fn extensions(inputs: &Inputs<'_>) -> impl Iterator<Item = (Arc<str>, TypedExtensionConfig)> {
    CHAIN.iter().filter_map(|slot| match slot.source {
        Source::Static(_) => None,
        Source::Ecds { resource, .. } => {
            let Extension { version, configuration } = resource(inputs);
            Some((version, TypedExtensionConfig { name: slot.name.to_owned(), typed_config: Some(configuration) }))
        }
    })
}

fn filters(configuration: impl Fn(&Source) -> ConfigType) -> Vec<HttpFilter> {
    let filter = |slot: &Slot| HttpFilter {
        name: slot.name.to_owned(),
        disabled: slot.is_by_route,
        config_type: Some(configuration(&slot.source)),
        ..HttpFilter::default()
    };
    CHAIN.iter().map(filter).collect()
}

fn router() -> Any {
    pack(&Router::default())
}

fn deny_all() -> Rbac {
    let policy = Policy {
        permissions: vec![Permission { rule: Some(permission::Rule::Any(true)) }],
        principals: vec![Principal { identifier: Some(principal::Identifier::Any(true)) }],
        ..Policy::default()
    };
    let policies = [("all".to_owned(), policy)].into();
    Rbac { rules: Some(Rules { action: Action::Deny.into(), policies, ..Rules::default() }), ..Rbac::default() }
}
