//! `rate_limit`: limits on the rate of requests, in the filter's own words.

use legation_filter::config::RateLimit;

/// What the word means on a route: limits that all hold at once. Empty where nothing is limited.
pub type Meaning = Vec<RateLimit>;
