//! Compiles the configuration into the tables for requests. All problems of a configuration are
//! found here, each with its place in the document. After this, nothing about a configuration can
//! fail.
//!
//! Each part has its own rules: [`crate::plan`], [`crate::consumer`],
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

/// Reads and compiles a document, without an environment for its variables.
///
/// # Errors
/// Its problems, up to 1,000. Only the first one if the document has another form.
pub fn compile(json: &[u8]) -> Result<Tables, Vec<Problem>> {
    compile_with(json, |_| None)
}

/// Reads and compiles a document.
///
/// # Errors
/// Its problems, up to 1,000. Only the first one if the document has another form.
pub fn compile_with(json: &[u8], environment: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Tables, Vec<Problem>> {
    read::document(json, |config| compile_config(config, &environment))
}

/// Compiles a configuration that was not read from a document.
///
/// # Errors
/// Its problems, up to 1,000.
pub fn compile_config<S: AsRef<str>>(
    config: &Config<S>,
    environment: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Tables, Vec<Problem>> {
    let mut problems = Problems::default();
    let tables = tables_of(config, environment, &mut problems, |_, _| ());
    problems.unless_any(tables)
}

/// Returns the problems and warnings of a configuration, up to 1,000. It has no environment for the
/// configuration's variables.
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

/// Returns the tables, which are useless if a problem is an error. `look` sees the plans and
/// consumers that policies refer to.
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

/// Checks that policies are in the document or travel with routes, not both.
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
/// Its problems, as for [`compile`]. A name that `tables` does not know is no problem; it matches
/// nobody.
pub fn compile_policy(json: &[u8], tables: &Tables) -> Result<Policy, Vec<Problem>> {
    let written: config::Policy = read::part(json)?;
    let mut problems = Problems::default();
    names::check(names::POLICY, &At::Whole.field("name"), &written.name, &mut problems);
    let known = Known { plans: &tables.plans, payload: tables.payload.as_deref(), document: None };
    let policy = policy::policy(&At::Whole, &written, &known, &mut problems);
    problems.unless_any(policy)
}

/// Returns the policy of a request, if one is known. `route_policies` are compiled with these
/// tables. The problems of a policy are reported the first time.
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
