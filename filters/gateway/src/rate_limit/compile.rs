//! The rules of `rate_limit`.

use std::collections::BTreeMap;

use super::{By, Cost, Limits, RateLimit};
use crate::config::{self, ApiKeyRule};
use crate::headers::header_name;
use crate::identity::is_identity;
use crate::known::Known;
use crate::plan::{Limit, MAX_LIMIT, Names, Written, counted, limits};
use crate::problem::{At, Problems, code, quoted, text, value};

/// The field in which Envoy's JWT filter keeps the claims by default.
const DEFAULT_PAYLOAD: &str = "jwt_payload";

/// Compiles the `rate_limit` of a policy. `list` is its place.
pub(crate) fn rate_limits(
    list: &At<'_>,
    policy: &config::Policy,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Vec<RateLimit> {
    let mut names = Names::default();
    let mut plan_at = None;
    let mut compiled = Vec::new();
    for (place, written) in policy.rate_limit.iter().enumerate() {
        let at = list.item(place);
        names.take_up(list, place, written.name.as_deref(), problems);
        if written.plan {
            if let Some(first) = plan_at {
                let first = list.item(first).field("plan").part();
                let message = [text("the plan's limits are already asked for at "), first];
                problems.error(&at.field("plan"), code::DUPLICATE_VALUE, message);
            }
            plan_at = plan_at.or(Some(place));
        }
        check_key(&at, policy, written, problems);
        let limits = if written.plan {
            Some(of_plan(&at, policy, written, known, problems))
        } else {
            own(&at, policy, known.payload, &mut names, written, problems)
        };
        let cost = cost(&at.field("cost"), &written.cost, problems);
        if let (Some(limits), Some(cost)) = (limits, cost) {
            if !written.dry_run {
                check_cost(&at.field("cost"), &cost, &limits, policy.api_key.as_ref(), known, problems);
            }
            compiled.push(RateLimit { limits, cost, is_dry_run: written.dry_run });
        }
    }
    compiled
}

/// Reports a limit by consumer if no key identifies the consumer.
fn check_key(at: &At<'_>, policy: &config::Policy, written: &config::RateLimit, problems: &mut Problems) {
    let (field, what) = match &written.by {
        _ if written.plan => ("plan", "plan"),
        config::By::Consumer => ("by", "consumer"),
        config::By::Plan => ("by", "plan"),
        _ => return,
    };
    if policy.api_key.is_none() {
        let message = format!("a limit by {what} needs `api_key` beside it");
        problems.error_with_help(&at.field(field), code::NEEDS_API_KEY, message, "add `api_key: {}`");
    }
}

/// Returns the limits of the consumer's plan, or those with which the policy replaces them.
fn of_plan(
    at: &At<'_>,
    policy: &config::Policy,
    written: &config::RateLimit,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Limits {
    let given = [
        ("limit", written.limit.is_some()),
        ("window", written.window.is_some()),
        ("burst", written.burst.is_some()),
        ("algorithm", written.algorithm != config::Algorithm::default()),
        ("by", written.by != config::By::Route),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        let message = format!("only one of `plan` and `{field}` may be written: the plan says it");
        problems.error(&at.field(field), code::CONFLICT, message);
    }
    let at = at.field("override");
    let mut overrides = BTreeMap::new();
    for (plan, written) in &written.overrides {
        known.plan(&at.key(plan), plan, problems);
        if written.is_empty() {
            let message = [text("no limit is given for "), value(plan), text(": it would lift the plan's")];
            problems.error(&at.key(plan), code::MISSING_FIELD, message);
        }
        let id = format!("policy {} plan {}", counted(&policy.name), counted(plan));
        overrides.insert(plan.clone(), limits(&at.field(plan), plan, &id, written, problems));
    }
    Limits::OfPlan { name: written.name.clone(), overrides }
}

/// A limit of the policy itself.
fn own(
    at: &At<'_>,
    policy: &config::Policy,
    payload: Option<&str>,
    names: &mut Names,
    written: &config::RateLimit,
    problems: &mut Problems,
) -> Option<Limits> {
    if !written.overrides.is_empty() {
        let message = "`override` changes the limits of the consumer's plan, which this limit does not take";
        problems.error_with_help(&at.field("override"), code::CONFLICT, message, "add `plan: true`");
    }
    for (field, is_written) in [("limit", written.limit.is_some()), ("window", written.window.is_some())] {
        if !is_written {
            let message = format!("`rate_limit` needs a field `{field}`");
            let help = "or `plan: true` for the limits of the consumer's plan";
            problems.error_with_help(&at.field(field), code::MISSING_FIELD, message, help);
        }
    }
    let by = by(&at.field("by"), &written.by, payload, problems);
    let numbers = Written {
        name: written.name.as_deref(),
        limit: written.limit?,
        window: written.window.as_deref()?,
        burst: written.burst,
        algorithm: written.algorithm,
    };
    let id = format!("policy {}", counted(&policy.name));
    let limit = names.limit(at, numbers, &policy.name, &id, problems)?;
    Some(Limits::Own { by: by?, limit })
}

fn by(at: &At<'_>, written: &config::By, payload: Option<&str>, problems: &mut Problems) -> Option<By> {
    Some(match written {
        config::By::Route => By::Route,
        config::By::Consumer => By::Consumer,
        config::By::Plan => By::Plan,
        config::By::Ip => By::Ip,
        config::By::Header(name) => By::Header(header(at, name, problems)?),
        config::By::Jwt(claim) => {
            let payload = payload.unwrap_or(DEFAULT_PAYLOAD);
            let path = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", payload];
            By::Claim(path.into_iter().chain(claim.split('.')).collect::<Vec<_>>().join("\0").into_bytes())
        }
    })
}

/// The name of a header that a limit looks at, in lower case.
fn header(at: &At<'_>, name: &str, problems: &mut Problems) -> Option<String> {
    let lower = match header_name(name) {
        Ok(lower) => lower,
        Err(problem) => {
            problems.error(at, code::INVALID_VALUE, [value(name), text(format!(" {problem}"))]);
            return None;
        }
    };
    if lower == "host" || is_identity(lower.as_bytes()) {
        let message = [text("no limit can look at "), value(name), text(": the gateway takes it away before")];
        problems.error(at, code::CONFLICT, message);
        return None;
    }
    Some(lower)
}

fn cost(at: &At<'_>, written: &config::Cost, problems: &mut Problems) -> Option<Cost> {
    match written {
        config::Cost::Fixed(cost @ 1..=MAX_LIMIT) => Some(Cost::Fixed(*cost)),
        config::Cost::Fixed(cost) => {
            let rule = format!("`cost` must be a whole number from 1 to {MAX_LIMIT}, or `header:NAME`, not ");
            problems.error(at, code::INVALID_VALUE, [text(rule), value(cost)]);
            None
        }
        config::Cost::Header(name) => header(at, name, problems).map(Cost::Header),
    }
}

/// A cost above what a limit ever has would refuse every request.
fn check_cost(
    at: &At<'_>,
    cost: &Cost,
    limits: &Limits,
    api_key: Option<&ApiKeyRule>,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    let Cost::Fixed(cost) = cost else { return };
    let mut check = |most: u64, what: &str| {
        if *cost > most {
            let rule = format!(" is more than {what} ever allows at once, {most}: every request under it is refused");
            problems.error(at, code::OUT_OF_RANGE, [text("`cost` "), value(cost), text(rule)]);
        }
    };
    match limits {
        Limits::Own { limit, .. } => check(limit.algorithm.capacity(), "this limit"),
        Limits::OfPlan { overrides, .. } => {
            let (Some(document), Some(rule)) = (&known.document, api_key) else { return };
            for plan in known.plans.values().filter(|plan| document.may_come(&plan.name, rule)) {
                let capacity = |limit: &Limit| limit.algorithm.capacity();
                if let Some(most) = plan.limits_here(overrides).map(capacity).min() {
                    check(most, &format!("the plan {}", quoted(&plan.name)));
                }
            }
        }
    }
}
