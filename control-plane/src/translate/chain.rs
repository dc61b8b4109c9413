//! The chain of HTTP filters: which there are, in which order and why, and how each is carried to Envoy.
//!
//! The chain is a part of the listener, and a changed listener drains its connections. So every filter that any route may ever turn
//! on stands in every chain from the first day, and edits reach it by other ways:
//!
//! - A filter that is on by route is `disabled` in the chain. A route turns it on, and says what it may, in its
//!   `typed_per_filter_config`, which goes by RDS.
//! - A filter whose own configuration changes is a [`Source::Ecds`]: its configuration is a resource of its own.
//! - A guard that has no configuration refuses: the chain holds an RBAC filter in its stead, which denies all. It
//!   takes one type of configuration beside that, since Envoy ignores a route's message of another type than the slot's.
//!
//! A disabled filter costs a request about 0.02 µs. `docs/decisions.md` has what was tried.

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
    /// In the listener. It is the same whatever the file says; what differs, routes say.
    Static(fn() -> Any),
    /// By ECDS.
    Ecds {
        /// The one type of configuration that it takes.
        type_url: fn() -> String,
        /// Makes the resource.
        resource: fn(&Inputs<'_>) -> Extension,
        /// Whether a request may pass only by its leave.
        is_guard: bool,
    },
}

/// The filters in the order in which they see a request; they see the response in the opposite one.
pub(super) const CHAIN: &[Slot] = &[
    // Who may and how often comes first: nothing behind it works for a request that is refused.
    Slot {
        name: extensions::FILTER_NAME,
        is_by_route: true,
        source: Source::Ecds { type_url: Wasm::type_url, resource: extensions::gateway_filter, is_guard: true },
    },
    // Sets a header that the router reads. Behind the guards, so that it costs only what goes on.
    Slot { name: timeouts::REQUEST_TIMEOUT, is_by_route: true, source: Source::Static(timeouts::base) },
    // Counts a body as it passes, so it must see what the router sees: behind all that may change or replace a body.
    Slot { name: max_request_body::BODY_LIMIT, is_by_route: true, source: Source::Static(max_request_body::base) },
    // Always on. Last, so that it also takes out what the filters before it may add.
    Slot { name: "trailers", is_by_route: false, source: Source::Static(trailers::removals) },
    // Forwards the request. Envoy wants it last.
    Slot { name: "envoy.filters.http.router", is_by_route: false, source: Source::Static(router) },
];

/// The chain of a listener that a control plane serves.
pub(super) fn discovered() -> Vec<HttpFilter> {
    filters(|source| match source {
        Source::Static(configuration) => ConfigType::TypedConfig(configuration()),
        Source::Ecds { type_url, is_guard, .. } => ConfigType::ConfigDiscovery(ExtensionConfigSource {
            config_source: Some(from_ads()),
            type_urls: std::iter::once(type_url()).chain(is_guard.then(Rbac::type_url)).collect(),
            // The listener still waits for the resource, so that no request is refused for want of it while Envoy starts.
            default_config: is_guard.then(|| pack(&deny_all())),
            ..ExtensionConfigSource::default()
        }),
    })
}

/// The chain of a listener that holds everything itself.
pub(super) fn inline(inputs: &Inputs<'_>) -> Vec<HttpFilter> {
    filters(|source| {
        ConfigType::TypedConfig(match source {
            Source::Static(configuration) => configuration(),
            Source::Ecds { resource, .. } => resource(inputs).configuration,
        })
    })
}

/// The resources of ECDS, each with its version.
pub(super) fn extensions(inputs: &Inputs<'_>) -> impl Iterator<Item = (Extension, TypedExtensionConfig)> {
    CHAIN.iter().filter_map(|slot| match slot.source {
        Source::Static(_) => None,
        Source::Ecds { resource, .. } => {
            let extension = resource(inputs);
            let typed_config = Some(extension.configuration.clone());
            Some((extension, TypedExtensionConfig { name: slot.name.to_owned(), typed_config }))
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
