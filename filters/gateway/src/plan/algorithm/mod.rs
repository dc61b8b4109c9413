//! Three algorithms over one form of count: sixteen bytes whose meaning depends on the algorithm.
//!
//! They are pure arithmetic on nanoseconds since 1970. A count may be higher than its limit allows
//! at this time. If it is a little higher, another worker read its clock later and counted first:
//! its count is valid. If it is much higher, the clock was set back, or the limit has changed. Then
//! it counts as the worst possible count ([`Algorithm::settle`]) and is written as such, so that it
//! expires within the limit's own time.

mod quota;
mod sliding_window;
mod token_bucket;

pub use quota::{Period, Quota};
pub use sliding_window::SlidingWindow;
pub use token_bucket::TokenBucket;

/// How much later another worker may have read its clock, in nanoseconds, for example because it
/// waited for a core.
const SKEW: u64 = 10 * 1_000_000_000;

/// The state of a count. The default means that no request was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// When it expires, in nanoseconds since 1970. From then on it means the same as the default.
    pub until: u64,
    /// The algorithm's own value.
    pub value: u64,
}

/// The state of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The most that may be charged at once.
    pub remaining: u64,
    /// The nanoseconds until more may be charged. 0 if all of the limit may be.
    pub until_more: u64,
}

/// An algorithm with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A bucket that refills steadily.
    TokenBucket(TokenBucket),
    /// The last window: this window's count and a share of the one before.
    SlidingWindow(SlidingWindow),
    /// A number of requests a calendar day or month, in UTC.
    Quota(Quota),
}

impl Algorithm {
    /// Returns the count, limited to the worst that is possible by `now`.
    #[must_use]
    pub fn settle(self, count: Count, now: u64) -> Count {
        match self {
            Self::TokenBucket(bucket) => bucket.settle(count, now),
            Self::SlidingWindow(window) => window.settle(count, now),
            Self::Quota(quota) => quota.settle(count, now),
        }
    }

    /// The count after a charge of `cost` at `now`.
    ///
    /// # Errors
    /// Without room: the nanoseconds until there is room. Nothing is charged then. A cost above
    /// [`capacity`](Self::capacity) never has room.
    pub fn charge(self, count: Count, now: u64, cost: u64) -> Result<Count, u64> {
        match self {
            Self::TokenBucket(bucket) => bucket.charge(count, now, cost),
            Self::SlidingWindow(window) => window.charge(count, now, cost),
            Self::Quota(quota) => quota.charge(count, now, cost),
        }
    }

    /// The count without a charge of `cost` that was made at `now`.
    #[must_use]
    pub fn give_back(self, count: Count, now: u64, cost: u64) -> Count {
        match self {
            Self::TokenBucket(bucket) => bucket.give_back(count, now, cost),
            Self::SlidingWindow(window) => window.give_back(count, now, cost),
            Self::Quota(quota) => quota.give_back(count, now, cost),
        }
    }

    /// Returns the state of the limit.
    #[must_use]
    pub fn standing(self, count: Count, now: u64) -> Standing {
        let remaining = match self {
            Self::TokenBucket(bucket) => bucket.remaining(count, now),
            Self::SlidingWindow(window) => window.remaining(count, now),
            Self::Quota(quota) => quota.remaining(count, now),
        };
        let more = remaining.saturating_add(1);
        let wait = (more <= self.capacity()).then(|| self.charge(count, now, more).err()).flatten();
        Standing { remaining, until_more: wait.unwrap_or_default() }
    }

    /// The most that may ever be charged at once.
    #[must_use]
    pub fn capacity(self) -> u64 {
        match self {
            Self::TokenBucket(bucket) => bucket.burst(),
            Self::SlidingWindow(window) => window.limit(),
            Self::Quota(quota) => quota.limit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn algorithms() -> impl Strategy<Value = Algorithm> {
        let window = 1_000u64..40_000_000_000;
        prop_oneof![
            (1u64..50, window.clone(), 1u64..60)
                .prop_map(|(limit, window, burst)| TokenBucket::new(limit, window, burst).map(Algorithm::TokenBucket)),
            (1u64..50, window)
                .prop_map(|(limit, window)| SlidingWindow::new(limit, window).map(Algorithm::SlidingWindow)),
            (1u64..50, prop_oneof![Just(Period::Day), Just(Period::Month)])
                .prop_map(|(limit, period)| Quota::new(limit, period).map(Algorithm::Quota)),
        ]
        .prop_map(|algorithm| algorithm.unwrap())
    }

    proptest! {
        #[test]
        fn whatever_a_count_says_nothing_panics_and_the_wait_ends(
            algorithm in algorithms(), until: u64, value: u64, now in 0u64..1 << 62, cost in 1u64..100,
        ) {
            let count = Count { until, value };
            let standing = algorithm.standing(count, now);
            prop_assert!(standing.remaining <= algorithm.capacity());
            let _ = algorithm.give_back(count, now, cost);
            match algorithm.charge(count, now, cost) {
                Ok(charged) => {
                    prop_assert!(cost <= standing.remaining);
                    prop_assert_eq!(algorithm.standing(charged, now).remaining, standing.remaining - cost);
                }
                Err(wait) if cost <= algorithm.capacity() => {
                    prop_assert!(cost > standing.remaining);
                    let settled = algorithm.settle(count, now);
                    prop_assert_eq!(algorithm.standing(settled, now), standing);
                    prop_assert!(algorithm.charge(settled, now + wait, cost).is_ok(), "told to wait {}", wait);
                    prop_assert!(wait >= standing.until_more, "nobody is told to come before there is more");
                }
                Err(_) => {}
            }
        }

        #[test]
        fn what_was_charged_can_be_given_back(
            algorithm in algorithms(), now in 1u64 << 60..1 << 62, costs in proptest::collection::vec(1u64..5, 1..20),
        ) {
            let mut count = Count::default();
            for cost in costs {
                let before = algorithm.standing(count, now).remaining;
                let Ok(charged) = algorithm.charge(count, now, cost) else { continue };
                let given_back = algorithm.give_back(charged, now, cost);
                prop_assert_eq!(algorithm.standing(given_back, now).remaining, before);
                count = charged;
            }
        }

        /// The longest life of a count is known, so that its slot becomes free again.
        #[test]
        fn after_its_time_a_count_says_nothing(algorithm in algorithms(), now in 1u64 << 60..1 << 62) {
            let charged = algorithm.charge(Count::default(), now, 1).unwrap();
            prop_assert!(charged.until > now);
            prop_assert_eq!(algorithm.standing(charged, charged.until).remaining, algorithm.capacity());
        }
    }
}
