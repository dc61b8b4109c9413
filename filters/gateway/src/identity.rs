//! The headers by which upstreams see who calls. Only the filter may say them: what a client claims by them is removed.

use std::borrow::Cow;

use crate::authenticate::Identity;
use crate::edit::Edit;
use crate::pairs::Pair;
use crate::tables::Policy;

/// What the upstream sees as the caller's name.
pub const CONSUMER_HEADER: &str = "x-consumer-id";
/// What the upstream sees as the name of the caller's plan.
pub const PLAN_HEADER: &str = "x-consumer-plan";
/// What the names of headers begin with by which the upstream sees what else is known of the caller.
pub const METADATA_PREFIX: &str = "x-consumer-metadata-";

/// Whether an upstream might take a header for one of these. CGI and WSGI upstreams see `x_consumer_id` as they see
/// `x-consumer-id`.
#[must_use]
pub fn is_identity(name: &[u8]) -> bool {
    let spells = |name: &[u8], wanted: &str| {
        name.len() == wanted.len()
            && name.iter().zip(wanted.bytes()).all(|(&byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
    };
    let is_metadata = || name.get(..METADATA_PREFIX.len()).is_some_and(|start| spells(start, METADATA_PREFIX));
    name.first() == Some(&b'x') && (spells(name, CONSUMER_HEADER) || spells(name, PLAN_HEADER) || is_metadata())
}

/// Takes what was `forged` and, unless it is kept, the key out of a request, and puts in who calls.
pub(crate) fn edits<'a>(
    policy: &'a Policy,
    caller: &Identity<'a>,
    headers: &[Pair<'a>],
    forged: &[&'a [u8]],
) -> Vec<Edit<'a>> {
    let name = caller.consumer.map(|consumer| (CONSUMER_HEADER, consumer.name));
    let plan = caller.plan.map(|plan| (PLAN_HEADER, plan.name.as_str()));
    let forwards = policy.api_key.as_ref().is_some_and(|rule| rule.forward_metadata);
    let metadata = caller.consumer.filter(|_| forwards).map_or(&[][..], |consumer| consumer.metadata);
    let metadata = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let set: Vec<(&'a str, &'a str)> = name.into_iter().chain(plan).chain(metadata).collect();

    // A name there once is replaced. One there twice is removed first, since `replace` is not said to remove the others.
    let once = |name: &str| headers.iter().filter(|(other, _)| *other == name.as_bytes()).count() == 1;
    let is_replaced = |name: &[u8]| set.iter().any(|(own, _)| own.as_bytes() == name && once(own));
    let mut edits = Vec::new();
    edits.extend(forged.iter().filter(|name| !is_replaced(name)).map(|name| Edit::Remove(name)));
    for (name, value) in &set {
        let value = Cow::Borrowed(value.as_bytes());
        edits.push(if once(name) { Edit::Replace(name, value) } else { Edit::Add(name, value) });
    }
    for source in policy.api_key.iter().filter(|rule| !rule.keep).flat_map(|rule| &rule.sources) {
        source.strip(headers, &mut edits);
    }
    edits
}
