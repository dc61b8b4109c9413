//! A limit: `limit` requests a `window`, and its rules, which are the same in a plan and in a
//! policy.

use std::collections::BTreeMap;

use super::algorithm::{Algorithm, SlidingWindow, TokenBucket};
use crate::config;
use crate::names;
use crate::problem::{At, Problems, code, text, value};
use crate::units;

/// The largest `limit`, `burst` and `cost`.
pub const MAX_LIMIT: u64 = 1_000_000_000;
/// The longest `window`, and the longest time an empty bucket may take to fill, in nanoseconds: 366
/// days.
pub const MAX_WINDOW: u64 = 366 * 86_400 * 1_000_000_000;
/// The shortest time between two requests, in nanoseconds: a million requests a second.
pub const MIN_INTERVAL: u64 = 1_000;

/// A limit and the name of its count.
#[derive(Debug)]
pub struct Limit {
    /// Its name in `RateLimit`.
    pub name: String,
    /// The name of its count. It differs from other limits' and survives a reload.
    pub id: String,
    /// Requests a window.
    pub quota: u64,
    /// The window in seconds, if it is a whole number of seconds.
    pub window_seconds: Option<u64>,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// The numbers of a limit as written.
pub(crate) struct Written<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) limit: u64,
    pub(crate) window: &'a str,
    pub(crate) burst: Option<u64>,
    pub(crate) algorithm: config::Algorithm,
}

/// Compiles the limits of a plan, or their replacement. `id` distinguishes their counts from
/// others.
pub(crate) fn limits(
    at: &At<'_>,
    name: &str,
    id: &str,
    written: &[config::Limit],
    problems: &mut Problems,
) -> Vec<Limit> {
    let mut names = Names::default();
    let limits = written.iter().enumerate();
    limits
        .filter_map(|(place, written)| {
            let config::Limit { name: own, limit, window, burst, algorithm } = written;
            let own = own.as_deref();
            names.take_up(at, place, own, problems);
            let written = Written { name: own, limit: *limit, window, burst: *burst, algorithm: *algorithm };
            names.limit(&at.item(place), written, name, id, problems)
        })
        .collect()
}

/// Returns a name as a part of a count's name: with its length in front, so that no two lists of
/// names look alike.
pub(crate) fn counted(name: &str) -> String {
    format!("{}:{name}", name.len())
}

/// The names of the limits of a list, which survive moving them: the given name, or else the
/// window.
#[derive(Default)]
pub(crate) struct Names {
    /// The names with their places in the list.
    given: BTreeMap<String, usize>,
    windows: BTreeMap<String, usize>,
}

impl Names {
    /// Adds the name of a limit. Reports a name that is not allowed or already exists.
    pub(crate) fn take_up(&mut self, list: &At<'_>, place: usize, name: Option<&str>, problems: &mut Problems) {
        let Some(name) = name else { return };
        let at = list.item(place);
        let at = at.field("name");
        names::check(names::LIMIT, &at, name, problems);
        if let Some(first) = self.given.get(name) {
            let first = list.item(*first).field("name").part();
            problems.error(
                &at,
                code::DUPLICATE_NAME,
                [text("there is already a limit "), value(name), text(" at "), first],
            );
        } else {
            self.given.insert(name.to_owned(), place);
        }
    }

    /// Compiles a limit. `name` is its name by default.
    pub(crate) fn limit(
        &mut self,
        at: &At<'_>,
        written: Written<'_>,
        name: &str,
        id: &str,
        problems: &mut Problems,
    ) -> Option<Limit> {
        let own = written.name;
        let Numbers { quota, window, algorithm, kind } = numbers(at, written, problems)?;
        let window_seconds = (window % 1_000_000_000 == 0).then_some(window.div_euclid(1_000_000_000));
        let id = format!("{id} {}", self.end_of_id(own, window, kind));
        Some(Limit { name: own.unwrap_or(name).to_owned(), id, quota, window_seconds, algorithm })
    }

    fn end_of_id(&mut self, name: Option<&str>, window: u64, kind: &str) -> String {
        if let Some(name) = name {
            return format!("{}{kind}", counted(name));
        }
        let own = format!("{window}ns{kind}");
        let alike = self.windows.entry(own.clone()).or_default();
        *alike = alike.saturating_add(1);
        if *alike > 1 { format!("{own} {alike}") } else { own }
    }
}

struct Numbers {
    quota: u64,
    /// In nanoseconds.
    window: u64,
    algorithm: Algorithm,
    /// Returns the end of a count's name, so that no algorithm uses the count of another.
    kind: &'static str,
}

fn numbers(at: &At<'_>, written: Written<'_>, problems: &mut Problems) -> Option<Numbers> {
    let quota = count(at, "limit", written.limit, problems);
    let window = window(&at.field("window"), written.window, problems);
    let burst = written.burst.map(|burst| count(at, "burst", burst, problems));
    if written.algorithm == config::Algorithm::SlidingWindow && burst.is_some() {
        let message = "a sliding window has no `burst`: all of `limit` may come at once";
        problems.error(&at.field("burst"), code::CONFLICT, message);
    }
    let (quota, window) = (quota?, window?);
    if window.div_ceil(quota) < MIN_INTERVAL {
        let message = "more than 1000000 requests a second cannot be counted";
        problems.error(&at.field("limit"), code::OUT_OF_RANGE, message);
    }
    let (algorithm, kind) = match written.algorithm {
        config::Algorithm::TokenBucket => (token_bucket(at, quota, window, burst, problems)?, ""),
        config::Algorithm::SlidingWindow => {
            (Algorithm::SlidingWindow(SlidingWindow::new(quota, window)?), " sliding_window")
        }
    };
    Some(Numbers { quota, window, algorithm, kind })
}

fn token_bucket(
    at: &At<'_>,
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
    if bucket.is_none() {
        let message =
            [text("at this limit a `burst` of "), value(size), text(" takes more than 366 days to come back")];
        problems.error(&at.field("burst"), code::OUT_OF_RANGE, message);
    }
    bucket.map(Algorithm::TokenBucket)
}

/// Checks a number of requests in a field of this name.
pub(crate) fn count(at: &At<'_>, name: &str, number: u64, problems: &mut Problems) -> Option<u64> {
    let is_allowed = (1..=MAX_LIMIT).contains(&number);
    if !is_allowed {
        let message = [text(format!("`{name}` must be 1 to {MAX_LIMIT}, not ")), value(number)];
        problems.error(&at.field(name), code::OUT_OF_RANGE, message);
    }
    is_allowed.then_some(number)
}

fn window(at: &At<'_>, written: &str, problems: &mut Problems) -> Option<u64> {
    let Ok(window) = units::parse_duration(written) else {
        let rule =
            "`window` must be a duration, a whole number and one of the units ms, s, m, h, d, such as `15s`; not ";
        problems.error(at, code::BAD_DURATION, [text(rule), value(written)]);
        return None;
    };
    match u64::try_from(window.as_nanos()) {
        Ok(0) => problems.error(at, code::OUT_OF_RANGE, "`window` must be more than zero"),
        Ok(nanos @ 1..=MAX_WINDOW) => return Some(nanos),
        _ => problems.error(at, code::OUT_OF_RANGE, [text("`window` must be at most `366d`, not "), value(written)]),
    }
    None
}
