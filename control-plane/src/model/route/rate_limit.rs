//! `rate_limit`: limits on the rate of requests, in the filter's own words.

use legation_filter::config::RateLimit;

/// The limits, which all hold at once. Empty means that nothing is limited.
pub type Meaning = Vec<RateLimit>;
