//! `rate_limit`: limits on the rate of requests.

use std::collections::BTreeMap;

use legation_filter::{
    compile::MAX_LIMIT,
    config::{self, Algorithm},
};

use super::{Edit, Features, Route};
use crate::{
    config::{
        code,
        decode::{Field, OneOrMany, Pairs, Said, mapping},
        file::Known,
        leaf::{By, Cost, Leaf, Name, Ref, Whole, Window, Word, name},
        node::Span,
        places::Places,
        plan::{self, Limit, Plan},
        report::{Report, listed, quoted},
    },
    model::route::rate_limit::Meaning,
};

mapping! {
    /// A limit on the rate of requests: one of its own (`limit` and `window`), or those of the consumer's plan
    /// (`plan: true`).
    RateLimit, "`rate_limit`", "{limit: 100, window: 1m, by: consumer}" {
        /// Requests a window.
        optional limit: Whole<u64, 1, MAX_LIMIT>,
        /// How long the window is.
        optional window: Window,
        /// Requests that may come at once. Without it, all of `limit` may.
        optional burst: Whole<u64, 1, MAX_LIMIT>,
        /// Whose requests are counted together.
        optional by: By = By(config::By::Route),
        /// How requests are counted.
        optional algorithm: Word<Algorithm> = Word(Algorithm::TokenBucket),
        /// What clients read as the limit's name. Without it, they read the plan's name or the route's.
        optional name: Name<Limit>,
        /// The consumer's plan says the limits.
        optional plan: bool = false,
        /// Only with `plan`: the limits that consumers of these plans have on this route, in place of their plan's.
        optional r#override: Pairs<Ref<Plan>, OneOrMany<Limit>>,
        /// How much of the limit a request uses up.
        optional cost: Cost = Cost(config::Cost::Fixed(1)),
        /// The gateway counts requests, and refuses none.
        optional dry_run: bool = false,
    }
    planned: scope;
}

super::shape! {
    /// Limits on the rate of requests. All of them hold at once.
    OneOrMany<RateLimit>
}

/// What it means.
pub fn resolve(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<Meaning> {
    let written = &route.features.rate_limit;
    check_each_once(written, report);
    let limits: Vec<_> = written.items().map(|limit| one(limit, route, known, report)).collect();
    if written.is_written() && written.get().is_none() {
        return None;
    }
    limits.into_iter().collect()
}

/// It edits no request header.
pub fn edits(_: &Features) -> Vec<Edit> {
    Vec::new()
}

fn is(flag: &Field<bool>) -> Option<Span> {
    flag.get().filter(|flag| flag.value).map(|flag| flag.span)
}

/// A name that the person gave, and the plan, are each there once in a route.
fn check_each_once(limits: &Field<OneOrMany<RateLimit>>, report: &mut Report) {
    let mut names = Places::default();
    let mut plan = Places::default();
    for limit in limits.items() {
        if let Some(name) = limit.name.get()
            && let Some(first) = names.earlier(&name.value.text, name.span)
        {
            let message = format!("there is already a limit {} at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, name.span, message);
        }
        if let Some(at) = is(&limit.plan)
            && let Some(first) = plan.earlier((), at)
        {
            let message = format!("the plan's limits are already asked for at {}", report.origin(first));
            report.error(code::DUPLICATE_VALUE, at, message);
        }
    }
}

fn one(
    written: &Said<RateLimit>,
    route: &Route,
    known: &Known<'_>,
    report: &mut Report,
) -> Option<config::RateLimit> {
    let name = name::of(&written.name);
    let dry_run = is(&written.dry_run).is_some();
    if let Some(at) = is(&written.plan) {
        needs_api_key(route, "a limit by plan", at, report);
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
        let overrides = overrides(&written.r#override, known, report)?;
        let cost = written.cost.get()?;
        if !dry_run {
            check_cost_of_plans(cost, &overrides, route, known, report);
        }
        let cost = cost.0.clone();
        return Some(config::RateLimit { name, plan: true, overrides, cost, dry_run, ..Default::default() });
    }
    if let Some(at) = written.r#override.key() {
        let help = "add `plan: true`".to_owned();
        let message = "`override` changes the limits of the consumer's plan, which this limit does not take";
        report.error_with_help(code::CONFLICT, at, message, Some(help));
    }
    for (field, is_written) in [("limit", written.limit.is_written()), ("window", written.window.is_written())] {
        if !is_written && !written.has_planned {
            let help = "or `plan: true` for the limits of the consumer's plan".to_owned();
            report.missing(written.span, format!("`rate_limit` needs a field `{field}`"), Some(help));
        }
    }
    if let Some(by) = written.by.get()
        && let config::By::Consumer | config::By::Plan = by.0
    {
        needs_api_key(route, &format!("a limit by {}", by.value.text()), by.span, report);
    }
    let RateLimit { limit, window, burst, algorithm, .. } = &written.value;
    let limit = plan::limit(&plan::Numbers { limit, window, burst, algorithm }, report)?;
    let cost = written.cost.get()?;
    if !dry_run {
        check_cost(cost, limit.burst.unwrap_or(limit.limit), "this limit", report);
    }
    Some(config::RateLimit {
        name,
        limit: Some(limit.limit),
        window: Some(limit.window),
        burst: limit.burst,
        algorithm: limit.algorithm,
        by: written.by.get()?.0.clone(),
        cost: cost.0.clone(),
        dry_run,
        ..Default::default()
    })
}

/// The limits that consumers of some plans have on a route in place of the plan's.
fn overrides(
    written: &Field<Pairs<Ref<Plan>, OneOrMany<Limit>>>,
    known: &Known<'_>,
    report: &mut Report,
) -> Option<BTreeMap<String, Vec<config::Limit>>> {
    let mut overrides = BTreeMap::new();
    let mut is_whole = true;
    for (name, limits) in written.items() {
        known.plans.find(name, report);
        if limits.slots().is_empty() {
            let message = format!("no limit is given for {}: it would lift the plan's", name.shown());
            report.error(code::MISSING_FIELD, name.span, message);
        }
        if let Some(good) = plan::limits(limits.slots(), report).filter(|good| good.len() == limits.slots().len()) {
            overrides.insert(name.text.clone(), good);
        } else {
            is_whole = false;
        }
    }
    is_whole.then_some(overrides)
}

/// A cost above what a limit ever has would refuse every request.
fn check_cost(cost: &Said<Cost>, most: u64, what: &str, report: &mut Report) {
    if let config::Cost::Fixed(number) = &cost.0
        && *number > most
    {
        let message =
            format!("`cost` {number} is more than {what} ever allows at once, {most}: every request under it is refused");
        report.error(code::OUT_OF_RANGE, cost.span, message);
    }
}

/// Whether a route admits somebody of this plan, who has a key or comes without one.
fn may_come(plan: &str, route: &Route, known: &Known<'_>) -> bool {
    let Some(rule) = route.features.api_key.get() else { return false };
    let is_plan = |name: &Said<Ref<Plan>>| name.text == plan;
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let has_key = known.audience.keyed.contains_key(&Some(plan));
    let of = |name: &str| known.consumers.get(name).and_then(|consumer| consumer.value.plan());
    (has_key && (everyone || rule.plans.items().any(is_plan)))
        || rule.consumers.items().any(|name| of(&name.text) == Some(plan))
        || rule.anonymous_plan.get().is_some_and(is_plan)
}

fn check_cost_of_plans(
    cost: &Said<Cost>,
    overrides: &BTreeMap<String, Vec<config::Limit>>,
    route: &Route,
    known: &Known<'_>,
    report: &mut Report,
) {
    for (name, plan) in known.plans.iter().filter(|(name, _)| may_come(name, route, known)) {
        let own = || {
            let number = |limit: &Said<Limit>| limit.burst.get().or(limit.limit.get()).map(|number| number.0);
            plan.limits.items().filter_map(number).collect()
        };
        let here =
            overrides.get(name).map(|limits| limits.iter().map(|limit| limit.burst.unwrap_or(limit.limit)).collect());
        let here: Vec<u64> = here.unwrap_or_else(own);
        let quota = plan.quota.get().and_then(|quota| Some(quota.limit.get()?.0));
        if let Some(most) = here.into_iter().chain(quota).min() {
            check_cost(cost, most, &format!("the plan {}", quoted(name)), report);
        }
    }
}

fn needs_api_key(route: &Route, what: &str, at: Span, report: &mut Report) {
    if !route.features.api_key.is_written() && !route.has_planned {
        let help = "add `api_key: {}` to the route".to_owned();
        report.error_with_help(code::NEEDS_API_KEY, at, format!("{what} needs `api_key` on its route"), Some(help));
    }
}
