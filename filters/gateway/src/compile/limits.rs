//! Limits of plans and of policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Known, MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL, Problems, check_name, header_name, quoted};
use crate::algorithm::{Algorithm, Period, Quota, SlidingWindow, TokenBucket};
use crate::config;
use crate::identity::is_identity;
use crate::tables::{By, Cost, Limit, Plan, PolicyLimit, What};
use crate::units;

/// Where Envoy's JWT filter puts the claims unless it is told otherwise.
const DEFAULT_PAYLOAD: &str = "jwt_payload";

/// The limits of a plan, or those in their place. `id` tells their counts from others.
pub(super) fn plan_limits(
    path: &str,
    name: &str,
    id: &str,
    written: &[config::Limit],
    problems: &mut Problems,
) -> Vec<Limit> {
    let mut names = Names::default();
    let limits = written.iter().enumerate();
    limits
        .filter_map(|(index, written)| {
            let path = format!("{path}[{index}]");
            names.check(&path, written.name.as_deref(), problems);
            let limit = limit(&path, written, problems)?;
            let own = names.own(written.name.as_deref(), &limit);
            let name = written.name.as_deref().unwrap_or(name).to_owned();
            Some(Limit { name, id: format!("{id} {own}"), ..limit.into() })
        })
        .collect()
}

/// What tells the limits of a list apart, also when they are moved about: a name that was given, or else the window.
#[derive(Default)]
struct Names {
    given: BTreeSet<String>,
    windows: BTreeMap<String, usize>,
}

impl Names {
    fn check(&mut self, path: &str, name: Option<&str>, problems: &mut Problems) {
        let Some(name) = name else { return };
        check_name(format_args!("{path}.name"), name, problems);
        if !self.given.insert(name.to_owned()) {
            problems.add(format_args!("{path}.name"), format!("`{name}` is already the name of a limit before it"));
        }
    }

    /// The end of a count's name.
    fn own(&mut self, name: Option<&str>, limit: &Numbers) -> String {
        if let Some(name) = name {
            return format!("{}{}", quoted(name), limit.kind);
        }
        let own = format!("{}ns{}", limit.window, limit.kind);
        let alike = self.windows.entry(own.clone()).or_default();
        *alike = alike.saturating_add(1);
        if *alike > 1 { format!("{own} {alike}") } else { own }
    }
}

/// The quota of a plan.
pub(super) fn quota(
    path: &str,
    name: &str,
    id: &str,
    written: &config::Quota,
    problems: &mut Problems,
) -> Option<Limit> {
    let limit = problems.take(format_args!("{path}.quota.limit"), count(written.limit))?;
    let (period, kind, window_seconds) = match written.window {
        config::Period::Day => (Period::Day, "day", Some(86_400)),
        // A month has no length.
        config::Period::Month => (Period::Month, "month", None),
    };
    let algorithm = Algorithm::Quota(Quota::new(limit, period)?);
    Some(Limit { name: name.to_owned(), id: format!("{id} {kind}"), quota: limit, window_seconds, algorithm })
}

/// The limits of a policy. `path` is what comes before a field of it.
pub(super) fn policy_limits(
    path: &str,
    policy: &config::Policy,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Vec<PolicyLimit> {
    let mut names = Names::default();
    let mut plan_at = None;
    let mut limits = Vec::new();
    for (index, written) in policy.rate_limit.iter().enumerate() {
        let path = format!("{path}rate_limit[{index}]");
        names.check(&path, written.name.as_deref(), problems);
        let asks_for_key = written.plan || matches!(written.by, config::By::Consumer | config::By::Plan);
        if asks_for_key && policy.api_key.is_none() {
            let what = if written.plan { "plan" } else { "by" };
            problems.add(format_args!("{path}.{what}"), "only a policy with `api_key` knows its consumer");
        }
        if written.plan
            && let Some(first) = plan_at.replace(index)
        {
            let message = format!("the plan's limits are already asked for by rate_limit[{first}]");
            problems.add(format_args!("{path}.plan"), message);
        }
        let what = if written.plan {
            Some(of_plan(&path, policy, written, known, problems))
        } else {
            own(&path, policy, known.payload, &mut names, written, problems)
        };
        let cost = cost(&path, &written.cost, problems);
        if let (Some(what), Some(cost)) = (what, cost) {
            if !written.dry_run {
                check_cost(&path, &cost, &what, policy, known, problems);
            }
            limits.push(PolicyLimit { what, cost, is_dry_run: written.dry_run });
        }
    }
    limits
}

/// The consumer's plan's limits, or those that the policy has in their place.
fn of_plan(
    path: &str,
    policy: &config::Policy,
    written: &config::RateLimit,
    known: &Known<'_>,
    problems: &mut Problems,
) -> What {
    let given = [
        ("limit", written.limit.is_some()),
        ("window", written.window.is_some()),
        ("burst", written.burst.is_some()),
        ("algorithm", written.algorithm != config::Algorithm::default()),
        ("by", written.by != config::By::Route),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        problems.add(
            format_args!("{path}.{field}"),
            "`plan: true` takes the limits of the consumer's plan; give one or the other",
        );
    }
    let mut overrides = BTreeMap::new();
    for (plan, written) in &written.overrides {
        let path = format!("{path}.override.{plan}");
        known.plan(&path, plan, problems);
        if written.is_empty() {
            problems.add(&path, "no limit is given: it would lift the plan's");
        }
        let id = format!("policy {} plan {}", quoted(&policy.name), quoted(plan));
        overrides.insert(plan.clone(), plan_limits(&path, plan, &id, written, problems));
    }
    What::Plan { name: written.name.clone(), overrides }
}

/// A limit of the policy itself.
fn own(
    path: &str,
    policy: &config::Policy,
    payload: Option<&str>,
    names: &mut Names,
    written: &config::RateLimit,
    problems: &mut Problems,
) -> Option<What> {
    if !written.overrides.is_empty() {
        problems.add(format_args!("{path}.override"), "only `plan: true` has limits that can be overridden");
    }
    let number = problems
        .take(format_args!("{path}.limit"), written.limit.ok_or("a limit has `limit` and `window`, or `plan: true`"));
    let window = problems
        .take(format_args!("{path}.window"), written.window.clone().ok_or("a limit has a `window`, such as `1m`"));
    let by = by(path, &written.by, payload, problems);
    let numbers = config::Limit {
        name: None,
        limit: number?,
        window: window?,
        burst: written.burst,
        algorithm: written.algorithm,
    };
    let limit = limit(path, &numbers, problems)?;
    let id = format!("policy {} {}", quoted(&policy.name), names.own(written.name.as_deref(), &limit));
    let name = written.name.as_ref().unwrap_or(&policy.name).clone();
    Some(What::Own { by: by?, limit: Limit { name, id, ..limit.into() } })
}

fn by(path: &str, written: &config::By, payload: Option<&str>, problems: &mut Problems) -> Option<By> {
    Some(match written {
        config::By::Route => By::Route,
        config::By::Consumer => By::Consumer,
        config::By::Plan => By::Plan,
        config::By::Ip => By::Ip,
        config::By::Header(name) => By::Header(problems.take(format_args!("{path}.by"), counted_header(name))?),
        config::By::Jwt(claim) => {
            let payload = payload.unwrap_or(DEFAULT_PAYLOAD);
            let path = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", payload];
            By::Claim(path.into_iter().chain(claim.split('.')).collect::<Vec<_>>().join("\0").into_bytes())
        }
    })
}

/// The name of a header that a limit looks at, in lower case.
fn counted_header(name: &str) -> Result<String, String> {
    let lower = header_name(name).map_err(|problem| format!("`{name}` {problem}"))?;
    if lower == "host" || is_identity(lower.as_bytes()) {
        return Err(format!("`{name}` is nothing that a client says: the filter does not see it"));
    }
    Ok(lower)
}

fn cost(path: &str, written: &config::Cost, problems: &mut Problems) -> Option<Cost> {
    let path = format_args!("{path}.cost");
    match written {
        config::Cost::Fixed(cost) => problems.take(path, count(*cost)).map(Cost::Fixed),
        config::Cost::Header(name) => problems.take(path, counted_header(name)).map(Cost::Header),
    }
}

/// A cost above what a limit ever has would refuse every request.
fn check_cost(
    path: &str,
    cost: &Cost,
    what: &What,
    policy: &config::Policy,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    let Cost::Fixed(cost) = cost else { return };
    let mut check = |limit: &Limit| {
        let most = limit.algorithm.capacity();
        if *cost > most {
            let message = format!("a cost of {cost} is more than the limit `{}` ever allows, {most}", limit.name);
            problems.add(format_args!("{path}.cost"), message);
        }
    };
    match what {
        What::Own { limit, .. } => check(limit),
        What::Plan { overrides, .. } => {
            let Some(document) = &known.document else { return };
            let may_come = |plan: &&Arc<Plan>| document.may_come(&plan.name, policy);
            known.plans.values().filter(may_come).for_each(|plan| plan.limits_here(overrides).for_each(&mut check));
        }
    }
}

/// The numbers of a limit.
struct Numbers {
    quota: u64,
    /// In nanoseconds.
    window: u64,
    window_seconds: Option<u64>,
    algorithm: Algorithm,
    /// What a count's name ends in, so that no algorithm takes up the count of another.
    kind: &'static str,
}

impl From<Numbers> for Limit {
    fn from(numbers: Numbers) -> Self {
        let Numbers { quota, window_seconds, algorithm, .. } = numbers;
        Self { name: String::new(), id: String::new(), quota, window_seconds, algorithm }
    }
}

fn limit(path: &str, written: &config::Limit, problems: &mut Problems) -> Option<Numbers> {
    let quota = problems.take(format_args!("{path}.limit"), count(written.limit));
    let window = problems.take(format_args!("{path}.window"), window(&written.window));
    let burst = written.burst.map(|burst| problems.take(format_args!("{path}.burst"), count(burst)));
    let (quota, window) = (quota?, window?);
    if window.div_ceil(quota.max(1)) < MIN_INTERVAL {
        problems.add(format_args!("{path}.limit"), "more than 1000000 requests a second can not be counted");
    }
    let (algorithm, kind) = match written.algorithm {
        config::Algorithm::TokenBucket => (token_bucket(path, quota, window, burst, problems)?, ""),
        config::Algorithm::SlidingWindow => {
            if burst.is_some() {
                problems.add(
                    format_args!("{path}.burst"),
                    "a sliding window has no burst: all of `limit` may come at once",
                );
            }
            (Algorithm::SlidingWindow(SlidingWindow::new(quota, window)?), " sliding_window")
        }
    };
    let seconds = (window % 1_000_000_000 == 0).then_some(window.div_euclid(1_000_000_000));
    Some(Numbers { quota, window, window_seconds: seconds, algorithm, kind })
}

fn token_bucket(
    path: &str,
    quota: u64,
    window: u64,
    burst: Option<Option<u64>>,
    problems: &mut Problems,
) -> Option<Algorithm> {
    let (size, is_said) = match burst {
        Some(burst) => (burst?, true),
        None => (quota, false),
    };
    let bucket = TokenBucket::new(quota, window, size).filter(|bucket| !is_said || bucket.depth() <= MAX_WINDOW);
    let too_deep = "a burst that takes more than 366 days to refill is not allowed";
    problems.take(format_args!("{path}.burst"), bucket.ok_or(too_deep)).map(Algorithm::TokenBucket)
}

fn count(number: u64) -> Result<u64, String> {
    let allowed = (1..=MAX_LIMIT).contains(&number);
    if allowed { Ok(number) } else { Err(format!("{number} is not allowed: 1 to {MAX_LIMIT} are")) }
}

fn window(text: &str) -> Result<u64, String> {
    let window = units::parse_duration(text)?;
    match u64::try_from(window.as_nanos()) {
        Ok(nanos @ 1..=MAX_WINDOW) => Ok(nanos),
        _ => Err(format!("`{text}` is not allowed: a window is more than 0 and at most 366d")),
    }
}
