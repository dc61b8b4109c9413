//! `plans`: what a consumer may use.

use legation_filter::config::{Limit, Plan};

use crate::config::{
    code,
    decode::{Integer, Text},
    names,
    report::Report,
    schema, value,
};

/// The most requests that a limit may count. Far beyond any traffic, and small enough for the filter's arithmetic.
const MOST: u64 = 1_000_000_000;

/// All that are whole.
pub fn resolve(plans: &[schema::Plan], report: &mut Report) -> Vec<Plan> {
    plans.iter().filter_map(|plan| one(plan, report)).collect()
}

fn one(plan: &schema::Plan, report: &mut Report) -> Option<Plan> {
    let limits: Vec<Option<Limit>> = plan
        .limits
        .items()
        .iter()
        .map(|written| limit(written.limit.get(), written.window.get(), written.burst.get(), report))
        .collect();
    Some(Plan { name: names::of(&plan.name)?, limits: limits.into_iter().collect::<Option<_>>()? })
}

/// A limit, whose parts may stand in a plan or in a route.
pub fn limit(
    limit: Option<&Integer>,
    window: Option<&Text>,
    burst: Option<&Integer>,
    report: &mut Report,
) -> Option<Limit> {
    let count = limit.map(|limit| value::within(*limit, 1..=MOST, "`limit`", report));
    let duration = window.map(|window| value::positive_duration(window, "`window`", report));
    let burst = burst.map(|burst| (value::within(*burst, 1..=MOST, "`burst`", report), burst.span));
    let (count, duration, window) = (count??, duration??, window?);
    let burst = match burst {
        Some((burst, at)) => {
            let burst = burst?;
            // The filter keeps times in nanoseconds as 64 bits, and a full bucket lasts `burst` intervals.
            let interval = duration.as_nanos().div_ceil(u128::from(count));
            if interval * u128::from(burst) > u128::from(u64::MAX) {
                let message = format!("a `burst` of {burst} would take centuries to come back at this limit");
                report.error(code::OUT_OF_RANGE, at, message);
            }
            Some(burst)
        }
        None => None,
    };
    Some(Limit { limit: count, window: window.value.clone(), burst })
}
