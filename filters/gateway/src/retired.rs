//! The tables in force and, for a short time, the policies of routes that the last configuration took away.
//!
//! A policy leaves a route by two updates: the filter's configuration (ECDS) comes at once, the route that no longer
//! turns the filter on (RDS) some milliseconds later. Between them, requests of that route still reach the filter, and no rule
//! knows them. They are judged as before rather than refused.

use std::sync::Arc;

use crate::rules::{Rules, Target};
use crate::tables::{Policy, Tables};

/// How long a route that was taken away keeps its policy, in nanoseconds.
pub const KEEP: u64 = 60 * 1_000_000_000;
/// How many configurations' rules that are no longer in force are kept for that, at most.
const MOST_RULES: usize = 8;
/// How many routes, at most.
const MOST_ROUTES: usize = 10_000;

/// The tables in force.
#[derive(Debug, Default)]
pub struct Active {
    tables: Tables,
    /// The latest first.
    retired: Vec<Retired>,
}

/// The routes that one configuration took away, with the rules before it.
#[derive(Clone, Debug)]
struct Retired {
    /// Nanoseconds since 1970.
    until: u64,
    /// Sorted.
    routes: Vec<Box<[u8]>>,
    rules: Arc<Rules>,
}

impl Active {
    /// Puts tables in force at the time `now`, in place of `old`.
    #[must_use]
    pub fn new(tables: Tables, old: Option<&Self>, now: u64) -> Self {
        let mut retired: Vec<Retired> = Vec::new();
        if let Some(old) = old {
            let taken_away = Retired {
                until: now.saturating_add(KEEP),
                routes: old.tables.rules().routes().map(Box::from).collect(),
                rules: Arc::clone(old.tables.rules()),
            };
            let mut room = MOST_ROUTES;
            for mut earlier in std::iter::once(taken_away).chain(old.retired.iter().cloned()) {
                // A clock that was set back must not make them stay.
                earlier.until = earlier.until.min(now.saturating_add(KEEP));
                earlier.routes.retain(|route| !tables.rules().knows_route(route));
                if earlier.until > now
                    && !earlier.routes.is_empty()
                    && earlier.routes.len() <= room
                    && retired.len() < MOST_RULES
                {
                    room = room.saturating_sub(earlier.routes.len());
                    retired.push(earlier);
                }
            }
        }
        Self { tables, retired }
    }

    /// The tables in force.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Whether a policy may depend on the route's name.
    #[must_use]
    pub fn asks_for_route(&self) -> bool {
        self.tables.rules().asks_for_route() || !self.retired.is_empty()
    }

    /// The policy asked of a request. Who its caller is, the tables in force say: a key that was revoked with a route's policy
    /// is revoked. The clock is asked only if it matters.
    #[must_use]
    pub fn policy(&self, route: Option<&[u8]>, target: Target<'_>, clock: impl FnOnce() -> u64) -> Option<&Policy> {
        if let Some(policy) = self.tables.rules().policy(route, target) {
            return Some(policy);
        }
        let route = route.filter(|_| !self.retired.is_empty())?;
        let now = clock();
        let retired = self.retired.iter().find(|retired| retired.until > now && retired.knows(route))?;
        retired.rules.policy(Some(route), target)
    }
}

impl Retired {
    fn knows(&self, route: &[u8]) -> bool {
        self.routes.binary_search_by(|known| (**known).cmp(route)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compile;

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn tables(routes: &[&str]) -> Tables {
        let rules: Vec<_> = routes.iter().map(|route| serde_json::json!({"route": route, "policy": "p"})).collect();
        let config = serde_json::json!({"version": 1, "policies": [{"name": "p", "api_key": {}}], "rules": rules});
        compile(config.to_string().as_bytes()).unwrap()
    }

    fn knows(active: &Active, route: &str, now: u64) -> bool {
        active.policy(Some(route.as_bytes()), Target::default(), || now).is_some()
    }

    #[test]
    fn a_route_taken_away_keeps_its_policy_for_a_minute() {
        let first = Active::new(tables(&["a", "b"]), None, NOW);
        let second = Active::new(tables(&["b"]), Some(&first), NOW);
        assert!(knows(&second, "a", NOW + KEEP - 1));
        assert!(!knows(&second, "a", NOW + KEEP));
        assert!(knows(&second, "b", NOW + KEEP));
        assert!(!knows(&second, "c", NOW));
    }

    #[test]
    fn a_later_configuration_does_not_prolong_it() {
        let first = Active::new(tables(&["a", "b"]), None, NOW);
        let second = Active::new(tables(&["b"]), Some(&first), NOW);
        let third = Active::new(tables(&[]), Some(&second), NOW + KEEP / 2);
        assert!(knows(&third, "a", NOW + KEEP - 1));
        assert!(!knows(&third, "a", NOW + KEEP));
        assert!(knows(&third, "b", NOW + KEEP));
        assert!(third.asks_for_route());
        assert!(!Active::new(tables(&[]), Some(&third), NOW + 2 * KEEP).asks_for_route());
    }

    #[test]
    fn a_route_that_comes_back_has_its_new_policy() {
        let first = Active::new(tables(&["a"]), None, NOW);
        let second = Active::new(tables(&[]), Some(&first), NOW);
        let third = Active::new(tables(&["a"]), Some(&second), NOW);
        assert!(third.retired.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let names: Vec<String> = (0..100).map(|number| format!("r{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut active = Active::new(tables(&names), None, NOW);
        for left in (0..100).rev() {
            active = Active::new(tables(&names[..left]), Some(&active), NOW);
        }
        assert_eq!(active.retired.len(), MOST_RULES);
        assert!(knows(&active, "r0", NOW), "the latest are kept");
        assert!(!knows(&active, "r99", NOW));
    }
}
