//! Which request has which policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Problems;
use crate::config;
use crate::rules::{HostPattern, Rule, Rules};
use crate::tables::Policy;

pub(super) fn rules(
    written: &[config::Rule],
    policies: &BTreeMap<String, Arc<Policy>>,
    problems: &mut Problems,
) -> Rules {
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
