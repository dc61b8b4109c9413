//! The decision about one request: headers in, decision out. Every request that the filter handles comes by here.

use std::sync::Arc;

use crate::authenticate::{Identity, authenticate};
use crate::charges::{Limited, limit};
use crate::compile::Problem;
use crate::edit::Edit;
use crate::identity;
use crate::pairs::Pair;
use crate::ratelimit_fields::Fields;
use crate::reply::Refusal;
use crate::route_policies::RoutePolicies;
use crate::rules::Target;
use crate::slots::{Seed, SharedState};
use crate::tables::{Policy, Tables};

/// What a decision may ask for beside the headers. Each is asked for only if a rule or a limit needs it.
pub trait Outside: SharedState {
    /// Nanoseconds since 1970; the same throughout a decision.
    fn now(&mut self) -> u64;
    /// The name of the route that Envoy chose.
    fn route_name(&mut self) -> Option<Vec<u8>>;
    /// The policy that the route carries in its metadata, as JSON.
    fn route_policy(&mut self) -> Option<Vec<u8>>;
    /// The client's address as Envoy knows it, with its port.
    fn source_address(&mut self) -> Option<Vec<u8>>;
    /// The claim at this path of Envoy's properties, in whatever form Envoy gives it.
    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>>;
    /// The secret of the counts' fingerprints; `None` where the tables of counts could not be made.
    fn seed(&mut self) -> Option<Seed>;
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it goes on.
    pub outcome: Outcome<'a>,
    /// Edits of its headers, in this order. Of a request that is refused, those that take keys out of the path, which access logs
    /// show.
    pub edits: Vec<Edit<'a>>,
    /// Whether the call is gRPC.
    pub is_grpc: bool,
    /// What metrics are kept by.
    pub tally: Tally<'a>,
}

/// Whether a request goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It goes on.
    Pass(OnResponse),
    /// It is answered here, and why.
    Refuse(Refusal<'a>),
}

impl Outcome<'_> {
    /// What metrics call it: the refusal's code, or `passed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pass(_) => "passed",
            Self::Refuse(refusal) => refusal.code(),
        }
    }
}

/// What is to be done when the response comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnResponse {
    /// Fields by which the client sees its limits.
    pub fields: Fields,
    /// Whether the response is marked if it streams.
    pub marks_streams: bool,
}

impl OnResponse {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.fields.is_empty() && !self.marks_streams
    }
}

/// What metrics are kept by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally<'a> {
    /// The policy's name; empty where no rule knows the request.
    pub policy: &'a str,
    /// The name of the caller's plan; empty where it has none, or is not known.
    pub plan: &'a str,
    /// Whether a limit that only tries out would have refused the request.
    pub dry_run_refused: bool,
}

/// The policy that is asked of a request, if any is known. `route_policies` are those compiled with these tables; what is wrong
/// with one is reported when it is first met.
pub fn policy_of(
    tables: &Tables,
    route_policies: &mut RoutePolicies,
    headers: &[Pair<'_>],
    outside: &mut impl Outside,
    report: impl FnOnce(&[Problem]),
) -> Option<Arc<Policy>> {
    if tables.route_policies() {
        return route_policies.policy(&outside.route_policy()?, tables, report);
    }
    let rules = tables.rules();
    let route = rules.asks_for_route().then(|| outside.route_name()).flatten();
    rules.policy(route.as_deref(), Target::of(headers))
}

/// Decides by the policy that is asked of the request; where none is known, the request is refused. `headers` are all of the
/// request's, pseudo-headers included, names in lower case.
#[must_use]
pub fn decide<'a>(
    policy: Option<&'a Policy>,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Decision<'a> {
    let seen = scan(headers);
    let Some(policy) = policy else {
        let outcome = Outcome::Refuse(Refusal::UnknownPolicy);
        return Decision { outcome, edits: Vec::new(), is_grpc: seen.is_grpc, tally: Tally::default() };
    };
    let mut tally = Tally { policy: &policy.name, ..Tally::default() };
    let (outcome, edits) = match judge(policy, tables, headers, outside, &mut tally) {
        Ok((caller, fields)) => {
            let marks_streams = policy.stream_headers && !seen.is_head;
            let edits = identity::edits(policy, &caller, headers, &seen.forged);
            (Outcome::Pass(OnResponse { fields, marks_streams }), edits)
        }
        Err(refusal) => {
            let mut edits = Vec::new();
            for source in policy.api_key.iter().flat_map(|rule| &rule.sources).filter(|source| source.is_in_path()) {
                source.strip(headers, &mut edits);
            }
            (Outcome::Refuse(refusal), edits)
        }
    };
    Decision { outcome, edits, is_grpc: seen.is_grpc, tally }
}

/// Who calls and what the client is told of its limits, or why the request is refused.
fn judge<'a>(
    policy: &'a Policy,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
    tally: &mut Tally<'a>,
) -> Result<(Identity<'a>, Fields), Refusal<'a>> {
    let identity = match &policy.api_key {
        Some(rule) => authenticate(rule, tables, headers, outside)?,
        None => Identity::default(),
    };
    tally.plan = identity.plan.map_or("", |plan| &plan.name);
    let Limited { fields, dry_run_refused } = limit(policy, tables, &identity, headers, outside)?;
    tally.dry_run_refused = dry_run_refused;
    Ok((identity, fields))
}

/// What one look over the headers finds.
#[derive(Default)]
struct Seen<'a> {
    is_grpc: bool,
    is_head: bool,
    /// Names by which an upstream might take the client's word for who it is, each once.
    forged: Vec<&'a [u8]>,
}

fn scan<'a>(headers: &[Pair<'a>]) -> Seen<'a> {
    let mut seen = Seen::default();
    for &(name, value) in headers {
        match name {
            b":method" => seen.is_head = value == b"HEAD",
            b"content-type" => seen.is_grpc = is_grpc(value),
            _ if identity::is_identity(name) && !seen.forged.contains(&name) => seen.forged.push(name),
            _ => {}
        }
    }
    seen
}

/// Whether a call is gRPC, by its content type (`application/grpc`, also with `+proto` and the like).
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}
