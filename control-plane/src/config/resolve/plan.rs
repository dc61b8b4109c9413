//! `plans`: what a consumer may use.

use std::time::Duration;

use legation_filter::{
    compile::{MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL},
    config::{Algorithm, Limit, Period, Plan, Quota},
};

use crate::config::{
    code,
    decode::{Field, Integer, Text},
    names,
    node::Span,
    places::Places,
    report::Report,
    schema, value,
};

/// All that are whole.
pub fn resolve(plans: &[schema::Plan], report: &mut Report) -> Vec<Plan> {
    plans.iter().filter_map(|plan| one(plan, report)).collect()
}

fn one(plan: &schema::Plan, report: &mut Report) -> Option<Plan> {
    let limits = limits(plan.limits.items(), report);
    let quota = plan.quota.resolve(|written| quota(written, report));
    Some(Plan { name: names::of(&plan.name)?, limits: limits?, quota: quota? })
}

/// A plan's limits, or those that a route has in their place.
pub fn limits(written: &[schema::Limit], report: &mut Report) -> Option<Vec<Limit>> {
    let mut given = Places::default();
    let limits = written.iter().map(|written| {
        let schema::Limit { name, limit, window, burst, algorithm, .. } = written;
        if let Some(name) = name.get() {
            names::check(names::LIMIT, name, report);
            if let Some(first) = given.earlier(&name.value, name.span) {
                let message = format!("there is already a limit {} at {}", name.shown(), report.origin(first));
                report.error(code::DUPLICATE_NAME, name.span, message);
            }
        }
        let limit = self::limit(&Numbers { limit, window, burst, algorithm }, report)?;
        Some(Limit { name: names::of(name), ..limit })
    });
    value::all(limits)
}

const PERIODS: &[(&str, Period)] = &[("day", Period::Day), ("month", Period::Month)];

fn quota(written: &schema::Quota, report: &mut Report) -> Option<Quota> {
    let limit = written.limit.get().and_then(|limit| value::within(*limit, 1..=MAX_LIMIT, "`limit`", report));
    let window = written.window.get().and_then(|text| value::word(text, "`window`", PERIODS, &[], report));
    Some(Quota { limit: limit?, window: window? })
}

const ALGORITHMS: &[(&str, Algorithm)] =
    &[("token_bucket", Algorithm::TokenBucket), ("sliding_window", Algorithm::SlidingWindow)];

/// The parts of a limit, which may stand in a plan or in a route.
pub struct Numbers<'a> {
    /// Requests a window.
    pub limit: &'a Field<Integer>,
    /// A duration.
    pub window: &'a Field<Text>,
    /// Requests that may come at once.
    pub burst: &'a Field<Integer>,
    /// How it is counted.
    pub algorithm: &'a Field<Text>,
}

/// A limit.
pub fn limit(written: &Numbers<'_>, report: &mut Report) -> Option<Limit> {
    let (limit, window, burst) = (written.limit.get(), written.window.get(), written.burst.get());
    let algorithm = written
        .algorithm
        .resolve_or(Algorithm::TokenBucket, |text| value::word(text, "`algorithm`", ALGORITHMS, &[], report));
    if let (Some(Algorithm::SlidingWindow), Some(at)) = (algorithm, written.burst.key()) {
        let message = "a sliding window has no `burst`: all of `limit` may come at once";
        report.error(code::CONFLICT, at, message);
    }
    let count = limit.map(|limit| (value::within(*limit, 1..=MAX_LIMIT, "`limit`", report), limit.span));
    let duration = window.map(|window| value::positive_duration(window, "`window`", report));
    let burst = burst.map(|burst| (value::within(*burst, 1..=MAX_LIMIT, "`burst`", report), burst.span));
    let ((count, count_at), duration, window) = (count?, duration??, window?);
    let count = count?;
    check_interval(duration, count, count_at, burst, report);
    let burst = match burst {
        Some((burst, _)) => Some(burst?),
        None => None,
    };
    Some(Limit { name: None, limit: count, window: window.value.clone(), burst, algorithm: algorithm? })
}

/// What the filter's arithmetic bears: a time between two requests that is not too short, and a burst that comes back.
fn check_interval(
    window: Duration,
    count: u64,
    count_at: Span,
    burst: Option<(Option<u64>, Span)>,
    report: &mut Report,
) {
    let interval = window.as_nanos().div_ceil(u128::from(count));
    if interval < u128::from(MIN_INTERVAL) {
        report.error(code::OUT_OF_RANGE, count_at, "more than 1000000 requests a second cannot be counted");
    }
    if let Some((Some(burst), at)) = burst
        && interval * u128::from(burst) > u128::from(MAX_WINDOW)
    {
        let message = format!("at this limit a `burst` of {burst} takes more than 366 days to come back");
        report.error(code::OUT_OF_RANGE, at, message);
    }
}
