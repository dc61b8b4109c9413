//! Trailers pass both ways over HTTP/1.1 and HTTP/2, except fields that may not be trailers.
//!
//! Some upstreams and clients take trailers for headers. A trailer must not tell them how a message
//! is framed, where it goes or who sends it (RFC 9110 §6.5.1). Envoy 1.40 itself passes on any
//! trailer (tried: `content-length`, `host`, `x-consumer-id`).

use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::core::v3::Http1ProtocolOptions,
            extensions::filters::http::header_mutation::v3::{HeaderMutation, Mutations},
        },
        google::protobuf::Any,
    },
};

use super::common::{remove, remove_all};

/// Fields about framing, routing, conditions, credentials, the response, the body and the caller.
const FORBIDDEN: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
];
/// Prefixes of further forbidden names.
const FORBIDDEN_PREFIXES: &[&str] = &["if-", "proxy-", "x-consumer-", "x-envoy-", "x-forwarded-"];

/// Returns the configuration of the filter that removes forbidden trailers.
pub(super) fn removals() -> Any {
    let removals: Vec<_> = FORBIDDEN
        .iter()
        .map(|name| remove(name))
        .chain(FORBIDDEN_PREFIXES.iter().map(|prefix| remove_all(prefix)))
        .collect();
    let mutations = Mutations {
        request_trailers_mutations: removals.clone(),
        response_trailers_mutations: removals,
        ..Mutations::default()
    };
    pack(&HeaderMutation { mutations: Some(mutations), ..HeaderMutation::default() })
}

/// Returns the options of HTTP/1.1 with trailers. By default Envoy drops them.
pub(super) fn http1() -> Http1ProtocolOptions {
    Http1ProtocolOptions { enable_trailers: true, ..Http1ProtocolOptions::default() }
}

#[cfg(test)]
mod tests {
    use legation_filter::identity::{CONSUMER_HEADER, METADATA_PREFIX, PLAN_HEADER};

    use super::*;

    #[test]
    fn no_trailer_says_who_calls() {
        for name in [CONSUMER_HEADER, PLAN_HEADER, METADATA_PREFIX] {
            assert!(FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
    }
}
