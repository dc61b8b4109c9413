//! The answers to callers that a limit refuses.

use super::fields::{Fields, RETRY_AFTER, whole_seconds};
use crate::reply::{Refusal, Status};

/// A limit is used up. `wait` has the nanoseconds until a request would be admitted, `fields` the
/// state of the limits.
pub(super) fn limited(wait: u64, fields: Fields) -> Refusal {
    let seconds = whole_seconds(wait).max(1);
    let plural = if seconds == 1 { "" } else { "s" };
    let detail = format!("the rate limit is used up; try again in {seconds} second{plural}");
    let retry_after = (RETRY_AFTER, seconds.to_string());
    let headers = std::iter::once(retry_after).chain(fields).collect();
    Refusal { headers, ..Refusal::new("rate_limited", Status::TooManyRequests, detail) }
}

/// The header with the request's cost has no number that can be charged.
pub(super) fn invalid_cost(header: &str, most: u64) -> Refusal {
    let detail = format!("the header {header} must be given once at most, as a whole number from 1 to {most}");
    Refusal::new("invalid_cost", Status::BadRequest, detail)
}

/// A limit cannot be counted.
pub(super) fn unavailable() -> Refusal {
    let detail = "the gateway cannot count this request at the moment";
    let headers = vec![(RETRY_AFTER, "1".to_owned())];
    Refusal { headers, ..Refusal::new("rate_limit_unavailable", Status::Unavailable, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_caller_is_told_when_to_come_back() {
        for (wait, seconds, text) in
            [(1, "1", "1 second"), (1_000_000_000, "1", "1 second"), (1_000_000_001, "2", "2 seconds")]
        {
            let fields = vec![("ratelimit-policy", "p".to_owned()), ("ratelimit", "s".to_owned())];
            let refusal = limited(wait, fields);
            assert!(refusal.detail.ends_with(text), "{}", refusal.detail);
            let expected = [("retry-after", seconds), ("ratelimit-policy", "p"), ("ratelimit", "s")];
            assert_eq!(refusal.headers, expected.map(|(name, value)| (name, value.to_owned())));
        }
    }

    #[test]
    fn each_refusal_has_its_code_and_status() {
        for (refusal, code, status) in [
            (limited(1, Fields::new()), "rate_limited", Status::TooManyRequests),
            (invalid_cost("x-cost", 9), "invalid_cost", Status::BadRequest),
            (unavailable(), "rate_limit_unavailable", Status::Unavailable),
        ] {
            assert_eq!((refusal.code, refusal.status), (code, status));
        }
    }
}
