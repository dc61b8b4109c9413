//! From the configuration as it is written to the tables that requests are looked up in. All that
//! is wrong with it is found here, each thing with its place in the document. Past this point
//! nothing about a configuration can fail.
//!
//! The rules of each part stand with the part: [`crate::plan`], [`crate::consumer`],
//! [`crate::api_key`], [`crate::rate_limit`], [`crate::policy`]. The control plane runs the same
//! rules natively over a person's file, by [`check`].

mod tables;

use std::sync::Arc;

use crate::config::{self, Config, read};
use crate::consumer::{consumers, pepper_of};
use crate::headers::Pair;
use crate::known::{Document, Known, Member};
use crate::names;
use crate::outside::Outside;
use crate::plan::plans;
use crate::policy::{self, Policy, RoutePolicies, Target, policies, rules};
use crate::problem::{At, Problem, Problems, code};

pub use crate::api_key::{DEFAULT_KEY_HEADER, key_cookie, key_header, key_parameter};
pub use crate::config::MAX_BYTES;
pub use crate::consumer::metadata_name;
pub use crate::plan::{MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL};
pub use tables::Tables;

/// Reads and compiles a document, with no environment for it to name variables of.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things; the first alone where it is not a document of
/// this form.
pub fn compile(json: &[u8]) -> Result<Tables, Vec<Problem>> {
    compile_with(json, |_| None)
}

/// Reads and compiles a document.
///
/// # Errors
/// All that is wrong with it, up to 1,000 things; the first alone where it is not a document of
/// this form.
pub fn compile_with(json: &[u8], environment: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Tables, Vec<Problem>> {
    read::document(json, |config| compile_config(config, &environment))
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
    let tables = tables_of(config, environment, &mut problems, |_, _| ());
    problems.unless_any(tables)
}

/// All that is wrong with a configuration, and what is probably not meant, up to 1,000 things.
/// There is no environment for it to name variables of.
#[must_use]
pub fn check<S: AsRef<str>>(config: &Config<S>) -> Vec<Problem> {
    let mut problems = Problems::default();
    tables_of(
        config,
        |_| None,
        &mut problems,
        |known, problems| {
            let list = At::Whole.field("policies");
            for (place, policy) in config.policies.iter().enumerate() {
                policy::warn(&list.item(place), policy, known, problems);
            }
        },
    );
    problems.all()
}

/// The tables, which are good for nothing where a problem is an error. `look` sees what policies
/// refer to.
fn tables_of<S: AsRef<str>>(
    config: &Config<S>,
    environment: impl Fn(&str) -> Option<Vec<u8>>,
    problems: &mut Problems,
    look: impl FnOnce(&Known<'_>, &mut Problems),
) -> Tables {
    if config.version != 1 {
        let message = format!("version {} is not known; this filter reads version 1", config.version);
        problems.error(&At::Whole.field("version"), code::UNSUPPORTED_VERSION, message);
    }
    let plans = plans(&config.plans, problems);
    let (consumers, keys, names) = consumers(&config.consumers, &plans, problems);
    let pepper = pepper_of(config, environment, problems);
    let member = |place: usize| config.consumers.get(place).map(Member::of);
    let document = Document::new(names, &member, &config.plans);
    let known = Known { plans: &plans, payload: config.payload_in_metadata.as_deref(), document: Some(document) };
    let policies = policies(&config.policies, &known, problems);
    look(&known, problems);
    let rules = rules(&config.rules, &policies, problems);
    check_one_way(config, problems);
    Tables {
        pepper,
        keys,
        consumers,
        plans,
        payload: config.payload_in_metadata.clone(),
        route_policies: config.route_policies,
        rules,
        has_limits: config.route_policies || config.policies.iter().any(|policy| !policy.rate_limit.is_empty()),
        rate_limit_headers: config.rate_limit_headers,
    }
}

/// Policies stand in the document or travel with routes, not both.
fn check_one_way<S>(config: &Config<S>, problems: &mut Problems) {
    for (list, is_written) in [("policies", !config.policies.is_empty()), ("rules", !config.rules.is_empty())] {
        if config.route_policies && is_written {
            let message = "with `route_policies` each route carries its policy, and there are no others";
            problems.error(&At::Whole.field(list), code::CONFLICT, message);
        }
    }
}

/// Compiles a policy that a route carries, as JSON.
///
/// # Errors
/// All that is wrong with it, as of [`compile`]. A name that `tables` does not know is no mistake:
/// it is nobody's.
pub fn compile_policy(json: &[u8], tables: &Tables) -> Result<Policy, Vec<Problem>> {
    let written: config::Policy = read::part(json)?;
    let mut problems = Problems::default();
    names::check(names::POLICY, &At::Whole.field("name"), &written.name, &mut problems);
    let known = Known { plans: &tables.plans, payload: tables.payload.as_deref(), document: None };
    let policy = policy::policy(&At::Whole, &written, &known, &mut problems);
    problems.unless_any(policy)
}

/// The policy that is asked of a request, if any is known. `route_policies` are those compiled with
/// these tables. What is wrong with one is reported when it is first met.
pub fn policy_of(
    tables: &Tables,
    route_policies: &mut RoutePolicies,
    headers: &[Pair<'_>],
    outside: &mut impl Outside,
    report: impl FnOnce(&[Problem]),
) -> Option<Arc<Policy>> {
    if tables.route_policies() {
        let compile = |text: &[u8]| compile_policy(text, tables);
        return route_policies.policy(&outside.route_policy()?, compile, report);
    }
    let rules = tables.rules();
    let route = rules.asks_for_route().then(|| outside.route_name()).flatten();
    rules.policy(route.as_deref(), Target::of(headers))
}
