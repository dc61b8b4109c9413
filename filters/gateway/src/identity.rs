//! The names of the headers in which upstreams see the caller. Only the filter may set them.

/// The header with the caller's name.
pub const CONSUMER_HEADER: &str = "x-consumer-id";
/// The header with the name of the caller's plan.
pub const PLAN_HEADER: &str = "x-consumer-plan";
/// The prefix of the headers with the caller's metadata.
pub const METADATA_PREFIX: &str = "x-consumer-metadata-";

/// Returns whether an upstream might take a header for one of these. CGI and WSGI upstreams cannot
/// tell `x_consumer_id` from `x-consumer-id`.
#[must_use]
pub fn is_identity(name: &[u8]) -> bool {
    let spells = |name: &[u8], wanted: &str| {
        name.len() == wanted.len()
            && name.iter().zip(wanted.bytes()).all(|(&byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
    };
    let is_metadata = || name.get(..METADATA_PREFIX.len()).is_some_and(|start| spells(start, METADATA_PREFIX));
    name.first() == Some(&b'x') && (spells(name, CONSUMER_HEADER) || spells(name, PLAN_HEADER) || is_metadata())
}
