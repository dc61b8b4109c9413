//! From the configuration as written to the tables that requests are looked up in. All that is wrong with it is found
//! here, each thing with its place in the document; past this point nothing about a configuration can fail.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config::{self, By, Config};
use crate::credential::Source;
use crate::decide::{CONSUMER_HEADER, PLAN_HEADER};
use crate::json_path::path_at;
use crate::limit::Gcra;
use crate::tables::{
    Allowed, ApiKeyRule, Consumer, Digest, HostPattern, Key, Limit, Plan, Policy, PolicyLimit, Rule, Rules, Tables,
};
use crate::units;

/// The largest document, in bytes: 100,000 consumers and room to spare.
pub const MAX_BYTES: usize = 16 << 20;
/// The largest `limit` and `burst`.
pub const MAX_LIMIT: u64 = 1_000_000_000;
/// The longest `window`, and the longest time an empty bucket may take to fill, in nanoseconds: 366 days.
pub const MAX_WINDOW: u64 = 366 * 86_400 * 1_000_000_000;
/// The shortest time between two requests, in nanoseconds: a million requests a second.
const MIN_INTERVAL: u64 = 1_000;
/// How many problems are kept: a document may have more than there is memory to describe them.
const MAX_PROBLEMS: usize = 1_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `policies[2].rate_limit[0].window`; empty for the document as a whole.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Reads and compiles a document.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things; the first alone where it is not a document of this form.
pub fn compile(json: &[u8]) -> Result<Tables, Vec<Problem>> {
    let whole = |message: String| vec![Problem { path: String::new(), message }];
    if json.len() > MAX_BYTES {
        return Err(whole(format!("the configuration is larger than {MAX_BYTES} bytes")));
    }
    if json.iter().all(u8::is_ascii_whitespace) {
        return Err(whole("the configuration is empty; the least is {\"version\": 1}".to_owned()));
    }
    let config: Config = serde_json::from_slice(json).map_err(|error| vec![form_problem(json, &error)])?;
    compile_config(&config)
}

/// What is wrong with the form of a document, and where.
fn form_problem(json: &[u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let path = path_at(json, line, column);
    let mut message = error.to_string();
    // Where a key is expected the message must not quote what is there instead, which may be the key itself: messages
    // go to a log.
    if path.contains(".api_keys") && message.starts_with("invalid") {
        message = format!(r#"not a list of keys such as [{{"sha256": "…"}}] at line {line} column {column}"#);
    }
    Problem { path, message }
}

/// Compiles a configuration that was not read from a document.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things.
pub fn compile_config(config: &Config) -> Result<Tables, Vec<Problem>> {
    let mut problems = Problems::default();
    if config.version != 1 {
        problems.add("version", format!("version {} is not known; this filter reads version 1", config.version));
    }
    let plans = plans(&config.plans, &mut problems);
    let (consumers, keys) = consumers(&config.consumers, &plans, &mut problems);
    let policies = policies(&config.policies, &plans, &consumers, &mut problems);
    let rules = rules(&config.rules, &policies, &mut problems);
    let has_limits = config.policies.iter().any(|policy| !policy.rate_limit.is_empty());
    if problems.0.is_empty() { Ok(Tables { keys, rules, has_limits }) } else { Err(problems.0) }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// The path is written out only here: most are those of things that are right.
    fn add(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(Problem { path: path.to_string(), message: message.into() });
        }
    }

    /// The value, or a problem at the path.
    fn take<T, E: Into<String>>(&mut self, path: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }
}

/// The place of each name; one given twice points at both places.
fn places<'a>(list: &str, names: impl Iterator<Item = &'a str>, problems: &mut Problems) -> BTreeMap<&'a str, usize> {
    let mut places = BTreeMap::new();
    for (place, name) in names.enumerate() {
        check_name(format_args!("{list}[{place}].name"), name, problems);
        if let Some(first) = places.insert(name, place) {
            problems
                .add(format_args!("{list}[{place}].name"), format!("`{name}` is already the name of {list}[{first}]"));
        }
    }
    places
}

fn check_name(path: impl fmt::Display, name: &str, problems: &mut Problems) {
    if name.is_empty() || name.len() > MAX_NAME {
        problems.add(path, format!("a name has 1 to {MAX_NAME} bytes"));
    }
}

/// Names of consumers and plans become header values.
fn check_header_value(path: impl fmt::Display, name: &str, problems: &mut Problems) {
    let printable = name.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if !printable || name.starts_with(' ') || name.ends_with(' ') {
        problems
            .add(path, "a name that upstreams see as a header has printable ASCII characters and no space at its ends");
    }
}

fn plans(written: &[config::Plan], problems: &mut Problems) -> BTreeMap<String, Arc<Plan>> {
    places("plans", written.iter().map(|plan| plan.name.as_str()), problems);
    let mut plans = BTreeMap::new();
    for (place, plan) in written.iter().enumerate() {
        check_header_value(format_args!("plans[{place}].name"), &plan.name, problems);
        let limits = plan.limits.iter().enumerate().filter_map(|(index, limit)| {
            let path = format!("plans[{place}].limits[{index}]");
            let id = format!("plan {} {index}", quoted(&plan.name));
            compile_limit(&path, plan.name.clone(), id, limit, problems)
        });
        let compiled = Plan { name: plan.name.clone(), limits: limits.collect() };
        plans.insert(plan.name.clone(), Arc::new(compiled));
    }
    plans
}

/// With its length in front, so that no two lists of names are written alike.
fn quoted(name: &str) -> String {
    format!("{}:{name}", name.len())
}

/// The place of each consumer, and all keys in the order of their digests.
fn consumers<'a>(
    written: &'a [config::Consumer],
    plans: &BTreeMap<String, Arc<Plan>>,
    problems: &mut Problems,
) -> (BTreeMap<&'a str, usize>, Vec<Key>) {
    let places = places("consumers", written.iter().map(|consumer| consumer.name.as_str()), problems);
    let mut keys: BTreeMap<Digest, (usize, usize, Key)> = BTreeMap::new();
    for (place, consumer) in written.iter().enumerate() {
        check_header_value(format_args!("consumers[{place}].name"), &consumer.name, problems);
        let plan = consumer.plan.as_ref().and_then(|name| {
            let plan = plans.get(name).ok_or_else(|| format!("there is no plan `{name}`"));
            problems.take(format_args!("consumers[{place}].plan"), plan).cloned()
        });
        let compiled = Arc::new(Consumer { name: consumer.name.clone(), plan });
        for (index, key) in consumer.api_keys.iter().enumerate() {
            let mut time = |field: &str, text: &Option<String>| {
                let time = text.as_deref().map(units::parse_time).transpose();
                problems.take(format_args!("consumers[{place}].api_keys[{index}].{field}"), time)
            };
            let (not_before, expires) = (time("not_before", &key.not_before), time("expires", &key.expires));
            let digest = digest(&key.sha256).ok_or("a SHA-256 digest has 64 hexadecimal digits");
            let digest = problems.take(format_args!("consumers[{place}].api_keys[{index}].sha256"), digest);
            let (Some(not_before), Some(expires), Some(digest)) = (not_before, expires, digest) else {
                continue;
            };
            if not_before.zip(expires).is_some_and(|(from, to)| from >= to) {
                let message = "the key is never valid: it expires before that";
                problems.add(format_args!("consumers[{place}].api_keys[{index}].not_before"), message);
            }
            let key = Key { digest, not_before, expires, consumer: Arc::clone(&compiled) };
            if let Some((first, at, _)) = keys.insert(digest, (place, index, key)) {
                // Without the digest: this goes to a log.
                let message = format!("the same key is at consumers[{first}].api_keys[{at}]");
                problems.add(format_args!("consumers[{place}].api_keys[{index}].sha256"), message);
            }
        }
    }
    (places, keys.into_values().map(|(_, _, key)| key).collect())
}

fn digest(hex: &str) -> Option<Digest> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut digest = Digest::default();
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(digest)
}

fn policies(
    written: &[config::Policy],
    plans: &BTreeMap<String, Arc<Plan>>,
    consumers: &BTreeMap<&str, usize>,
    problems: &mut Problems,
) -> BTreeMap<String, Arc<Policy>> {
    places("policies", written.iter().map(|policy| policy.name.as_str()), problems);
    let mut policies = BTreeMap::new();
    for (place, policy) in written.iter().enumerate() {
        let path = format!("policies[{place}]");
        let api_key = policy.api_key.as_ref();
        let compiled = Policy {
            api_key: api_key
                .and_then(|rule| compile_api_key(&format!("{path}.api_key"), rule, plans, consumers, problems)),
            limits: compile_rate_limits(&path, policy, problems),
        };
        policies.insert(policy.name.clone(), Arc::new(compiled));
    }
    policies
}

/// `None` only with a problem: a policy must not lose its key by a mistake.
fn compile_api_key(
    path: &str,
    rule: &config::ApiKeyRule,
    plans: &BTreeMap<String, Arc<Plan>>,
    consumers: &BTreeMap<&str, usize>,
    problems: &mut Problems,
) -> Option<ApiKeyRule> {
    for (index, name) in rule.consumers.iter().enumerate() {
        if !consumers.contains_key(name.as_str()) {
            problems.add(format_args!("{path}.consumers[{index}]"), format!("there is no consumer `{name}`"));
        }
    }
    for (index, name) in rule.plans.iter().enumerate() {
        if !plans.contains_key(name) {
            problems.add(format_args!("{path}.plans[{index}]"), format!("there is no plan `{name}`"));
        }
    }
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let mut allowed = Allowed::default();
    allowed.consumers.extend(rule.consumers.iter().cloned());
    allowed.plans.extend(rule.plans.iter().cloned());
    let anonymous_plan = rule.anonymous_plan.as_ref().and_then(|name| {
        if !rule.optional {
            problems.add(format_args!("{path}.anonymous_plan"), "only with `optional` does anybody come without a key");
        }
        let plan = plans.get(name).ok_or_else(|| format!("there is no plan `{name}`"));
        problems.take(format_args!("{path}.anonymous_plan"), plan).cloned()
    });
    let sources = sources(path, rule, problems)?;
    Some(ApiKeyRule {
        sources,
        optional: rule.optional,
        anonymous_plan,
        allowed: (!everyone).then_some(allowed),
        keep: rule.keep,
    })
}

/// Where a key may be, in the order in which the places are looked at. `None` only with a problem.
fn sources(path: &str, rule: &config::ApiKeyRule, problems: &mut Problems) -> Option<Vec<Source>> {
    let is_said = rule.header.is_some() || rule.bearer || rule.cookie.is_some() || rule.query.is_some();
    let header = rule.header.as_deref().or((!is_said).then_some(DEFAULT_KEY_HEADER));
    let mut place = |field: &str, name: Option<&str>, check: fn(&str) -> Result<String, &'static str>| {
        let checked = name.map(|name| check(name).map_err(|problem| format!("`{name}` {problem}"))).transpose();
        problems.take(format_args!("{path}.{field}"), checked)
    };
    let (header, cookie, query) = (
        place("header", header, key_header),
        place("cookie", rule.cookie.as_deref(), key_cookie),
        place("query", rule.query.as_deref(), key_parameter),
    );
    let (header, cookie, query) = (header?, cookie?, query?);
    if rule.bearer && header.as_deref() == Some("authorization") {
        problems.add(
            format_args!("{path}.bearer"),
            "the header authorization carries either a bearer token or a key as it is",
        );
    }
    let places = [
        header.map(Source::Header),
        rule.bearer.then_some(Source::Bearer),
        cookie.map(Source::Cookie),
        query.map(Source::Query),
    ];
    Some(places.into_iter().flatten().collect())
}

/// The header that carries a key where nothing is said.
pub const DEFAULT_KEY_HEADER: &str = "x-api-key";

/// Headers with a meaning of their own, which a key would break: the filter takes the header away, and proxies write to some.
const NOT_FOR_KEYS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    CONSUMER_HEADER,
    PLAN_HEADER,
];
const NOT_FOR_KEYS_PREFIXES: &[&str] = &["x-forwarded-", "x-envoy-", "grpc-"];

/// Whether a text is a token (RFC 9110, section 5.6.2), as names of headers and of cookies are.
fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(of_token)
}

/// The name of a cookie that may carry a key.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_cookie(name: &str) -> Result<String, &'static str> {
    is_token(name).then(|| name.to_owned()).ok_or("is not the name of a cookie: letters, digits and - _ . are usual")
}

/// The name of a parameter of the query that may carry a key.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_parameter(name: &str) -> Result<String, &'static str> {
    let is_visible = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#?+%\"\\".contains(&byte));
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && is_visible;
    is_name.then(|| name.to_owned()).ok_or("is not the name of a parameter: letters, digits and - _ . are usual")
}

/// The name of a header that may carry a key, in lower case.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn key_header(name: &str) -> Result<String, &'static str> {
    let lower = name.to_ascii_lowercase();
    if !is_token(&lower) {
        return Err("is not a header name: letters, digits and - _ . are usual");
    }
    // Many an upstream reads `x_consumer_id` as `x-consumer-id`.
    let read_as = lower.replace('_', "-");
    if NOT_FOR_KEYS.contains(&read_as.as_str())
        || NOT_FOR_KEYS_PREFIXES.iter().any(|prefix| read_as.starts_with(prefix))
    {
        return Err("can not carry a key: it has a meaning of its own");
    }
    Ok(lower)
}

fn compile_rate_limits(path: &str, policy: &config::Policy, problems: &mut Problems) -> Vec<PolicyLimit> {
    let mut names = BTreeMap::new();
    let mut plan_at = None;
    let mut limits = Vec::new();
    for (index, written) in policy.rate_limit.iter().enumerate() {
        let path = format!("{path}.rate_limit[{index}]");
        if let Some(name) = &written.name {
            check_name(format_args!("{path}.name"), name, problems);
            if let Some(first) = names.insert(name, index) {
                problems
                    .add(format_args!("{path}.name"), format!("`{name}` is already the name of rate_limit[{first}]"));
            }
        }
        let asks_for_key = written.plan || written.by == By::Consumer;
        if asks_for_key && policy.api_key.is_none() {
            let what = if written.plan { "plan" } else { "by" };
            problems.add(format_args!("{path}.{what}"), "only a policy with `api_key` knows its consumer");
        }
        if written.plan {
            if let Some(first) = plan_at.replace(index) {
                problems.add(
                    format!("{path}.plan"),
                    format!("the plan's limits are already asked for by rate_limit[{first}]"),
                );
            }
            check_plan_alone(&path, written, problems);
            limits.push(PolicyLimit::Plan { name: written.name.clone() });
        } else {
            let limit = compile_own_limit(&path, policy, index, written, problems);
            limits.extend(limit.map(|limit| PolicyLimit::Own { by: written.by, limit }));
        }
    }
    limits
}

fn check_plan_alone(path: &str, written: &config::RateLimit, problems: &mut Problems) {
    let given = [
        ("limit", written.limit.is_some()),
        ("window", written.window.is_some()),
        ("burst", written.burst.is_some()),
        ("by", written.by == By::Ip),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        problems.add(
            format!("{path}.{field}"),
            "`plan: true` takes the limits of the consumer's plan; give one or the other",
        );
    }
}

fn compile_own_limit(
    path: &str,
    policy: &config::Policy,
    index: usize,
    written: &config::RateLimit,
    problems: &mut Problems,
) -> Option<Limit> {
    let number = problems
        .take(format_args!("{path}.limit"), written.limit.ok_or("a limit has `limit` and `window`, or `plan: true`"));
    let window = problems
        .take(format_args!("{path}.window"), written.window.clone().ok_or("a limit has a `window`, such as `1m`"));
    let limit = config::Limit { limit: number?, window: window?, burst: written.burst };
    // A count keeps its name when limits are reordered, if it has one.
    let own = written.name.as_deref().map_or_else(|| index.to_string(), quoted);
    let id = format!("policy {} {own}", quoted(&policy.name));
    let name = written.name.as_ref().unwrap_or(&policy.name).clone();
    compile_limit(path, name, id, &limit, problems)
}

fn compile_limit(
    path: &str,
    name: String,
    id: String,
    written: &config::Limit,
    problems: &mut Problems,
) -> Option<Limit> {
    let count = |number: u64| {
        let allowed = (1..=MAX_LIMIT).contains(&number);
        if allowed { Ok(number) } else { Err(format!("{number} is not allowed: 1 to {MAX_LIMIT} are")) }
    };
    let quota = problems.take(format_args!("{path}.limit"), count(written.limit));
    let burst = written.burst.unwrap_or(written.limit);
    let burst = if written.burst.is_some() { problems.take(format_args!("{path}.burst"), count(burst)) } else { quota };
    let window = problems.take(format_args!("{path}.window"), window(&written.window));
    let (quota, burst, window) = (quota?, burst?, window?);
    let gcra = Gcra::new(quota, window, burst).filter(|gcra| written.burst.is_none() || gcra.depth() <= MAX_WINDOW);
    let too_deep = "a burst that takes more than 366 days to refill is not allowed";
    let gcra = problems.take(format_args!("{path}.burst"), gcra.ok_or(too_deep))?;
    if gcra.interval() < MIN_INTERVAL {
        problems.add(format_args!("{path}.limit"), "more than 1000000 requests a second can not be counted");
    }
    let whole = window % 1_000_000_000 == 0;
    Some(Limit { name, id, quota, window_seconds: whole.then_some(window / 1_000_000_000), gcra })
}

fn window(text: &str) -> Result<u64, String> {
    let window = units::parse_duration(text)?;
    match u64::try_from(window.as_nanos()) {
        Ok(nanos @ 1..=MAX_WINDOW) => Ok(nanos),
        _ => Err(format!("`{text}` is not allowed: a window is more than 0 and at most 366d")),
    }
}

fn rules(written: &[config::Rule], policies: &BTreeMap<String, Arc<Policy>>, problems: &mut Problems) -> Rules {
    let mut rules = Rules::default();
    for (place, rule) in written.iter().enumerate() {
        let path = format!("rules[{place}]");
        let policy = policies.get(&rule.policy).ok_or_else(|| format!("there is no policy `{}`", rule.policy));
        let policy = problems.take(format_args!("{path}.policy"), policy).cloned();
        let hosts = rule.hosts.iter().enumerate();
        let hosts: Vec<HostPattern> = hosts
            .filter_map(|(index, host)| problems.take(format_args!("{path}.hosts[{index}]"), host_pattern(host)))
            .collect();
        let prefix = rule.prefix.as_deref();
        let prefix = prefix.and_then(|prefix| problems.take(format_args!("{path}.prefix"), path_prefix(prefix)));
        let Some(policy) = policy else {
            continue;
        };
        let compiled = Rule { place, hosts, prefix, policy };
        match &rule.route {
            Some(route) => rules.by_route.entry(route.as_bytes().into()).or_default().push(compiled),
            None => rules.any_route.push(compiled),
        }
    }
    rules
}

fn host_pattern(text: &str) -> Result<HostPattern, String> {
    let lower = text.to_ascii_lowercase();
    let (under, name) = match lower.strip_prefix('*') {
        Some(suffix) => (true, suffix),
        None => (false, lower.as_str()),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_address = name.starts_with('[') && name.ends_with(']');
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_')
            || (is_address && matches!(byte, b':' | b'[' | b']'))
    };
    let well_formed = !name.is_empty() && name.bytes().all(allowed) && under == name.starts_with('.') && name != ".";
    if !well_formed {
        return Err(format!("`{text}` is not a host: write a name without a port, or `*.` and a name"));
    }
    let name = name.to_owned();
    Ok(if under { HostPattern::Under(name) } else { HostPattern::Exact(name) })
}

fn path_prefix(text: &str) -> Result<String, String> {
    if !text.starts_with('/') || text.contains(['?', '#']) {
        return Err(format!("`{text}` is not a path prefix: it begins with / and has neither ? nor #"));
    }
    Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
}
