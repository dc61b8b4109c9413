//! `plans`: what a consumer may use. The filter's compiler has the rules, see
//! [`rules_of_filter`](super::rules_of_filter).

use legation_filter::config::{self, Algorithm, Period};

use super::{
    code,
    decode::{Field, List, OneOrMany, Said, mapping},
    leaf::{
        Count, Name, Named, Window, Word,
        name::{self, Kind},
        words,
    },
};

words! {
    /// How a limit counts requests.
    Algorithm, "algorithm" {
        /// An allowance that refills steadily (GCRA), of which `burst` may be used at once.
        "token_bucket" => Algorithm::TokenBucket,
        /// The last window: this window's count and a share of the one before.
        "sliding_window" => Algorithm::SlidingWindow,
    }
}

words! {
    /// A period of the calendar, in UTC.
    Period, "period" {
        /// From midnight to midnight.
        "day" => Period::Day,
        /// From the first day's midnight to the next month's.
        "month" => Period::Month,
    }
}

mapping! {
    /// What consumers of the plan may use, on routes whose `rate_limit` says `plan: true`.
    Plan, "a plan", "{name: pro, limits: [{limit: 600, window: 1m}]}" {
        /// The plan's name.
        required name: Name<Plan>,
        /// Limits that all hold at once, counted for each consumer over all routes.
        optional limits: OneOrMany<Limit>,
        /// How many requests a consumer has in a day or month of the calendar.
        optional quota: Quota,
    }
}

impl Named for Plan {
    const KIND: Kind = Kind::plain("plan", code::UNKNOWN_PLAN).of_filter();

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

mapping! {
    /// How many requests there are in a day or month, which begin at midnight UTC.
    Quota, "`quota`", "{limit: 100000, window: month}" {
        /// Requests.
        required limit: Count,
        /// The period.
        required window: Word<Period>,
    }
}

mapping! {
    /// A limit on the rate of requests.
    Limit, "a limit", "{limit: 600, window: 1m}" {
        /// What clients read as its name. Without it, they read the plan's name.
        optional name: Name<Limit>,
        /// Requests a window.
        required limit: Count,
        /// How long the window is.
        required window: Window,
        /// Requests that may come at once. Without it, all of `limit` may.
        optional burst: Count,
        /// How requests are counted.
        optional algorithm: Word<Algorithm> = Word(Algorithm::TokenBucket),
    }
}

impl Named for Limit {
    const KIND: Kind = Kind::plain("limit", code::INVALID_VALUE).of_filter();

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

/// A limit and a window that the filter finds no fault with.
const HARMLESS: (u64, &str) = (legation_filter::compile::MAX_LIMIT, "1d");

/// The plans in the filter's words, as many as are written. Something harmless takes the place of
/// whatever decoding has reported.
pub fn of_filter(plans: &Field<List<Plan>>) -> Vec<config::Plan> {
    let one = |plan: &Option<Said<Plan>>| plan.as_ref().map(|plan| one(plan)).unwrap_or_default();
    plans.slots().iter().map(one).collect()
}

fn one(plan: &Plan) -> config::Plan {
    let quota = plan.quota.get().map(|quota| config::Quota {
        limit: quota.limit.get().map_or(HARMLESS.0, |count| count.0),
        window: quota.window.get().map_or(Period::Month, |word| word.0),
    });
    config::Plan {
        name: name::of(&plan.name).unwrap_or_default(),
        limits: plan.limits.slots().iter().map(limit).collect(),
        quota,
    }
}

/// A limit of a plan, or of a route in its place.
pub fn limit(written: &Option<Said<Limit>>) -> config::Limit {
    let limit = written.as_ref().map(|limit| &limit.value);
    let window = limit.and_then(|limit| limit.window.get()).map_or(HARMLESS.1, |window| &window.value.0);
    config::Limit {
        name: limit.and_then(|limit| name::of(&limit.name)),
        limit: limit.and_then(|limit| limit.limit.get()).map_or(HARMLESS.0, |count| count.0),
        window: window.to_owned(),
        burst: limit.and_then(|limit| limit.burst.get()).map(|count| count.0),
        algorithm: limit.and_then(|limit| limit.algorithm.get()).map_or_else(Algorithm::default, |word| word.0),
    }
}
