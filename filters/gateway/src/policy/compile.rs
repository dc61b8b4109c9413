//! The rules of policies, and of `rules`, which choose the policy of a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use super::rules::{HostPattern, Rule, Rules};
use crate::api_key::{Allowed, ApiKeyRule, sources};
use crate::config;
use crate::known::Known;
use crate::names::{self, Names};
use crate::problem::{At, Problems, code, text, value};
use crate::rate_limit::rate_limits;

/// The policies of a document by their names.
pub(crate) fn policies(
    written: &[config::Policy],
    known: &Known<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, Arc<Policy>> {
    let list = At::Whole.field("policies");
    Names::new(names::POLICY, &list, written.iter().map(|policy| policy.name.as_str()), problems);
    let mut policies = BTreeMap::new();
    for (place, written) in written.iter().enumerate() {
        let compiled = policy(&list.item(place), written, known, problems);
        policies.insert(written.name.clone(), Arc::new(compiled));
    }
    policies
}

/// Compiles a policy whose name is already checked.
pub(crate) fn policy(at: &At<'_>, written: &config::Policy, known: &Known<'_>, problems: &mut Problems) -> Policy {
    let rule = written.api_key.as_ref();
    Policy {
        name: written.name.clone(),
        api_key: rule.and_then(|rule| api_key(&at.field("api_key"), rule, known, problems)),
        rate_limit: rate_limits(&at.field("rate_limit"), written, known, problems),
        stream_headers: written.stream_headers,
    }
}

/// `None` only with a problem: a policy must not lose its key by a mistake.
fn api_key(at: &At<'_>, rule: &config::ApiKeyRule, known: &Known<'_>, problems: &mut Problems) -> Option<ApiKeyRule> {
    for (place, name) in rule.consumers.iter().enumerate() {
        known.check_consumer(&at.field("consumers").item(place), name, problems);
    }
    for (place, name) in rule.plans.iter().enumerate() {
        known.plan(&at.field("plans").item(place), name, problems);
    }
    let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
    let mut allowed = Allowed::default();
    allowed.consumers.extend(rule.consumers.iter().cloned());
    allowed.plans.extend(rule.plans.iter().cloned());
    let anonymous_plan = rule.anonymous_plan.as_ref().and_then(|name| {
        let at = at.field("anonymous_plan");
        if !rule.optional {
            let message = "only with `optional` does anybody come without a key";
            problems.error_with_help(&at, code::CONFLICT, message, "add `optional: true`");
        }
        known.plan(&at, name, problems).cloned()
    });
    // With an unknown plan for callers without a key, nothing says what they may do. So they are
    // refused.
    let is_nobodys = rule.anonymous_plan.is_some() && anonymous_plan.is_none();
    Some(ApiKeyRule {
        sources: sources(at, rule, problems)?,
        optional: rule.optional && !is_nobodys,
        anonymous_plan,
        allowed: (!everyone).then_some(allowed),
        keep: rule.keep,
        forward_metadata: rule.forward_metadata,
    })
}

/// Compiles the rules that choose the policy of a request.
pub(crate) fn rules(
    written: &[config::Rule],
    policies: &BTreeMap<String, Arc<Policy>>,
    problems: &mut Problems,
) -> Rules {
    let list = At::Whole.field("rules");
    let mut rules = Rules::default();
    for (place, rule) in written.iter().enumerate() {
        let at = list.item(place);
        let hosts = rule.hosts.iter().enumerate();
        let hosts: Vec<HostPattern> =
            hosts.filter_map(|(index, host)| host_pattern(&at.field("hosts").item(index), host, problems)).collect();
        let prefix = rule.prefix.as_deref();
        let prefix = prefix.and_then(|prefix| path_prefix(&at.field("prefix"), prefix, problems));
        let Some(policy) = policies.get(&rule.policy) else {
            let message = [text("there is no policy "), value(&rule.policy)];
            problems.error(&at.field("policy"), code::UNKNOWN_POLICY, message);
            continue;
        };
        let compiled = Rule { place, hosts, prefix, policy: Arc::clone(policy) };
        match &rule.route {
            Some(route) => rules.by_route.entry(route.as_bytes().into()).or_default().push(compiled),
            None => rules.any_route.push(compiled),
        }
    }
    rules
}

fn host_pattern(at: &At<'_>, written: &str, problems: &mut Problems) -> Option<HostPattern> {
    let lower = written.to_ascii_lowercase();
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
        let rule = text(" is not a host: write a name without a port, or `*.` and a name");
        problems.error(at, code::INVALID_VALUE, [value(written), rule]);
        return None;
    }
    let name = name.to_owned();
    Some(if under { HostPattern::Under(name) } else { HostPattern::Exact(name) })
}

fn path_prefix(at: &At<'_>, written: &str, problems: &mut Problems) -> Option<String> {
    if !written.starts_with('/') || written.contains(['?', '#']) {
        let rule = text(" is not a path prefix: it begins with / and has neither ? nor #");
        problems.error(at, code::INVALID_VALUE, [value(written), rule]);
        return None;
    }
    Some(written.strip_suffix('/').unwrap_or(written).to_owned())
}
