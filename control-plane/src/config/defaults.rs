//! `defaults`: what holds for the whole file.

use legation_filter::config::RateLimitHeaders;

use super::{
    decode::mapping,
    leaf::{Whole, Word, words},
};
use crate::model;

/// The most canaries: as many as there may be streams.
const MOST_CANARIES: u64 = 10_000;

words! {
    /// The response fields by which clients see their limits.
    RateLimitHeaders, "rate limit headers" {
        /// `RateLimit-Policy` and `RateLimit` of the IETF's draft.
        "ratelimit" => RateLimitHeaders::RateLimit,
        /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, of the limit that is nearest to its end.
        "x-ratelimit" => RateLimitHeaders::XRateLimit,
        /// None.
        "off" => RateLimitHeaders::Off,
    }
}

mapping! {
    /// What holds for the whole file.
    Defaults, "`defaults`", "{rate_limit_headers: x-ratelimit}" {
        /// How a new configuration reaches the nodes.
        optional rollout: Rollout,
        /// The response fields by which clients see their limits.
        optional rate_limit_headers: Word<RateLimitHeaders> = Word(RateLimitHeaders::RateLimit),
    }
    planned: route cluster timeouts errors allow_faults;
}

mapping! {
    /// How a new configuration reaches the nodes.
    Rollout, "`rollout`", "{canary: 1}" {
        /// How many nodes get a new configuration first. The others get it once these have taken
        /// it. `0` is all nodes at once.
        optional canary: Whole<usize, 0, MOST_CANARIES> = Whole(0),
    }
    planned: wait;
}

/// How the file reaches the nodes.
pub fn rollout(defaults: &Defaults) -> Option<model::Rollout> {
    defaults.rollout.resolve_or_unsaid(|rollout| Some(model::Rollout { canary: rollout.canary.get()?.0 }))
}
