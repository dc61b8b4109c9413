//! The names of the counters of decisions, such as `legation_requests.api.pro.rate_limited`:
//! policy, plan, decision. Envoy puts `wasmcustom.` before them. The control plane's bootstrap
//! makes labels of the parts, so Prometheus reads
//! `legation_requests{legation_policy="api",legation_plan="pro",legation_decision="rate_limited"}`.

/// The most counters by policy and plan. Later ones count under [`OTHER`].
pub const MOST: usize = 2_000;
/// The prefix of all counters.
pub const PREFIX: &str = "legation_requests.";
/// Stands for all policies and plans beyond the bound.
pub const OTHER: &str = "_other";
/// Stands for no policy, or no plan.
pub const NONE: &str = "_none";
/// The most bytes of a name.
const LONGEST: usize = 64;

/// Writes the name of a counter.
pub fn name(policy: &str, plan: &str, code: &str, out: &mut String) {
    out.push_str(PREFIX);
    part(policy, out);
    out.push('.');
    part(plan, out);
    out.push('.');
    out.push_str(code);
}

/// Replaces everything but letters, digits, `-` and `_` by `_`, since it could be taken for a
/// separator.
fn part(text: &str, out: &mut String) {
    if text.is_empty() {
        out.push_str(NONE);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    out.extend(text.bytes().take(LONGEST).map(|byte| if allowed(byte) { char::from(byte) } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_parts_whatever_they_are() {
        for (policy, plan, expected) in [
            ("api", "pro", "legation_requests.api.pro.passed"),
            ("a.b c", "", "legation_requests.a_b_c._none.passed"),
            ("", "", "legation_requests._none._none.passed"),
        ] {
            let mut out = String::new();
            name(policy, plan, "passed", &mut out);
            assert_eq!(out, expected);
        }
        let mut out = String::new();
        name(&"x".repeat(300), "p", "passed", &mut out);
        assert_eq!(out.len(), PREFIX.len() + 64 + ".p.passed".len());
    }
}
