//! What of `defaults` is one value.

use legation_filter::config::RateLimitHeaders;

use crate::config::{report::Report, schema, value};

const RATE_LIMIT_HEADERS: &[(&str, RateLimitHeaders)] = &[
    ("ratelimit", RateLimitHeaders::RateLimit),
    ("x-ratelimit", RateLimitHeaders::XRateLimit),
    ("off", RateLimitHeaders::Off),
];

/// By which response fields clients see their limits.
pub fn rate_limit_headers(defaults: Option<&schema::Defaults>, report: &mut Report) -> Option<RateLimitHeaders> {
    let Some(defaults) = defaults else { return Some(RateLimitHeaders::default()) };
    defaults.rate_limit_headers.resolve_or(RateLimitHeaders::default(), |text| {
        value::word(text, "`rate_limit_headers`", RATE_LIMIT_HEADERS, &[], report)
    })
}
