//! `api_key`: the route asks for a key.

use legation_filter::{compile::DEFAULT_KEY_HEADER, config, identity::is_identity};

use super::{Edit, Features, Route};
use crate::{
    config::{
        code,
        consumer::Consumer,
        decode::{Field, List, Said, mapping},
        file::Known,
        leaf::{CookieName, KeyHeader, Named, Names, ParameterName, Ref},
        plan::Plan,
        report::{Report, quoted},
    },
    model::route::api_key::Meaning,
};

mapping! {
    /// The route asks for a key. If no place is named, the key is in the header `x-api-key`. If one is, only the named
    /// places count, in the order header, bearer, cookie, query. A key is not passed on to the cluster.
    ApiKey, "`api_key`", "{header: x-token, plans: [pro]}" {
        /// A request header that may carry the key.
        optional header: KeyHeader,
        /// `authorization: Bearer …` may carry the key.
        optional bearer: bool = false,
        /// A cookie that may carry the key.
        optional cookie: CookieName,
        /// A parameter of the query that may carry the key.
        optional query: ParameterName,
        /// A request without a key passes, too. One with a bad key never does.
        optional optional: bool = false,
        /// The plan of callers without a key. Only with `optional`.
        optional anonymous_plan: Ref<Plan>,
        /// The consumers who may call. Without it and `plans`, all who have a key may.
        optional consumers: List<Ref<Consumer>>,
        /// The plans whose consumers may call.
        optional plans: List<Ref<Plan>>,
        /// The cluster sees the key.
        optional keep: bool = false,
        /// The cluster sees the consumer's metadata, in headers `x-consumer-metadata-NAME`.
        optional forward_metadata: bool = false,
    }
}

super::shape! {
    /// The route asks for a key. `{}` takes it from the header `x-api-key`.
    ApiKey
}

/// What it means.
pub fn resolve(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<Meaning> {
    route.features.api_key.resolve(|rule| one(rule, route, known, report))
}

/// The headers that carry a key and do not reach the cluster.
pub fn edits(features: &Features) -> Vec<Edit> {
    let Some(rule) = features.api_key.get().filter(|rule| !is(&rule.keep)) else { return Vec::new() };
    let header = rule.header.get().map(|header| header.value.0.as_str());
    let is_default = !is(&rule.bearer) && header.is_none() && !rule.cookie.is_written() && !rule.query.is_written();
    let headers = [
        header.or(is_default.then_some(DEFAULT_KEY_HEADER)),
        is(&rule.bearer).then_some("authorization"),
        rule.cookie.get().map(|_| "cookie"),
    ];
    let edit = |header: &str| Edit { header: header.to_ascii_lowercase(), at: rule.span };
    headers.into_iter().flatten().map(edit).collect()
}

/// Whether the filter writes this header, whatever the route says: clients cannot forge who they are.
pub fn writes_always(lower: &str) -> bool {
    is_identity(lower.as_bytes())
}

fn is(flag: &Field<bool>) -> bool {
    flag.get().is_some_and(|flag| flag.value)
}

fn one(rule: &Said<ApiKey>, route: &Route, known: &Known<'_>, report: &mut Report) -> Option<config::ApiKeyRule> {
    if let (Some(bearer), Some(header)) = (rule.bearer.get().filter(|flag| flag.value), rule.header.get())
        && header.0 == "authorization"
    {
        let message =
            "the header authorization carries either a bearer token or a key as it is: leave out one of the two";
        report.error(code::CONFLICT, bearer.span, message);
    }
    let optional = is(&rule.optional);
    if let Some(name) = rule.anonymous_plan.get() {
        if !optional {
            let help = "add `optional: true`".to_owned();
            let message = "only with `optional` does anybody come without a key";
            report.error_with_help(code::CONFLICT, name.span, message, Some(help));
        }
        known.plans.find(name, report);
    }
    let consumers = named(&rule.consumers, &known.consumers, report);
    let plans = named(&rule.plans, &known.plans, report);
    let (consumers, plans) = (consumers?, plans?);
    warn_of_callers(rule, route, known, report);
    Some(config::ApiKeyRule {
        header: rule.header.value()?.map(|name| name.0),
        bearer: is(&rule.bearer),
        cookie: rule.cookie.value()?.map(|name| name.0),
        query: rule.query.value()?.map(|name| name.0),
        optional,
        anonymous_plan: rule.anonymous_plan.value()?.map(|plan| plan.text),
        consumers,
        plans,
        keep: is(&rule.keep),
        forward_metadata: is(&rule.forward_metadata),
    })
}

/// The names in a list, which must have one where it is written.
fn named<T: Named>(list: &Field<List<Ref<T>>>, known: &Names<'_, T>, report: &mut Report) -> Option<Vec<String>> {
    if let Some(at) = list.key().filter(|_| list.is_empty()) {
        let help = "leave it out to admit everyone who has a key".to_owned();
        report.error_with_help(code::INVALID_VALUE, at, "the list is empty: it would admit nobody", Some(help));
    }
    let names: Vec<_> = list.items().map(|name| known.find(name, report).map(|_| name.text.clone())).collect();
    names.into_iter().collect()
}

/// Warns where nobody is admitted, and where a limit by plan meets somebody whose plan says none.
fn warn_of_callers(rule: &Said<ApiKey>, route: &Route, known: &Known<'_>, report: &mut Report) {
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let named = rule.consumers.items().filter_map(|name| {
        let consumer = known.consumers.get(&name.text)?;
        (!consumer.api_keys.is_empty()).then_some((consumer.value.plan(), name.value.text.as_str()))
    });
    let by_plan = known
        .audience
        .keyed
        .iter()
        .map(|(plan, name)| (*plan, *name))
        .filter(|(plan, _)| everyone || rule.plans.items().any(|admitted| Some(admitted.text.as_str()) == *plan));
    let admitted: Vec<(Option<&str>, &str)> = by_plan.chain(named).collect();
    let at = route.features.api_key.key().unwrap_or(rule.span);
    let optional = is(&rule.optional);
    if admitted.is_empty() && !optional {
        let message = "no consumer that this route admits has a key: every request is refused";
        report.warning(code::NOBODY_ADMITTED, at, message, None);
    }
    let by_plan = |limit: &super::rate_limit::RateLimit| limit.plan.get().filter(|plan| plan.value).map(|plan| plan.span);
    let Some(at) = route.features.rate_limit.items().find_map(|limit| by_plan(limit)) else { return };
    let mut warn = |message: String, help: Option<String>| report.warning(code::WITHOUT_PLAN, at, message, help);
    let anonymous = rule.anonymous_plan.get().and_then(|name| known.plans.get(&name.text));
    if anonymous.is_some_and(|plan| !plan.has_limits()) {
        warn("the plan of callers without a key has no limits: nothing limits them here".to_owned(), None);
    }
    if optional && !rule.anonymous_plan.is_written() {
        let help = "give them a plan by `anonymous_plan`".to_owned();
        warn("callers without a key have no plan: nothing limits them here".to_owned(), Some(help));
    }
    for (plan, consumer) in admitted {
        let limited = plan.and_then(|plan| known.plans.get(plan)).map(|plan| plan.has_limits());
        let problem = match (plan, limited) {
            (None, _) => "has no plan".to_owned(),
            (Some(plan), Some(false)) => format!("has the plan {}, which has no limits", quoted(plan)),
            _ => continue,
        };
        warn(format!("the consumer {} {problem}: nothing limits it here", quoted(consumer)), None);
    }
}
