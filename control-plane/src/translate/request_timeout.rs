//! `timeouts.request` of a route that has a `max_stream` of its own. Envoy ignores a route's `timeout` then, and heeds this header,
//! which it takes off again: Envoy's own filter puts it on. No client can: Envoy drops the header where it comes in.

use std::time::Duration;

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::{
                common::mutation_rules::v3::{HeaderMutation as Mutation, header_mutation::Action},
                core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
            },
            extensions::filters::{
                http::header_mutation::v3::{HeaderMutation, HeaderMutationPerRoute, Mutations},
                network::http_connection_manager::v3::HttpFilter,
            },
        },
        google::protobuf::Any,
    },
};

use super::common::disabled_filter;

/// The filter's name in the chain and in `typed_per_filter_config`.
pub(super) const NAME: &str = "request_timeout";

const HEADER: &str = "x-envoy-upstream-rq-timeout-ms";

/// It changes nothing where no route turns it on.
pub(super) fn filter() -> HttpFilter {
    disabled_filter(NAME, &HeaderMutation::default())
}

/// What it does on a route.
pub(super) fn on_route(timeout: Duration) -> Any {
    let header =
        HeaderValue { key: HEADER.to_owned(), value: timeout.as_millis().to_string(), ..HeaderValue::default() };
    let set = HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    };
    let mutations =
        Mutations { request_mutations: vec![Mutation { action: Some(Action::Append(set)) }], ..Mutations::default() };
    pack(&HeaderMutationPerRoute { mutations: Some(mutations) })
}
