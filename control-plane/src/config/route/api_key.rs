//! `api_key`: the route asks for a key.

use legation_filter::{compile::DEFAULT_KEY_HEADER, config, identity::is_identity};

use super::{Edit, Features, Route, Rules};
use crate::{
    config::{
        code,
        consumer::Consumer,
        decode::{Field, List, Said, mapping},
        file::Known,
        leaf::{CookieName, KeyHeader, Named, ParameterName, Ref},
        node::Span,
        plan::Plan,
        report::Report,
    },
    model::route::api_key::Meaning,
};

mapping! {
    /// The route asks for a key. If no place is named, the key is in the header `x-api-key`. If
    /// one is, only the named places count, in the order header, bearer, cookie, query. A key is
    /// not passed on to the cluster.
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

impl Rules for Feature {
    type Meaning = Meaning;

    /// What it means. The filter's compiler has the rules but one: an empty list and none look the
    /// same to it.
    fn resolve(route: &Said<Route>, _: &Known<'_>, report: &mut Report) -> Option<Meaning> {
        if let Some(rule) = route.features.api_key.get() {
            for at in [empty(&rule.consumers), empty(&rule.plans)].into_iter().flatten() {
                let help = "leave it out to admit everyone who has a key".to_owned();
                report.error_with_help(code::INVALID_VALUE, at, "the list is empty: it would admit nobody", Some(help));
            }
        }
        Some(of_filter(&route.features))
    }

    /// The headers that carry a key and do not reach the cluster.
    fn edits(features: &Features) -> Vec<Edit> {
        let Some(rule) = features.api_key.get().filter(|rule| !is(&rule.keep)) else { return Vec::new() };
        let header = rule.header.get().map(|header| header.value.0.as_str());
        let is_default = !is(&rule.bearer) && header.is_none() && !rule.cookie.is_written() && !rule.query.is_written();
        let headers = [
            header.or(is_default.then_some(DEFAULT_KEY_HEADER)),
            is(&rule.bearer).then_some("authorization"),
            rule.cookie.get().map(|_| "cookie"),
        ];
        let edit = |header: &str| Edit {
            header: header.to_ascii_lowercase(),
            at: rule.span,
            why: "it carries the key of {}, which takes it away once a route is chosen",
            help: "match on another header, or say `keep: true` there",
        };
        headers.into_iter().flatten().map(edit).collect()
    }
}

/// In the filter's words. Where decoding has reported something, nothing stands in its place.
pub fn of_filter(features: &Features) -> Option<config::ApiKeyRule> {
    let field = &features.api_key;
    let Some(rule) = field.get() else { return field.is_written().then(config::ApiKeyRule::default) };
    Some(config::ApiKeyRule {
        header: rule.header.get().map(|name| name.0.clone()),
        bearer: is(&rule.bearer),
        cookie: rule.cookie.get().map(|name| name.0.clone()),
        query: rule.query.get().map(|name| name.0.clone()),
        optional: is(&rule.optional),
        anonymous_plan: rule.anonymous_plan.get().map(|plan| plan.text.clone()),
        consumers: names(&rule.consumers),
        plans: names(&rule.plans),
        keep: is(&rule.keep),
        forward_metadata: is(&rule.forward_metadata),
    })
}

/// Whether the filter writes this header, whatever the route says: clients cannot forge who they
/// are.
pub fn writes_always(lower: &str) -> bool {
    is_identity(lower.as_bytes())
}

fn is(flag: &Field<bool>) -> bool {
    flag.get().is_some_and(|flag| flag.value)
}

fn empty<T>(list: &Field<List<T>>) -> Option<Span> {
    list.key().filter(|_| list.is_empty())
}

/// As many as are written, so that places can be counted.
fn names<T: Named>(list: &Field<List<Ref<T>>>) -> Vec<String> {
    let name = |name: &Option<Said<Ref<T>>>| name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
    list.slots().iter().map(name).collect()
}
