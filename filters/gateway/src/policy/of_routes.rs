//! The policies that routes carry in their metadata. Each is compiled once a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use crate::problem::Problem;

/// The most memory for policies, in bytes, as [`size`] estimates it. If many edits of routes exceed
/// it, the filter forgets all policies and compiles those in use again.
const MOST_BYTES: usize = 64 << 20;

/// The compiled policies of one configuration, by their texts.
#[derive(Debug, Default)]
pub struct RoutePolicies {
    /// A text that is no policy is kept as `None`, so that it is reported once.
    compiled: BTreeMap<Box<[u8]>, Option<Arc<Policy>>>,
    bytes: usize,
}

impl RoutePolicies {
    /// Returns the policy of a text. `compile` must return the same for a text each time. `None`
    /// means that the text is no policy; its problems are reported the first time.
    pub(crate) fn policy(
        &mut self,
        text: &[u8],
        compile: impl FnOnce(&[u8]) -> Result<Policy, Vec<Problem>>,
        report: impl FnOnce(&[Problem]),
    ) -> Option<Arc<Policy>> {
        if let Some(known) = self.compiled.get(text) {
            return known.clone();
        }
        let policy = match compile(text) {
            Ok(policy) => Some(Arc::new(policy)),
            Err(problems) => {
                report(&problems);
                None
            }
        };
        let size = size(text);
        if self.bytes.saturating_add(size) > MOST_BYTES {
            *self = Self::default();
        }
        self.bytes = self.bytes.saturating_add(size);
        self.compiled.insert(text.into(), policy.clone());
        policy
    }
}

/// Estimates the memory of a text and its policy, which repeats names and numbers of the text.
fn size(text: &[u8]) -> usize {
    text.len().saturating_mul(3).saturating_add(512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Tables, compile, compile_policy};

    fn tables() -> Tables {
        compile(br#"{"version": 1, "route_policies": true}"#).unwrap()
    }

    #[test]
    fn a_text_is_compiled_once_and_a_bad_one_is_reported_once() {
        let (tables, mut policies) = (tables(), RoutePolicies::default());
        let good = br#"{"name": "a", "api_key": {}}"#;
        let first = policies.policy(good, |text| compile_policy(text, &tables), |_| panic!("it is good")).unwrap();
        let again = policies.policy(good, |text| compile_policy(text, &tables), |_| panic!("it is good")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        for bad in [&b""[..], b"{", br#"{"name": "a", "api_keys": {}}"#, br#"{"name": ""}"#, b"\xff"] {
            let mut said = Vec::new();
            assert!(
                policies
                    .policy(bad, |text| compile_policy(text, &tables), |problems| said = problems.to_vec())
                    .is_none()
            );
            assert!(!said.is_empty(), "{bad:?}");
            assert!(
                policies.policy(bad, |text| compile_policy(text, &tables), |_| panic!("it was said before")).is_none()
            );
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (tables, mut policies) = (tables(), RoutePolicies::default());
        let text =
            |number: usize| format!(r#"{{"name": "{number}", "api_key": {{"plans": ["{}"]}}}}"#, "p".repeat(900_000));
        for number in 0..40 {
            assert!(
                policies
                    .policy(text(number).as_bytes(), |text| compile_policy(text, &tables), |_| panic!("it is good"))
                    .is_some()
            );
            assert!(policies.bytes <= MOST_BYTES);
            assert_eq!(policies.bytes, policies.compiled.keys().map(|text| size(text)).sum::<usize>());
        }
        assert!(policies.compiled.len() < 40);
    }
}
