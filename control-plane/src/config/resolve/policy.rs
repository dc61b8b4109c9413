//! `api_key` and `rate_limit` of a route: what the filter asks of its requests.

use std::collections::BTreeMap;

use legation_filter::{
    compile::{MAX_LIMIT, key_cookie, key_header, key_parameter},
    config::{ApiKeyRule, By, Cost, Limit, RateLimit},
    identity::is_identity,
};

use super::{Known, plan};
use crate::config::{
    code,
    decode::{Field, Integer, OneOrMany, Text},
    names::{self, Names},
    node::Span,
    places::Places,
    report::{Report, listed, one_of, quoted},
    schema, value,
};

/// The key and the limits that the route asks for.
pub fn resolve(
    route: &schema::Route,
    known: &Known<'_>,
    report: &mut Report,
) -> (Option<Option<ApiKeyRule>>, Option<Vec<RateLimit>>) {
    let api_key = route.api_key.resolve(|rule| api_key(rule, route, known, report));
    check_each_once(route.rate_limit.items(), report);
    let rate_limit = value::all(route.rate_limit.items().iter().map(|limit| rate_limit(limit, route, known, report)));
    (api_key, rate_limit)
}

/// A name that the person gave, and the plan, are each there once in a route.
fn check_each_once(limits: &[schema::RateLimit], report: &mut Report) {
    let mut names = Places::default();
    let mut plan = Places::default();
    for limit in limits {
        if let Some(name) = limit.name.get()
            && let Some(first) = names.earlier(&name.value, name.span)
        {
            let message = format!("there is already a limit {} at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, name.span, message);
        }
        if let Some(flag) = limit.plan.get().filter(|plan| plan.value)
            && let Some(first) = plan.earlier((), flag.span)
        {
            let message = format!("the plan's limits are already asked for at {}", report.origin(first));
            report.error(code::DUPLICATE_VALUE, flag.span, message);
        }
    }
}

fn api_key(
    rule: &schema::ApiKeyRule,
    route: &schema::Route,
    known: &Known<'_>,
    report: &mut Report,
) -> Option<ApiKeyRule> {
    let header = rule.header.resolve(|text| header(text, report));
    let cookie = rule.cookie.resolve(|text| checked(text, key_cookie, report));
    let query = rule.query.resolve(|text| checked(text, key_parameter, report));
    let bearer = rule.bearer.get().filter(|bearer| bearer.value);
    if let (Some(bearer), Some(Some(header))) = (bearer, &header)
        && header == "authorization"
    {
        let message =
            "the header authorization carries either a bearer token or a key as it is: leave out one of the two";
        report.error(code::CONFLICT, bearer.span, message);
    }
    let optional = rule.optional.get().is_some_and(|optional| optional.value);
    let anonymous_plan = rule.anonymous_plan.resolve(|name| {
        if !optional {
            let help = "add `optional: true`".to_owned();
            let message = "only with `optional` does anybody come without a key";
            report.error_with_help(code::CONFLICT, name.span, message, Some(help));
        }
        known.plans.find(name, report).map(|_| name.value.clone())
    });
    for list in [&rule.consumers, &rule.plans] {
        if let Some(at) = list.key().filter(|_| list.is_empty()) {
            let help = "leave it out to admit everyone who has a key".to_owned();
            report.error_with_help(code::INVALID_VALUE, at, "the list is empty: it would admit nobody", Some(help));
        }
    }
    let consumers = known_names(rule.consumers.items(), &known.consumers, report);
    let plans = known_names(rule.plans.items(), &known.plans, report);
    let (consumers, plans) = (consumers?, plans?);
    warn_of_callers(rule, route, known, report);
    Some(ApiKeyRule {
        header: header?,
        bearer: bearer.is_some(),
        cookie: cookie?,
        query: query?,
        optional,
        anonymous_plan: anonymous_plan?,
        consumers,
        plans,
        keep: rule.keep.get().is_some_and(|keep| keep.value),
        forward_metadata: rule.forward_metadata.get().is_some_and(|forward| forward.value),
    })
}

/// Names that the file has, in the order written.
fn known_names<T>(written: &[Text], known: &Names<'_, T>, report: &mut Report) -> Option<Vec<String>> {
    value::all(written.iter().map(|name| known.find(name, report).map(|_| name.value.clone())))
}

fn header(text: &Text, report: &mut Report) -> Option<String> {
    value::header_name(text, report)?;
    checked(text, key_header, report)
}

/// What the filter makes of a name.
fn checked(text: &Text, check: fn(&str) -> Result<String, &'static str>, report: &mut Report) -> Option<String> {
    let found = check(&text.value);
    found.map_err(|problem| report.error(code::INVALID_VALUE, text.span, format!("{} {problem}", text.shown()))).ok()
}

fn rate_limit(
    written: &schema::RateLimit,
    route: &schema::Route,
    known: &Known<'_>,
    report: &mut Report,
) -> Option<RateLimit> {
    if let Some(name) = written.name.get() {
        names::check(names::LIMIT, name, report);
    }
    let name = names::of(&written.name);
    let dry_run = written.dry_run.get().is_some_and(|dry_run| dry_run.value);
    let cost = written.cost.resolve_or(Cost::default(), |text| cost(text, report));
    if let Some(plan) = written.plan.get().filter(|plan| plan.value) {
        needs_api_key(route, "a limit by plan", plan.span, report);
        let own = [
            ("limit", written.limit.key()),
            ("window", written.window.key()),
            ("burst", written.burst.key()),
            ("algorithm", written.algorithm.key()),
            ("by", written.by.key()),
        ];
        for (field, at) in own.into_iter().filter_map(|(field, key)| Some((field, key?))) {
            let message = format!("only one of {} may be written: the plan says it", listed(&["plan", field]));
            report.error(code::CONFLICT, at, message);
        }
        let overrides = overrides(written.r#override.items(), known, report)?;
        let cost = cost?;
        if !dry_run {
            check_cost_of_plans(&cost, written, &overrides, route, known, report);
        }
        return Some(RateLimit { name, plan: true, overrides, cost, dry_run, ..RateLimit::default() });
    }
    if let Some(at) = written.r#override.key() {
        let help = "add `plan: true`".to_owned();
        let message = "`override` changes the limits of the consumer's plan, which this limit does not take";
        report.error_with_help(code::CONFLICT, at, message, Some(help));
    }
    for (field, is_written) in [("limit", written.limit.is_written()), ("window", written.window.is_written())] {
        if !is_written && !written.has_planned {
            let help = "or `plan: true` for the limits of the consumer's plan".to_owned();
            let message = format!("`rate_limit` needs a field `{field}`");
            report.error_with_help(code::MISSING_FIELD, written.span, message, Some(help));
        }
    }
    let by = written.by.resolve_or(By::Route, |text| by(text, route, report));
    let schema::RateLimit { limit, window, burst, algorithm, .. } = written;
    let limit = plan::limit(&plan::Numbers { limit, window, burst, algorithm }, report)?;
    let cost = cost?;
    if !dry_run {
        check_cost(&cost, written, limit.burst.unwrap_or(limit.limit), "this limit", report);
    }
    Some(RateLimit {
        name,
        limit: Some(limit.limit),
        window: Some(limit.window),
        burst: limit.burst,
        algorithm: limit.algorithm,
        by: by?,
        cost,
        dry_run,
        ..RateLimit::default()
    })
}

/// The limits that consumers of some plans have on a route in place of the plan's.
fn overrides(
    written: &[(Text, OneOrMany<schema::Limit>)],
    known: &Known<'_>,
    report: &mut Report,
) -> Option<BTreeMap<String, Vec<Limit>>> {
    let pairs = value::all(written.iter().map(|(name, limits)| {
        let found = known.plans.find(name, report);
        if limits.items().is_empty() {
            let message = format!("no limit is given for {}: it would lift the plan's", name.shown());
            report.error(code::MISSING_FIELD, name.span, message);
        }
        let limits = plan::limits(limits.items(), report)?;
        found.map(|_| (name.value.clone(), limits))
    }));
    pairs.map(|pairs| pairs.into_iter().collect())
}

/// `5`, or `header:x-cost`.
fn cost(text: &Text, report: &mut Report) -> Option<Cost> {
    if let Some(name) = text.value.strip_prefix(BY_HEADER) {
        return named_header(text, name, report).map(Cost::Header);
    }
    let cost = text.value.parse().ok().filter(|cost| (1..=MAX_LIMIT).contains(cost));
    if cost.is_none() {
        let message =
            format!("`cost` must be a whole number from 1 to {MAX_LIMIT}, or `header:NAME`, not {}", text.shown());
        report.error(code::INVALID_VALUE, text.span, message);
    }
    cost.map(Cost::Fixed)
}

/// A cost above what a limit ever has would refuse every request.
fn check_cost(cost: &Cost, written: &schema::RateLimit, most: u64, what: &str, report: &mut Report) {
    if let (Cost::Fixed(cost), Some(text)) = (cost, written.cost.get())
        && *cost > most
    {
        let message =
            format!("`cost` {cost} is more than {what} ever allows at once, {most}: every request under it is refused");
        report.error(code::OUT_OF_RANGE, text.span, message);
    }
}

/// Whether a route admits somebody of this plan, who has a key or comes without one.
fn may_come(plan: &str, route: &schema::Route, known: &Known<'_>) -> bool {
    let Some(rule) = route.api_key.get() else { return false };
    let is_plan = |name: &Text| name.value == plan;
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let has_key = known.audience.keyed.contains_key(&Some(plan));
    let of = |name: &Text| known.consumers.get(&name.value).and_then(|consumer| plan_of(consumer));
    (has_key && (everyone || rule.plans.items().iter().any(is_plan)))
        || rule.consumers.items().iter().any(|name| of(name) == Some(plan))
        || rule.anonymous_plan.get().is_some_and(is_plan)
}

fn check_cost_of_plans(
    cost: &Cost,
    written: &schema::RateLimit,
    overrides: &BTreeMap<String, Vec<Limit>>,
    route: &schema::Route,
    known: &Known<'_>,
    report: &mut Report,
) {
    for (name, plan) in known.plans.iter().filter(|(name, _)| may_come(name, route, known)) {
        // Wrong numbers were reported where they stand.
        let number = |field: &Field<Integer>| {
            field.get().and_then(|number| u64::try_from(number.value).ok()).filter(|number| *number > 0)
        };
        let own =
            || plan.limits.items().iter().filter_map(|limit| number(&limit.burst).or(number(&limit.limit))).collect();
        let here =
            overrides.get(name).map(|limits| limits.iter().map(|limit| limit.burst.unwrap_or(limit.limit)).collect());
        let here: Vec<u64> = here.unwrap_or_else(own);
        let quota = plan.quota.get().and_then(|quota| number(&quota.limit));
        if let Some(most) = here.into_iter().chain(quota).min() {
            check_cost(cost, written, most, &format!("the plan {}", quoted(name)), report);
        }
    }
}

const BY_HEADER: &str = "header:";
const BY: &[&str] = &["consumer", "plan", "ip", "route", "header:NAME"];

fn by(text: &Text, route: &schema::Route, report: &mut Report) -> Option<By> {
    match By::try_from(text.value.clone()) {
        Ok(By::Header(name)) => return named_header(text, &name, report).map(By::Header),
        Ok(By::Jwt(_)) => {
            let message = format!("`by` {} is not supported yet", text.shown());
            report.error(code::NOT_SUPPORTED_YET, text.span, message);
        }
        Ok(by) => {
            if let By::Consumer | By::Plan = by {
                needs_api_key(route, &format!("a limit by {}", text.value), text.span, report);
            }
            return Some(by);
        }
        Err(_) => {
            let help = report.did_you_mean(&text.value, BY.iter().copied());
            let message = format!("`by` must be {}, not {}", one_of(BY), text.shown());
            report.error_with_help(code::INVALID_VALUE, text.span, message, help);
        }
    }
    None
}

/// The header that a text names after its `header:`, in lower case.
fn named_header(text: &Text, name: &str, report: &mut Report) -> Option<String> {
    let lower = value::header_name(&text.part(name), report)?;
    if is_identity(lower.as_bytes()) {
        let message = format!("no limit can look at {}: the gateway takes it away before", quoted(name));
        report.error(code::CONFLICT, text.span, message);
        return None;
    }
    Some(lower)
}

fn needs_api_key(route: &schema::Route, what: &str, at: Span, report: &mut Report) {
    if !route.api_key.is_written() && !route.has_planned {
        let help = "add `api_key: {}` to the route".to_owned();
        report.error_with_help(code::NEEDS_API_KEY, at, format!("{what} needs `api_key` on its route"), Some(help));
    }
}

/// Who could call where a key is asked for; counted once for all routes.
pub struct Audience<'a> {
    /// By plan: somebody who has a key.
    keyed: BTreeMap<Option<&'a str>, &'a str>,
}

impl<'a> Audience<'a> {
    /// Of all consumers, one with a key for each plan and one for none.
    pub fn new(consumers: &'a [schema::Consumer]) -> Self {
        let mut keyed = BTreeMap::new();
        for consumer in consumers.iter().filter(|consumer| !consumer.api_keys.is_empty()) {
            if let Some(name) = consumer.name.get() {
                keyed.entry(plan_of(consumer)).or_insert(name.value.as_str());
            }
        }
        Self { keyed }
    }
}

fn plan_of(consumer: &schema::Consumer) -> Option<&str> {
    consumer.plan.get().map(|plan| plan.value.as_str())
}

fn has_limits(plan: &schema::Plan) -> bool {
    !plan.limits.items().is_empty() || plan.quota.is_written()
}

/// Warns where nobody is admitted, and where a limit by plan meets somebody whose plan says none.
fn warn_of_callers(rule: &schema::ApiKeyRule, route: &schema::Route, known: &Known<'_>, report: &mut Report) {
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let named = rule.consumers.items().iter().filter_map(|name| {
        let consumer = known.consumers.get(&name.value)?;
        (!consumer.api_keys.is_empty()).then_some((plan_of(consumer), name.value.as_str()))
    });
    let by_plan = known.audience.keyed.iter().map(|(plan, name)| (*plan, *name)).filter(|(plan, _)| {
        everyone || rule.plans.items().iter().any(|admitted| Some(admitted.value.as_str()) == *plan)
    });
    let admitted: Vec<(Option<&str>, &str)> = by_plan.chain(named).collect();
    let at = route.api_key.key().unwrap_or(rule.span);
    let optional = rule.optional.get().is_some_and(|optional| optional.value);
    if admitted.is_empty() && !optional {
        let message = "no consumer that this route admits has a key: every request is refused";
        report.warning(code::NOBODY_ADMITTED, at, message, None);
    }
    let Some(at) = route.rate_limit.items().iter().find_map(|limit| limit.plan.get().filter(|plan| plan.value)) else {
        return;
    };
    let anonymous = rule.anonymous_plan.get().and_then(|name| known.plans.get(&name.value));
    if anonymous.is_some_and(|plan| !has_limits(plan)) {
        let message = "the plan of those who come without a key has no limits: nothing limits them here";
        report.warning(code::WITHOUT_PLAN, at.span, message, None);
    }
    if optional && !rule.anonymous_plan.is_written() {
        let help = Some("give them a plan by `anonymous_plan`".to_owned());
        report.warning(
            code::WITHOUT_PLAN,
            at.span,
            "who comes without a key has no plan: nothing limits it here",
            help,
        );
    }
    for (plan, consumer) in admitted {
        let limited = plan.and_then(|plan| known.plans.get(plan)).map(has_limits);
        let problem = match (plan, limited) {
            (None, _) => "has no plan".to_owned(),
            (Some(plan), Some(false)) => format!("has the plan {}, which has no limits", quoted(plan)),
            _ => continue,
        };
        let message = format!("the consumer {} {problem}: nothing limits it here", quoted(consumer));
        report.warning(code::WITHOUT_PLAN, at.span, message, None);
    }
}
