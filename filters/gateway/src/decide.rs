//! The decision about one request: headers in, decision out. Every request that the filter handles
//! passes here.

use crate::api_key::authenticate;
use crate::api_key::source::Source;
use crate::caller::Caller;
use crate::compile::Tables;
use crate::headers::{Edit, Pair};
use crate::identity;
use crate::outside::Outside;
use crate::policy::Policy;
use crate::rate_limit::fields::Fields;
use crate::rate_limit::{Limited, limit};
use crate::reply::Refusal;

/// The decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether the request goes on.
    pub outcome: Outcome,
    /// Edits of its headers, in this order. A refused request has only those that remove keys from
    /// the path, which access logs show.
    pub edits: Vec<Edit<'a>>,
    /// Whether the call is gRPC.
    pub is_grpc: bool,
    /// The labels of its metric.
    pub tally: Tally<'a>,
}

/// Whether a request goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Pass(OnResponse),
    /// The filter answers it, for this reason.
    Refuse(Refusal),
}

impl Outcome {
    /// Returns its name in metrics: the refusal's code, or `passed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pass(_) => "passed",
            Self::Refuse(refusal) => refusal.code,
        }
    }
}

/// The work on the response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnResponse {
    /// Fields by which the client sees its limits.
    pub fields: Fields,
    /// Whether the response is marked if it streams.
    pub marks_streams: bool,
}

impl OnResponse {
    /// Returns whether there is no work.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.fields.is_empty() && !self.marks_streams
    }
}

/// The labels of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally<'a> {
    /// The policy's name. Empty if no policy is known.
    pub policy: &'a str,
    /// The name of the caller's plan. Empty if it has none, or the caller is not known.
    pub plan: &'a str,
    /// Whether a dry-run limit would have refused the request.
    pub dry_run_refused: bool,
}

/// Decides by the request's policy. A request without a known policy is refused. `headers` are all
/// headers of the request, pseudo-headers included, with names in lower case.
#[must_use]
pub fn decide<'a>(
    policy: Option<&'a Policy>,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Decision<'a> {
    let seen = scan(headers);
    let Some(policy) = policy else {
        let outcome = Outcome::Refuse(Refusal::unknown_policy());
        return Decision { outcome, edits: Vec::new(), is_grpc: seen.is_grpc, tally: Tally::default() };
    };
    let mut tally = Tally { policy: &policy.name, ..Tally::default() };
    let sources = policy.api_key.iter().flat_map(|rule| &rule.sources);
    let (outcome, edits) = match judge(policy, tables, headers, outside, &mut tally) {
        Ok((caller, fields)) => {
            let marks_streams = policy.stream_headers && !seen.is_head;
            let forwards_metadata = policy.api_key.as_ref().is_some_and(|rule| rule.forward_metadata);
            let mut edits = caller.edits(forwards_metadata, headers, &seen.forged);
            if policy.api_key.as_ref().is_some_and(|rule| !rule.keep) {
                sources.for_each(|source| source.strip(headers, &mut edits));
            }
            (Outcome::Pass(OnResponse { fields, marks_streams }), edits)
        }
        Err(refusal) => {
            let mut edits = Vec::new();
            sources.filter(|source| Source::is_in_path(source)).for_each(|source| source.strip(headers, &mut edits));
            (Outcome::Refuse(refusal), edits)
        }
    };
    Decision { outcome, edits, is_grpc: seen.is_grpc, tally }
}

/// Returns the caller and the response fields of its limits, or the reason for refusing the
/// request.
fn judge<'a>(
    policy: &'a Policy,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
    tally: &mut Tally<'a>,
) -> Result<(Caller<'a>, Fields), Refusal> {
    let caller = match &policy.api_key {
        Some(rule) => authenticate(rule, headers, |secret| tables.key(secret), || outside.now())?,
        None => Caller::default(),
    };
    tally.plan = caller.plan.map_or("", |plan| &plan.name);
    let shown = tables.rate_limit_headers();
    let Limited { fields, dry_run_refused } = limit(&policy.rate_limit, shown, &caller, headers, outside)?;
    tally.dry_run_refused = dry_run_refused;
    Ok((caller, fields))
}

/// The result of one pass over the headers.
#[derive(Default)]
struct Seen<'a> {
    is_grpc: bool,
    is_head: bool,
    /// Names of headers by which an upstream might believe a client's claim about itself, each
    /// once.
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

/// Whether a call is gRPC, by its content type (`application/grpc`, also with `+proto` and the
/// like).
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}
