//! The names of the headers by which upstreams see who calls. Only the filter may say them.

/// What the upstream sees as the caller's name.
pub const CONSUMER_HEADER: &str = "x-consumer-id";
/// What the upstream sees as the name of the caller's plan.
pub const PLAN_HEADER: &str = "x-consumer-plan";
/// What the names of headers begin with by which the upstream sees what else is known of the
/// caller.
pub const METADATA_PREFIX: &str = "x-consumer-metadata-";

/// Whether an upstream might take a header for one of these. CGI and WSGI upstreams see
/// `x_consumer_id` as they see `x-consumer-id`.
#[must_use]
pub fn is_identity(name: &[u8]) -> bool {
    let spells = |name: &[u8], wanted: &str| {
        name.len() == wanted.len()
            && name.iter().zip(wanted.bytes()).all(|(&byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
    };
    let is_metadata = || name.get(..METADATA_PREFIX.len()).is_some_and(|start| spells(start, METADATA_PREFIX));
    name.first() == Some(&b'x') && (spells(name, CONSUMER_HEADER) || spells(name, PLAN_HEADER) || is_metadata())
}
