//! `plans`: what a consumer may use.

use std::time::Duration;

use legation_filter::{
    compile::{MAX_LIMIT, MAX_WINDOW},
    config::{Limit, Plan},
};

use crate::config::{
    code,
    decode::{Integer, Text},
    names,
    node::Span,
    report::Report,
    schema, value,
};

/// The shortest time between two requests that the filter counts.
const MIN_INTERVAL: Duration = Duration::from_micros(1);

/// All that are whole.
pub fn resolve(plans: &[schema::Plan], report: &mut Report) -> Vec<Plan> {
    plans.iter().filter_map(|plan| one(plan, report)).collect()
}

fn one(plan: &schema::Plan, report: &mut Report) -> Option<Plan> {
    let limits = plan.limits.items().iter();
    let limits =
        value::all(limits.map(|written| limit(written.limit.get(), written.window.get(), written.burst.get(), report)));
    Some(Plan { name: names::of(&plan.name)?, limits: limits? })
}

/// A limit, whose parts may stand in a plan or in a route.
pub fn limit(
    limit: Option<&Integer>,
    window: Option<&Text>,
    burst: Option<&Integer>,
    report: &mut Report,
) -> Option<Limit> {
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
    Some(Limit { limit: count, window: window.value.clone(), burst })
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
    if interval < MIN_INTERVAL.as_nanos() {
        report.error(code::OUT_OF_RANGE, count_at, "more than 1000000 requests a second cannot be counted");
    }
    if let Some((Some(burst), at)) = burst
        && interval * u128::from(burst) > u128::from(MAX_WINDOW)
    {
        let message = format!("at this limit a `burst` of {burst} takes more than 366 days to come back");
        report.error(code::OUT_OF_RANGE, at, message);
    }
}
