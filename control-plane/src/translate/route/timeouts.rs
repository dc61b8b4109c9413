//! `timeouts`: how long the parts of a request may take.
//!
//! Envoy ignores a route's `timeout` as soon as the route has a `max_stream_duration` of its own
//! (tried on 1.40). It still obeys a header, which it removes before it forwards the request.
//! Envoy's own filter sets that header. Clients cannot: Envoy drops theirs.

use std::time::Duration;

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::{
                common::mutation_rules::v3::{HeaderMutation as Mutation, header_mutation::Action},
                core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
                route::v3::{RetryPolicy, route_action::MaxStreamDuration},
            },
            extensions::filters::http::header_mutation::v3::{HeaderMutation, HeaderMutationPerRoute, Mutations},
        },
        google::protobuf::Any,
    },
};

use super::{Draft, Word};
use crate::{
    model::{Timeouts, route::timeouts::MAX_STREAM},
    translate::common::{duration, limit, u32_value},
};

/// The name, in the chain, of the filter that sets the header.
pub(in crate::translate) const REQUEST_TIMEOUT: &str = "request_timeout";

const HEADER: &str = "x-envoy-upstream-rq-timeout-ms";

/// Returns the filter's configuration in the chain, which changes nothing by itself.
pub(in crate::translate) fn base() -> Any {
    pack(&HeaderMutation::default())
}

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Timeouts;

    fn apply(timeouts: &Timeouts, draft: &mut Draft<'_>) {
        let Timeouts { request, idle, first_byte, max_stream } = *timeouts;
        let Some(forward) = &mut draft.forward else { return };
        // Explicit even for no limit: Envoy's default of 15 s ends a response in its middle, with
        // status 200.
        forward.timeout = Some(limit(request));
        forward.idle_timeout = Some(limit(idle));
        // Without a condition to retry on, the first try is the only one. Envoy's timeout of a try
        // ends with the first byte of the response.
        forward.retry_policy = first_byte.map(|first_byte| RetryPolicy {
            per_try_timeout: Some(duration(first_byte)),
            num_retries: u32_value(0),
            ..RetryPolicy::default()
        });
        if max_stream != Some(MAX_STREAM) {
            forward.max_stream_duration = Some(MaxStreamDuration {
                max_stream_duration: Some(limit(max_stream)),
                ..MaxStreamDuration::default()
            });
            if let Some(request) = request {
                draft.turn_on(REQUEST_TIMEOUT, set_header(request));
            }
        }
    }
}

fn set_header(timeout: Duration) -> Any {
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
