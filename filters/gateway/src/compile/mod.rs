//! From the configuration as written to the tables that requests are looked up in. All that is wrong with it is found
//! here, each thing with its place in the document; past this point nothing about a configuration can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

mod limits;
mod rules;
mod sources;

use limits::{plan_limits, policy_limits};
use rules::rules;
use sources::{is_token, sources};

pub use sources::{DEFAULT_KEY_HEADER, header_name, key_cookie, key_header, key_parameter};

use crate::config::{self, Config};
use crate::consumers::Consumers;
use crate::identity::METADATA_PREFIX;
use crate::json_path::path_at;
use crate::pepper::Pepper;
use crate::protobuf_struct;
use crate::tables::{Allowed, ApiKeyRule, Digest, Key, Keys, Plan, Policy, Tables};
use crate::text::Text;
use crate::units;

/// The largest document, in bytes: 100,000 consumers and room to spare.
pub const MAX_BYTES: usize = 16 << 20;
/// The largest `limit`, `burst` and `cost`.
pub const MAX_LIMIT: u64 = 1_000_000_000;
/// The longest `window`, and the longest time an empty bucket may take to fill, in nanoseconds: 366 days.
pub const MAX_WINDOW: u64 = 366 * 86_400 * 1_000_000_000;
/// The shortest time between two requests, in nanoseconds: a million requests a second.
pub const MIN_INTERVAL: u64 = 1_000;
/// What a Struct begins with. So may JSON, which is a line break to it, and then reads well.
const STRUCT: u8 = 0x0a;
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

/// Reads and compiles a document, with no environment for it to name variables of.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things; the first alone where it is not a document of this form.
pub fn compile(json: &[u8]) -> Result<Tables, Vec<Problem>> {
    compile_with(json, |_| None)
}

/// Reads and compiles a document.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things; the first alone where it is not a document of this form.
pub fn compile_with(json: &[u8], environment: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Tables, Vec<Problem>> {
    let whole = |message: String| vec![Problem { path: String::new(), message }];
    if json.len() > MAX_BYTES {
        return Err(whole(format!("the configuration is larger than {MAX_BYTES} bytes")));
    }
    if json.iter().all(u8::is_ascii_whitespace) {
        return Err(whole("the configuration is empty; the least is {\"version\": 1}".to_owned()));
    }
    read(json).map_or_else(
        |problem| {
            // It may be the Struct that Envoy made of one.
            let written = json.first().filter(|first| **first == STRUCT).and_then(|_| protobuf_struct::decode(json));
            let written = written.ok_or(problem)?.to_string();
            compile_config(&read(written.as_bytes())?, &environment)
        },
        |config| compile_config(&config, &environment),
    )
}

fn read(json: &[u8]) -> Result<Config<Text<'_>>, Vec<Problem>> {
    serde_json::from_slice(json).map_err(|error| vec![form_problem(json, &error)])
}

/// What is wrong with the form of a document, and where.
fn form_problem(json: &[u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let path = path_at(json, line, column);
    let mut message = error.to_string();
    // Where a key is expected the message must not quote what is there instead, which may be the key itself: messages
    // go to a log.
    if (path.contains(".api_keys") || path == "key_pepper") && message.starts_with("invalid") {
        let wanted = if path == "key_pepper" { "a text" } else { r#"a list of keys such as [{"sha256": "…"}]"# };
        message = format!("not {wanted} at line {line} column {column}");
    }
    Problem { path, message }
}

/// Compiles a configuration that was not read from a document.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things.
pub fn compile_config<S: AsRef<str>>(
    config: &Config<S>,
    environment: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Tables, Vec<Problem>> {
    let mut problems = Problems::default();
    if config.version != 1 {
        problems.add("version", format!("version {} is not known; this filter reads version 1", config.version));
    }
    let plans = plans(&config.plans, &mut problems);
    let names = Names::new("consumers", config.consumers.iter().map(|consumer| consumer.name.as_ref()), &mut problems);
    let (consumers, keys) = consumers(&config.consumers, &plans, &mut problems);
    let pepper = pepper(config, environment, &mut problems);
    let payload = config.payload_in_metadata.clone();
    let document = Some(Document { consumers: &names, keyed: keyed_plans(&config.consumers) });
    let known = Known { plans: &plans, payload: payload.as_deref(), document };
    let policies = policies(&config.policies, &known, &mut problems);
    let rules = rules(&config.rules, &policies, &mut problems);
    let route_policies = config.route_policies;
    for (list, is_written) in [("policies", !config.policies.is_empty()), ("rules", !config.rules.is_empty())] {
        if route_policies && is_written {
            problems.add(list, "with `route_policies` each route carries its policy, and there are no others");
        }
    }
    let has_limits = route_policies || config.policies.iter().any(|policy| !policy.rate_limit.is_empty());
    let rate_limit_headers = config.rate_limit_headers;
    let tables =
        Tables { pepper, keys, consumers, plans, payload, route_policies, rules, has_limits, rate_limit_headers };
    if problems.0.is_empty() { Ok(tables) } else { Err(problems.0) }
}

fn pepper<S>(
    config: &Config<S>,
    environment: impl Fn(&str) -> Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<Pepper> {
    let written = config.key_pepper.as_ref().map(|pepper| pepper.0.clone().into_bytes());
    let secret = match (written, &config.key_pepper_env) {
        (Some(_), Some(_)) => {
            problems.add("key_pepper_env", "the pepper is already given by `key_pepper`");
            None
        }
        (None, Some(name)) => {
            let found = environment(name).ok_or_else(|| format!("the environment of the VM has no variable `{name}`"));
            problems.take("key_pepper_env", found)
        }
        (written, None) => written,
    }?;
    let at = if config.key_pepper.is_some() { "key_pepper" } else { "key_pepper_env" };
    problems.take(at, Pepper::new(&secret))
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

/// The names in a list, in alphabetical order.
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    /// One given twice is a problem.
    fn new(list: &str, names: impl Iterator<Item = &'a str> + Clone, problems: &mut Problems) -> Self {
        for (place, name) in names.clone().enumerate() {
            check_name(format_args!("{list}[{place}].name"), name, problems);
        }
        let mut sorted: Vec<&str> = names.clone().collect();
        sorted.sort_unstable();
        if sorted.is_sorted_by(|one, other| one < other) {
            return Self(sorted);
        }
        let mut places = BTreeMap::new();
        for (place, name) in names.enumerate() {
            if let Some(first) = places.insert(name, place) {
                problems.add(
                    format_args!("{list}[{place}].name"),
                    format!("`{name}` is already the name of {list}[{first}]"),
                );
            }
        }
        Self(sorted)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.binary_search(&name).is_ok()
    }
}

fn check_name(path: impl fmt::Display, name: &str, problems: &mut Problems) {
    if name.is_empty() || name.len() > MAX_NAME {
        problems.add(path, format!("a name has 1 to {MAX_NAME} bytes"));
    }
}

/// Names of consumers and plans, and what is known of consumers, become header values.
fn check_header_value(path: impl fmt::Display, name: &str, problems: &mut Problems) {
    let printable = name.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if !printable || name.starts_with(' ') || name.ends_with(' ') {
        problems.add(path, "what upstreams see in a header has printable ASCII characters and no space at its ends");
    }
}

fn plans(written: &[config::Plan], problems: &mut Problems) -> BTreeMap<String, Arc<Plan>> {
    Names::new("plans", written.iter().map(|plan| plan.name.as_str()), problems);
    let mut plans = BTreeMap::new();
    for (place, plan) in written.iter().enumerate() {
        check_header_value(format_args!("plans[{place}].name"), &plan.name, problems);
        let path = format!("plans[{place}]");
        let id = format!("plan {}", quoted(&plan.name));
        let limits = plan_limits(&format!("{path}.limits"), &plan.name, &id, &plan.limits, problems);
        let quota = plan.quota.as_ref().and_then(|quota| limits::quota(&path, &plan.name, &id, quota, problems));
        plans.insert(plan.name.clone(), Arc::new(Plan { name: plan.name.clone(), limits, quota }));
    }
    plans
}

/// With its length in front, so that no two lists of names are written alike.
fn quoted(name: &str) -> String {
    format!("{}:{name}", name.len())
}

/// The consumers in their order, and all their keys.
fn consumers<S: AsRef<str>>(
    written: &[config::Consumer<S>],
    plans: &BTreeMap<String, Arc<Plan>>,
    problems: &mut Problems,
) -> (Consumers, Keys) {
    let mut consumers = Consumers::with_capacity(written.len());
    let mut keys = Vec::with_capacity(written.len());
    for (place, consumer) in written.iter().enumerate() {
        let name = consumer.name.as_ref();
        check_header_value(format_args!("consumers[{place}].name"), name, problems);
        let plan = consumer.plan.as_ref().and_then(|name| {
            let name = name.as_ref();
            let plan = plans.get(name).ok_or_else(|| format!("there is no plan `{name}`"));
            problems.take(format_args!("consumers[{place}].plan"), plan).cloned()
        });
        let metadata = metadata(format_args!("consumers[{place}].metadata"), &consumer.metadata, problems);
        consumers.push(name, plan, metadata);
        for (index, key) in consumer.api_keys.iter().enumerate() {
            let mut time = |field: &str, text: &Option<S>| {
                let time = text.as_ref().map(|text| units::parse_time(text.as_ref())).transpose();
                problems.take(format_args!("consumers[{place}].api_keys[{index}].{field}"), time)
            };
            let (not_before, expires) = (time("not_before", &key.not_before), time("expires", &key.expires));
            let digest = digest(key.sha256.as_ref()).ok_or("a SHA-256 digest has 64 hexadecimal digits");
            let digest = problems.take(format_args!("consumers[{place}].api_keys[{index}].sha256"), digest);
            let (Some(not_before), Some(expires), Some(digest)) = (not_before, expires, digest) else {
                continue;
            };
            if not_before.zip(expires).is_some_and(|(from, to)| from >= to) {
                let message = "the key is never valid: it expires before that";
                problems.add(format_args!("consumers[{place}].api_keys[{index}].not_before"), message);
            }
            keys.push(Key { digest, not_before, expires, consumer: place });
        }
    }
    let keys = Keys::new(keys);
    if keys.may_repeat() {
        same_keys(written, problems);
    }
    (consumers, keys)
}

/// Finds the keys that are given twice; only where there may be any, since it takes its time.
fn same_keys<S: AsRef<str>>(written: &[config::Consumer<S>], problems: &mut Problems) {
    let mut places = BTreeMap::new();
    for (place, consumer) in written.iter().enumerate() {
        for (index, key) in consumer.api_keys.iter().enumerate() {
            let Some(digest) = digest(key.sha256.as_ref()) else { continue };
            if let Some((first, at)) = places.insert(digest, (place, index)) {
                // Without the digest: this goes to a log.
                let message = format!("the same key is at consumers[{first}].api_keys[{at}]");
                problems.add(format_args!("consumers[{place}].api_keys[{index}].sha256"), message);
            }
        }
    }
}

/// The headers by which upstreams see it.
fn metadata(
    path: impl fmt::Display,
    written: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    for (name, value) in written {
        if let Err(problem) = metadata_name(name) {
            problems.add(&path, format!("`{name}` {problem}"));
        }
        check_header_value(format_args!("{path}.{name}"), value, problems);
    }
    written.iter().map(|(name, value)| (format!("{METADATA_PREFIX}{name}"), value.clone())).collect()
}

/// Whether a text may name a consumer's metadata.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the name.
pub fn metadata_name(name: &str) -> Result<(), &'static str> {
    let is_name = is_token(name) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    is_name.then_some(()).ok_or("is not a name of metadata: small letters, digits and - are allowed")
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    let mut all = 0;
    for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
        let (high, low) = (hex_digit(high), hex_digit(low));
        *byte = high << 4 | low;
        all |= high | low;
    }
    (all <= 0xf).then_some(digest)
}

/// The value of a hexadecimal digit, or one above 15. Without a jump: digits of a digest are random, and there may be millions.
fn hex_digit(digit: u8) -> u8 {
    let (decimal, letter) = (digit.wrapping_sub(b'0'), (digit | 0x20).wrapping_sub(b'a'));
    let letter = if letter < 6 { letter.wrapping_add(10) } else { 0xff };
    if decimal < 10 { decimal } else { letter }
}

/// What policies refer to.
struct Known<'a> {
    plans: &'a BTreeMap<String, Arc<Plan>>,
    /// Where Envoy's JWT filter keeps the claims, where that is said.
    payload: Option<&'a str>,
    /// What else the document of a policy says. A policy that a route carries stands in none: it may be a moment older or
    /// newer than the consumers and plans in force, so a name that it does not find is no mistake, and nobody's.
    document: Option<Document<'a>>,
}

/// Who else stands in the document of a policy.
struct Document<'a> {
    consumers: &'a Names<'a>,
    /// The plans of those who have keys.
    keyed: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    /// The plan of this name. There is a problem where the policy's document has none.
    fn plan(&self, path: impl fmt::Display, name: &str, problems: &mut Problems) -> Option<&'a Arc<Plan>> {
        let plan = self.plans.get(name);
        if plan.is_none() && self.document.is_some() {
            problems.add(path, format!("there is no plan `{name}`"));
        }
        plan
    }
}

impl Document<'_> {
    /// Whether a policy may admit somebody of this plan, as far as its plans say: who is named in `consumers` may have any.
    fn may_come(&self, plan: &str, policy: &config::Policy) -> bool {
        let Some(rule) = &policy.api_key else { return false };
        let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
        let is_admitted = everyone || rule.plans.iter().any(|named| named == plan);
        (is_admitted && self.keyed.contains(plan)) || rule.anonymous_plan.as_deref() == Some(plan)
    }
}

fn keyed_plans<S: AsRef<str>>(written: &[config::Consumer<S>]) -> BTreeSet<&str> {
    let keyed = written.iter().filter(|consumer| !consumer.api_keys.is_empty());
    keyed.filter_map(|consumer| consumer.plan.as_ref().map(AsRef::as_ref)).collect()
}

/// Compiles a policy that a route carries, as JSON.
///
/// # Errors
/// All that is wrong with it, as of [`compile`]. Names that `tables` does not know are not: they are nobody's.
pub fn compile_policy(json: &[u8], tables: &Tables) -> Result<Policy, Vec<Problem>> {
    let written: config::Policy = serde_json::from_slice(json).map_err(|error| vec![form_problem(json, &error)])?;
    let mut problems = Problems::default();
    check_name("name", &written.name, &mut problems);
    let known = Known { plans: &tables.plans, payload: tables.payload.as_deref(), document: None };
    let policy = policy("", &written, &known, &mut problems);
    if problems.0.is_empty() { Ok(policy) } else { Err(problems.0) }
}

fn policies(written: &[config::Policy], known: &Known<'_>, problems: &mut Problems) -> BTreeMap<String, Arc<Policy>> {
    Names::new("policies", written.iter().map(|policy| policy.name.as_str()), problems);
    let mut policies = BTreeMap::new();
    for (place, policy) in written.iter().enumerate() {
        let compiled = self::policy(&format!("policies[{place}]."), policy, known, problems);
        policies.insert(policy.name.clone(), Arc::new(compiled));
    }
    policies
}

/// `path` is what comes before a field of it.
fn policy(path: &str, written: &config::Policy, known: &Known<'_>, problems: &mut Problems) -> Policy {
    let api_key = written.api_key.as_ref();
    Policy {
        name: written.name.clone(),
        api_key: api_key.and_then(|rule| compile_api_key(&format!("{path}api_key"), rule, known, problems)),
        limits: policy_limits(path, written, known, problems),
        stream_headers: written.stream_headers,
    }
}

/// `None` only with a problem: a policy must not lose its key by a mistake.
fn compile_api_key(
    path: &str,
    rule: &config::ApiKeyRule,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<ApiKeyRule> {
    for (index, name) in rule.consumers.iter().enumerate() {
        if known.document.as_ref().is_some_and(|document| !document.consumers.contains(name)) {
            problems.add(format_args!("{path}.consumers[{index}]"), format!("there is no consumer `{name}`"));
        }
    }
    for (index, name) in rule.plans.iter().enumerate() {
        known.plan(format_args!("{path}.plans[{index}]"), name, problems);
    }
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let mut allowed = Allowed::default();
    allowed.consumers.extend(rule.consumers.iter().cloned());
    allowed.plans.extend(rule.plans.iter().cloned());
    let anonymous_plan = rule.anonymous_plan.as_ref().and_then(|name| {
        if !rule.optional {
            problems.add(format_args!("{path}.anonymous_plan"), "only with `optional` does anybody come without a key");
        }
        known.plan(format_args!("{path}.anonymous_plan"), name, problems).cloned()
    });
    // Who comes without a key has a plan that is not known, so that nothing says what it may: it is refused.
    let is_nobodys = rule.anonymous_plan.is_some() && anonymous_plan.is_none();
    let sources = sources(path, rule, problems)?;
    Some(ApiKeyRule {
        sources,
        optional: rule.optional && !is_nobodys,
        anonymous_plan,
        allowed: (!everyone).then_some(allowed),
        keep: rule.keep,
        forward_metadata: rule.forward_metadata,
    })
}
