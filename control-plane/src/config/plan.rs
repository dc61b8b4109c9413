//! `plans`: what a consumer may use.

use std::time::Duration;

use legation_filter::{
    compile::{MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL},
    config::{self, Algorithm, Period},
};

use super::{
    code,
    decode::{Field, OneOrMany, Said, mapping},
    leaf::{
        Name, Named, Whole, Window, Word,
        name::{self, Kind},
        words,
    },
    node::Span,
    places::Places,
    report::Report,
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
    const KIND: Kind = Kind::plain("plan", code::UNKNOWN_PLAN);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

impl Plan {
    /// Whether it limits anything.
    pub fn has_limits(&self) -> bool {
        self.limits.items().next().is_some() || self.quota.is_written()
    }
}

mapping! {
    /// How many requests there are in a day or month, which begin at midnight UTC.
    Quota, "`quota`", "{limit: 100000, window: month}" {
        /// Requests.
        required limit: Whole<u64, 1, MAX_LIMIT>,
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
        required limit: Whole<u64, 1, MAX_LIMIT>,
        /// How long the window is.
        required window: Window,
        /// Requests that may come at once. Without it, all of `limit` may.
        optional burst: Whole<u64, 1, MAX_LIMIT>,
        /// How requests are counted.
        optional algorithm: Word<Algorithm> = Word(Algorithm::TokenBucket),
    }
}

impl Named for Limit {
    const KIND: Kind = Kind::plain("limit", code::INVALID_VALUE);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

/// The valid plans.
pub fn resolve<'a>(plans: impl Iterator<Item = &'a Said<Plan>>, report: &mut Report) -> Vec<config::Plan> {
    plans.filter_map(|plan| one(plan, report)).collect()
}

fn one(plan: &Plan, report: &mut Report) -> Option<config::Plan> {
    let limits = limits(plan.limits.slots(), report);
    let quota =
        plan.quota.resolve(|quota| Some(config::Quota { limit: quota.limit.get()?.0, window: quota.window.get()?.0 }));
    Some(config::Plan { name: name::of(&plan.name)?, limits: limits?, quota: quota? })
}

/// A plan's limits, or those that a route has in their place.
pub fn limits(written: &[Option<Said<Limit>>], report: &mut Report) -> Option<Vec<config::Limit>> {
    let mut given = Places::default();
    let limits: Vec<Option<config::Limit>> = written
        .iter()
        .flatten()
        .map(|written| {
            let Limit { name, limit, window, burst, algorithm, .. } = &written.value;
            if let Some(name) = name.get()
                && let Some(first) = given.earlier(&name.value.text, name.span)
            {
                let message = format!("there is already a limit {} at {}", name.shown(), report.origin(first));
                report.error(code::DUPLICATE_NAME, name.span, message);
            }
            let limit = self::limit(&Numbers { limit, window, burst, algorithm }, report)?;
            Some(config::Limit { name: name::of(name), ..limit })
        })
        .collect();
    limits.into_iter().collect()
}

/// The parts of a limit, which may stand in a plan or in a route.
pub struct Numbers<'a> {
    pub limit: &'a Field<Whole<u64, 1, MAX_LIMIT>>,
    pub window: &'a Field<Window>,
    pub burst: &'a Field<Whole<u64, 1, MAX_LIMIT>>,
    pub algorithm: &'a Field<Word<Algorithm>>,
}

/// A limit.
pub fn limit(written: &Numbers<'_>, report: &mut Report) -> Option<config::Limit> {
    let algorithm = written.algorithm.get().map(|algorithm| algorithm.0);
    if let (Some(Algorithm::SlidingWindow), Some(at)) = (algorithm, written.burst.key()) {
        let message = "a sliding window has no `burst`: all of `limit` may come at once";
        report.error(code::CONFLICT, at, message);
    }
    let (limit, window) = (written.limit.get()?, written.window.get()?);
    let burst = written.burst.get().map(|burst| (burst.0, burst.span));
    check_interval(window.duration, limit.0, limit.span, burst, report);
    let burst = written.burst.value()?.map(|burst| burst.0);
    Some(config::Limit { name: None, limit: limit.0, window: window.text.clone(), burst, algorithm: algorithm? })
}

/// What the filter's arithmetic bears: a time between two requests that is not too short, and a burst that comes back.
fn check_interval(window: Duration, count: u64, count_at: Span, burst: Option<(u64, Span)>, report: &mut Report) {
    let interval = window.as_nanos().div_ceil(u128::from(count));
    if interval < u128::from(MIN_INTERVAL) {
        report.error(code::OUT_OF_RANGE, count_at, "more than 1000000 requests a second cannot be counted");
    }
    if let Some((burst, at)) = burst
        && interval * u128::from(burst) > u128::from(MAX_WINDOW)
    {
        let message = format!("at this limit a `burst` of {burst} takes more than 366 days to come back");
        report.error(code::OUT_OF_RANGE, at, message);
    }
}
