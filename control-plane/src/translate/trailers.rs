//! Trailers pass both ways over HTTP/1.1 and HTTP/2, but for fields that may not be trailers: an upstream or client that takes
//! trailers for headers must not be told by one how a message is framed, where it goes or who sends it (RFC 9110 §6.5.1). Envoy 1.40
//! itself passes on any (tried: `content-length`, `host`, `x-consumer-id`).

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

/// Framing, routing, conditions, credentials, control of the response, what a body is, and who calls.
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
/// All whose names begin so.
const FORBIDDEN_PREFIXES: &[&str] = &["if-", "proxy-", "x-consumer-", "x-envoy-", "x-forwarded-"];

/// The configuration of the filter that takes forbidden fields out of trailers.
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

/// HTTP/1.1 with trailers, which Envoy drops unless told.
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
