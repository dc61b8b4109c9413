//! Warnings about policies: a policy admits nobody, or a limit by plan does not limit some callers.

use crate::config::{ApiKeyRule, Policy};
use crate::known::{Document, Known};
use crate::problem::{At, Problems, code, quoted};

/// Warns if the policy at `at` admits nobody, and if it has a limit by plan for callers whose plan
/// has no limits.
pub(crate) fn warn(at: &At<'_>, written: &Policy, known: &Known<'_>, problems: &mut Problems) {
    let (Some(rule), Some(document)) = (&written.api_key, &known.document) else { return };
    if !rule.optional && document.admitted(rule).next().is_none() {
        let message = "no consumer that this route admits has a key: every request is refused";
        problems.warning(&at.field("api_key"), code::NOBODY_ADMITTED, message, None);
    }
    if let Some(place) = written.rate_limit.iter().position(|limit| limit.plan) {
        let at = at.field("rate_limit");
        warn_of_plans(&at.item(place).field("plan"), rule, document, problems);
    }
}

fn warn_of_plans(at: &At<'_>, rule: &ApiKeyRule, document: &Document<'_>, problems: &mut Problems) {
    if rule.anonymous_plan.as_deref().and_then(|plan| document.has_limits(plan)) == Some(false) {
        let message = "the plan of those who come without a key has no limits: nothing limits them here";
        problems.warning(at, code::WITHOUT_PLAN, message, None);
    }
    if rule.optional && rule.anonymous_plan.is_none() {
        let message = "who comes without a key has no plan: nothing limits it here";
        problems.warning(at, code::WITHOUT_PLAN, message, Some("give them a plan by `anonymous_plan`"));
    }
    for (plan, consumer) in document.admitted(rule) {
        let problem = match plan {
            None => "has no plan".to_owned(),
            Some(plan) if document.has_limits(plan) == Some(false) => {
                format!("has the plan {}, which has no limits", quoted(plan))
            }
            Some(_) => continue,
        };
        let message = format!("the consumer {} {problem}: nothing limits it here", quoted(consumer));
        problems.warning(at, code::WITHOUT_PLAN, message, None);
    }
}
