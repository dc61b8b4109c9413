//! `rate_limit`: limits on the rate of requests.

use legation_filter::config::{self, Algorithm};

use super::{Features, Route, Rules};
use crate::{
    config::{
        clashes,
        decode::{Field, OneOrMany, Pairs, Said, mapping},
        file::Known,
        leaf::{By, Cost, Count, Name, Ref, Window, Word, name},
        plan::{self, Limit, Plan},
        report::Report,
    },
    model::route::rate_limit::Meaning,
};

mapping! {
    /// A limit on the rate of requests: one of its own (`limit` and `window`), or those of the
    /// consumer's plan (`plan: true`).
    RateLimit, "`rate_limit`", "{limit: 100, window: 1m, by: consumer}" {
        /// Requests a window.
        optional limit: Count,
        /// How long the window is.
        optional window: Window,
        /// Requests that may come at once. Without it, all of `limit` may.
        optional burst: Count,
        /// Whose requests are counted together.
        optional by: By = By(config::By::Route),
        /// How requests are counted.
        optional algorithm: Word<Algorithm> = Word(Algorithm::TokenBucket),
        /// What clients read as the limit's name. Without it, they read the plan's name or the
        /// route's.
        optional name: Name<Limit>,
        /// The consumer's plan says the limits.
        optional plan: bool = false,
        /// Only with `plan`: the limits that consumers of these plans have on this route, in
        /// place of their plan's.
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

impl Rules for Feature {
    type Meaning = Meaning;

    /// What it means. The filter's compiler has the rules but one: a default looks to it as if it
    /// were not written.
    fn resolve(route: &Said<Route>, _: &Known<'_>, report: &mut Report) -> Option<Meaning> {
        for limit in route.features.rate_limit.items() {
            clashes::check(clashes::RATE_LIMIT, &limit.value, report);
        }
        Some(of_filter(&route.features))
    }
}

/// In the filter's words: as many as are written. Where decoding has reported something, nothing
/// stands in its place.
pub fn of_filter(features: &Features) -> Vec<config::RateLimit> {
    features.rate_limit.slots().iter().map(|limit| limit.as_ref().map(|limit| one(limit)).unwrap_or_default()).collect()
}

fn one(written: &RateLimit) -> config::RateLimit {
    let is = |flag: &Field<bool>| flag.get().is_some_and(|flag| flag.value);
    let count = |field: &Field<Count>| field.get().map(|count| count.0);
    let limits = |limits: &OneOrMany<Limit>| limits.slots().iter().map(plan::limit).collect();
    let overrides = written.r#override.items().map(|(plan, written)| (plan.text.clone(), limits(&written.value)));
    config::RateLimit {
        name: name::of(&written.name),
        limit: count(&written.limit),
        window: written.window.get().map(|window| window.0.clone()),
        burst: count(&written.burst),
        algorithm: written.algorithm.get().map_or_else(Algorithm::default, |word| word.0),
        by: written.by.get().map_or_else(config::By::default, |by| by.0.clone()),
        plan: is(&written.plan),
        overrides: overrides.collect(),
        cost: written.cost.get().map_or_else(config::Cost::default, |cost| cost.0.clone()),
        dry_run: is(&written.dry_run),
    }
}
