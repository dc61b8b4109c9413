//! The decision about one request: headers in, decision out. Every request that the filter handles comes by here.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::By;
use crate::credential::{Found, Source};
use crate::key_format::is_mistyped;
use crate::limit::{Caller, Charge, charge_all};
use crate::pairs::Pair;
use crate::ratelimit_fields::{Fields, fields};
use crate::reply::Refusal;
use crate::retired::Active;
use crate::slots::{Seed, SharedState};
use crate::tables::{ApiKeyRule, Limit, Plan, Policy, PolicyLimit, Tables, Target};

/// What the upstream sees as the caller's name.
pub const CONSUMER_HEADER: &str = "x-consumer-id";
/// What the upstream sees as the name of the caller's plan.
pub const PLAN_HEADER: &str = "x-consumer-plan";

/// What a decision may ask for beside the headers. Each is asked for only if a rule or a limit needs it.
pub trait Outside: SharedState {
    /// Nanoseconds since 1970; the same throughout a decision.
    fn now(&mut self) -> u64;
    /// The name of the route that Envoy chose.
    fn route_name(&mut self) -> Option<Vec<u8>>;
    /// The client's address as Envoy knows it, with its port.
    fn source_address(&mut self) -> Option<Vec<u8>>;
    /// The secret of the counts' fingerprints; `None` where the tables of counts could not be made.
    fn seed(&mut self) -> Option<Seed>;
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It goes on, with these edits of its headers in this order, and these fields on its response.
    Allow {
        /// At most one for each header of the request and two more.
        edits: Vec<Edit<'a>>,
        /// Where limits apply.
        fields: Option<Fields>,
    },
    /// It is answered here.
    Refuse {
        /// Why.
        refusal: Refusal<'a>,
        /// Edits that take keys out of the path, which access logs show.
        edits: Vec<Edit<'a>>,
        /// Whether the call is gRPC.
        is_grpc: bool,
    },
}

/// An edit of the request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// All headers of this name go.
    Remove(&'a [u8]),
    /// For a name that is absent: the cheapest edit.
    Add(&'static str, Cow<'a, [u8]>),
    /// For a name that is there once.
    Replace(&'static str, Cow<'a, [u8]>),
}

/// Decides. `headers` are all of the request's, pseudo-headers included, names in lower case. `others` are configurations that
/// were in force a moment ago: they say what is asked of a route that the one in force does not know.
#[must_use]
pub fn decide<'a>(
    active: &'a Active,
    others: &'a [Arc<Active>],
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Decision<'a> {
    let seen = scan(headers);
    let asks_for_route = active.asks_for_route() || !others.is_empty();
    let route = asks_for_route.then(|| outside.route_name()).flatten();
    let policy = active.policy(route.as_deref(), seen.target, || outside.now());
    let known_before = || others.iter().find_map(|other| other.policy_of_route(route.as_deref()?, seen.target));
    let Some(policy) = policy.or_else(known_before) else {
        return Decision::Refuse { refusal: Refusal::UnknownPolicy, edits: Vec::new(), is_grpc: seen.is_grpc };
    };
    match judge(policy, active.tables(), headers, outside) {
        Ok((caller, fields)) => Decision::Allow { edits: edits(policy, &caller, headers, &seen), fields },
        Err(refusal) => {
            let mut edits = Vec::new();
            for source in policy.api_key.iter().flat_map(|rule| &rule.sources).filter(|source| source.is_in_path()) {
                source.strip(headers, &mut edits);
            }
            Decision::Refuse { refusal, edits, is_grpc: seen.is_grpc }
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default)]
struct Identity<'a> {
    /// The consumer's name; none without a key.
    name: Option<&'a str>,
    plan: Option<&'a Plan>,
}

/// Whether a call is gRPC, by its content type (`application/grpc`, also with `+proto` and the like).
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// What one look over the headers finds.
#[derive(Default)]
struct Seen<'a> {
    target: Target<'a>,
    is_grpc: bool,
    /// Names by which an upstream might take the client's word for who it is, each once.
    forged: Vec<&'a [u8]>,
}

fn scan<'a>(headers: &[Pair<'a>]) -> Seen<'a> {
    let mut seen = Seen::default();
    for &(name, value) in headers {
        match name {
            b":authority" => seen.target.authority = value,
            b":path" => seen.target.path = value,
            b"content-type" => seen.is_grpc = is_grpc(value),
            _ if is_identity(name) && !seen.forged.contains(&name) => seen.forged.push(name),
            _ => {}
        }
    }
    seen
}

/// CGI and WSGI upstreams see `x_consumer_id` as they see `x-consumer-id`.
fn is_identity(name: &[u8]) -> bool {
    let spells = |wanted: &str| {
        name.len() == wanted.len()
            && name.iter().zip(wanted.bytes()).all(|(&byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
    };
    name.first() == Some(&b'x') && (spells(CONSUMER_HEADER) || spells(PLAN_HEADER))
}

fn judge<'a>(
    policy: &'a Policy,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Result<(Identity<'a>, Option<Fields>), Refusal<'a>> {
    let identity = match &policy.api_key {
        Some(rule) => authenticate(rule, tables, headers, outside)?,
        None => Identity::default(),
    };
    let fields = limit(policy, &identity, outside)?;
    Ok((identity, fields))
}

fn authenticate<'a>(
    rule: &'a ApiKeyRule,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Result<Identity<'a>, Refusal<'a>> {
    let sources = &*rule.sources;
    let Some(secret) = secret(sources, headers)? else {
        let anonymous = Identity { name: None, plan: rule.anonymous_plan.as_deref() };
        return if rule.optional { Ok(anonymous) } else { Err(Refusal::MissingKey { sources }) };
    };
    let key = tables.key(&Sha256::digest(&secret).into()).ok_or_else(|| {
        // A key that a consumer holds is good, whatever it looks like.
        if is_mistyped(&secret) { Refusal::MistypedKey { sources } } else { Refusal::UnknownKey { sources } }
    })?;
    if key.not_before.is_some() || key.expires.is_some() {
        let seconds = i64::try_from(outside.now() / 1_000_000_000).unwrap_or(i64::MAX);
        if key.not_before.is_some_and(|from| seconds < from) {
            return Err(Refusal::KeyNotYetValid { sources });
        }
        if key.expires.is_some_and(|end| seconds >= end) {
            return Err(Refusal::ExpiredKey { sources });
        }
    }
    if rule.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&key.consumer)) {
        return Err(Refusal::ConsumerNotAllowed);
    }
    Ok(Identity { name: Some(&key.consumer.name), plan: key.consumer.plan.as_deref() })
}

/// The key of the first place that has one. Two in one place are refused before another is looked at.
fn secret<'a>(sources: &'a [Source], headers: &[Pair<'a>]) -> Result<Option<Cow<'a, [u8]>>, Refusal<'a>> {
    for source in sources {
        match source.find(headers) {
            Found::Nothing => {}
            Found::Key(secret) => return Ok(Some(secret)),
            Found::Several => return Err(Refusal::DuplicateKey { source, sources }),
        }
    }
    Ok(None)
}

fn limit<'a>(
    policy: &'a Policy,
    identity: &Identity<'a>,
    outside: &mut impl Outside,
) -> Result<Option<Fields>, Refusal<'a>> {
    if policy.limits.is_empty() {
        return Ok(None);
    }
    let is_anonymous = identity.name.is_none();
    let by_address = |limit: &PolicyLimit| match limit {
        PolicyLimit::Own { by: By::Ip, .. } => true,
        PolicyLimit::Own { by: By::Consumer, .. } | PolicyLimit::Plan { .. } => is_anonymous,
        PolicyLimit::Own { by: By::Route, .. } => false,
    };
    let address =
        policy.limits.iter().any(by_address).then(|| address_of(&outside.source_address().unwrap_or_default()));
    let charges = charges(policy, identity, address.as_deref().unwrap_or_default());
    if charges.is_empty() {
        return Ok(None);
    }
    let seed = outside.seed().ok_or(Refusal::RateLimitUnavailable)?;
    let now = outside.now();
    let verdict = charge_all(outside, seed, &charges, now).map_err(|_| Refusal::RateLimitUnavailable)?;
    let fields = fields(&verdict.reports);
    match verdict.refused {
        Some(wait) => Err(Refusal::RateLimited { wait, fields }),
        None => Ok(fields),
    }
}

/// Each limit with the caller whose count it is: who comes without a key is known by the address. A caller without a plan has
/// no limits of a plan.
fn charges<'b>(policy: &'b Policy, identity: &Identity<'b>, address: &'b [u8]) -> Vec<Charge<'b>> {
    let as_consumer = || identity.name.map_or(Caller::Address(address), Caller::Consumer);
    let mut charges = Vec::new();
    for limit in &policy.limits {
        match limit {
            PolicyLimit::Own { by, limit } => {
                let caller = match by {
                    By::Route => Caller::All,
                    By::Consumer => as_consumer(),
                    By::Ip => Caller::Address(address),
                };
                charges.push(Charge { limit, name: &limit.name, caller });
            }
            PolicyLimit::Plan { name } => {
                let limits: &[Limit] = identity.plan.map_or(&[], |plan| &plan.limits);
                charges.extend(limits.iter().map(|limit| Charge {
                    limit,
                    name: name.as_ref().unwrap_or(&limit.name),
                    caller: as_consumer(),
                }));
            }
        }
    }
    charges
}

/// The form of an address by which it is counted: an IPv4 address whole, of an IPv6 address the first 64 bits, since a
/// client has all of the rest to itself. What is no IP address (a pipe's path) is taken as it is, without a port.
#[must_use]
pub fn address_of(source: &[u8]) -> Vec<u8> {
    let parsed = std::str::from_utf8(source).ok().and_then(|text| text.parse::<SocketAddr>().ok());
    match parsed.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().into_iter().take(8).collect(),
        None => {
            let port = source.iter().rposition(|&byte| byte == b':');
            port.and_then(|port| source.get(..port)).unwrap_or(source).to_vec()
        }
    }
}

fn edits<'a>(policy: &'a Policy, identity: &Identity<'a>, headers: &[Pair<'a>], seen: &Seen<'a>) -> Vec<Edit<'a>> {
    let set = [(CONSUMER_HEADER, identity.name), (PLAN_HEADER, identity.plan.map(|plan| plan.name.as_str()))];
    let mut edits = Vec::new();
    // A name there once is replaced. One there twice is removed first, since `replace` is not said to remove the others.
    let once = |name: &str| headers.iter().filter(|(other, _)| *other == name.as_bytes()).count() == 1;
    let is_replaced =
        |name: &[u8]| set.iter().any(|(own, value)| value.is_some() && own.as_bytes() == name && once(own));
    edits.extend(seen.forged.iter().filter(|name| !is_replaced(name)).map(|name| Edit::Remove(name)));
    for (name, value) in set {
        if let Some(value) = value.map(|value| Cow::Borrowed(value.as_bytes())) {
            edits.push(if once(name) { Edit::Replace(name, value) } else { Edit::Add(name, value) });
        }
    }
    for source in policy.api_key.iter().filter(|rule| !rule.keep).flat_map(|rule| &rule.sources) {
        source.strip(headers, &mut edits);
    }
    edits
}
