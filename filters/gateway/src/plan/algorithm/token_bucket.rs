//! The token bucket, as GCRA: the generic cell rate algorithm (ITU-T I.371).
//!
//! A bucket is one number, the *theoretical arrival time* (TAT): the nanosecond at which the bucket
//! will be full again. A request moves it later, by one interval for each token that it costs. The
//! request is admitted if the TAT is then no further ahead than the bucket is deep.

use super::{Count, SKEW};

/// A token bucket's two constants, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// The time until one more token. Never 0.
    interval: u64,
    /// The time until an empty bucket is full.
    depth: u64,
}

impl TokenBucket {
    /// Makes a bucket of `limit` requests a window of `window` nanoseconds, `burst` of them at
    /// once. `None` if a number is 0 or the depth exceeds 2⁶⁴ ns. The interval is rounded up to a
    /// whole nanosecond, so never more than `limit` requests a window pass.
    #[must_use]
    pub fn new(limit: u64, window: u64, burst: u64) -> Option<Self> {
        if limit == 0 || window == 0 || burst == 0 {
            return None;
        }
        let interval = window.div_ceil(limit);
        let depth = interval.checked_mul(burst)?;
        Some(Self { interval, depth })
    }

    /// Returns the nanoseconds until one more token.
    #[must_use]
    pub fn interval(self) -> u64 {
        self.interval
    }

    /// Returns the nanoseconds until an empty bucket is full.
    #[must_use]
    pub fn depth(self) -> u64 {
        self.depth
    }

    pub(super) fn burst(self) -> u64 {
        self.tokens(self.depth)
    }

    pub(super) fn settle(self, count: Count, now: u64) -> Count {
        Count { until: self.tat(count, now), value: 0 }
    }

    pub(super) fn charge(self, count: Count, now: u64, cost: u64) -> Result<Count, u64> {
        let end = now.saturating_add(self.depth);
        let charged = self.tat(count, now).saturating_add(self.interval.saturating_mul(cost));
        if charged <= end { Ok(Count { until: charged, value: 0 }) } else { Err(charged.saturating_sub(end)) }
    }

    pub(super) fn give_back(self, count: Count, now: u64, cost: u64) -> Count {
        let until = self.tat(count, now).saturating_sub(self.interval.saturating_mul(cost));
        Count { until, value: 0 }
    }

    pub(super) fn remaining(self, count: Count, now: u64) -> u64 {
        let until_full = self.tat(count, now).saturating_sub(now);
        self.tokens(self.depth.saturating_sub(until_full))
    }

    /// A TAT in the past counts as now, since a bucket is never fuller than full. A TAT much
    /// further ahead than the depth counts as an empty bucket: the limit was lowered, or the clock
    /// was set back.
    fn tat(self, count: Count, now: u64) -> u64 {
        let end = now.saturating_add(self.depth);
        if count.until > end.saturating_add(SKEW) { end } else { count.until.max(now) }
    }

    fn tokens(self, nanos: u64) -> u64 {
        nanos.checked_div(self.interval).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_800_000_000 * SECOND;

    #[test]
    fn a_full_bucket_admits_its_burst_and_then_one_each_interval() {
        let bucket = TokenBucket::new(60, 60 * SECOND, 3).unwrap();
        let mut count = Count::default();
        for left in [2, 1, 0] {
            count = bucket.charge(count, START, 1).unwrap();
            assert_eq!(bucket.remaining(count, START), left);
        }
        assert_eq!(bucket.charge(count, START, 1), Err(SECOND));
        assert_eq!(bucket.charge(count, START, 3), Err(3 * SECOND));
        assert_eq!(bucket.charge(count, START + SECOND - 1, 1), Err(1));
        assert!(bucket.charge(count, START + SECOND, 1).is_ok());
        assert_eq!(bucket.remaining(count, START + 2 * SECOND), 2);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_an_empty_bucket() {
        let bucket = TokenBucket::new(10, 10 * SECOND, 10).unwrap();
        let far_ahead = Count { until: START + 1_000_000 * SECOND, value: 0 };
        assert_eq!(bucket.charge(far_ahead, START, 1), Err(SECOND));
        assert!(bucket.charge(bucket.settle(far_ahead, START), START + SECOND, 1).is_ok());
        assert_eq!(bucket.remaining(far_ahead, START), 0);
    }

    #[test]
    fn the_largest_limits_do_not_overflow() {
        let year = 366 * 86_400 * SECOND;
        let bucket = TokenBucket::new(1_000_000_000, year, 1_000_000_000).unwrap();
        assert!(bucket.charge(Count { until: u64::MAX, value: 0 }, u64::MAX, 1).is_ok());
        assert_eq!(bucket.remaining(Count::default(), START), 1_000_000_000);
        assert!(bucket.charge(Count::default(), START, u64::MAX).is_err());
        assert_eq!(TokenBucket::new(1, year, 1_000_000), None);
    }

    #[test]
    fn a_worker_whose_clock_is_behind_takes_nothing_back() {
        let bucket = TokenBucket::new(10, SECOND, 10).unwrap();
        let count = bucket.charge(Count::default(), START + SECOND / 2, 10).unwrap();
        assert!(bucket.charge(count, START, 1).is_err());
        assert_eq!(bucket.settle(count, START), count);
        assert_eq!(bucket.give_back(count, START, 1), bucket.give_back(count, START + SECOND / 2, 1));
    }

    #[test]
    fn an_interval_is_rounded_up() {
        assert_eq!(TokenBucket::new(3, 10, 1).unwrap().interval(), 4);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_are_admitted(
            limit in 1u64..50,
            window in 1_000u64..10_000_000_000,
            burst in 1u64..60,
            steps in proptest::collection::vec((0u64..400_000_000, 1u64..4), 1..300),
        ) {
            let bucket = TokenBucket::new(limit, window, burst).unwrap();
            let (mut count, mut now, mut admitted) = (Count::default(), START, 0u128);
            for (step, cost) in steps {
                now += step;
                if let Ok(charged) = bucket.charge(count, now, cost) {
                    count = charged;
                    admitted += u128::from(cost);
                }
                let most = u128::from(burst) + u128::from(now - START) * u128::from(limit) / u128::from(window);
                prop_assert!(admitted <= most, "{} of {}", admitted, most);
            }
        }

        #[test]
        fn a_refused_request_is_admitted_after_the_wait_and_not_before(
            limit in 1u64..50, window in 1_000u64..10_000_000_000, ahead in 0u64..20_000_000_000,
        ) {
            let bucket = TokenBucket::new(limit, window, limit).unwrap();
            let count = Count { until: START + ahead.min(bucket.depth()), value: 0 };
            if let Err(wait) = bucket.charge(count, START, 1) {
                prop_assert!(bucket.charge(count, START + wait - 1, 1).is_err());
                prop_assert!(bucket.charge(count, START + wait, 1).is_ok());
            }
        }
    }
}
