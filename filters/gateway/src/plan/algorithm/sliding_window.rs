//! The sliding window, with two counters: this window's, and a share of the one before. The share
//! is the part of that window that still lies within the last `window`.
//!
//! Requests of the window before count as spread evenly over it. So a burst late in it expires a
//! little early, and a burst early in it a little late. Never do more than `limit` requests begin
//! in one aligned window.
//!
//! Windows are aligned to 1970. A count's `until` is the end of the window after the counted one,
//! and `value` has both counters, the one before in the upper 32 bits.

use super::{Count, SKEW};

/// A sliding window's constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Fits 32 bits. Never 0.
    limit: u64,
    /// In nanoseconds. Never 0, and short enough that twice of it fits.
    window: u64,
}

/// Both counters at a moment.
struct Counters {
    before: u64,
    current: u64,
    /// When the current window began.
    start: u64,
}

impl SlidingWindow {
    /// Makes a window of `limit` requests within `window` nanoseconds. `None` if a number is 0, the
    /// limit exceeds 32 bits, or the window exceeds 2⁶² ns.
    #[must_use]
    pub fn new(limit: u64, window: u64) -> Option<Self> {
        let fits = limit <= u64::from(u32::MAX) && window <= 1 << 62;
        (limit > 0 && window > 0 && fits).then_some(Self { limit, window })
    }

    pub(super) fn limit(self) -> u64 {
        self.limit
    }

    pub(super) fn settle(self, count: Count, now: u64) -> Count {
        self.count(self.counters(count, now))
    }

    pub(super) fn charge(self, count: Count, now: u64, cost: u64) -> Result<Count, u64> {
        let counters = self.counters(count, now);
        let used = self.used(&counters, now);
        if used.saturating_add(cost) <= self.limit {
            return Ok(self.count(Counters { current: counters.current.saturating_add(cost), ..counters }));
        }
        Err(self.wait(&counters, now, cost))
    }

    pub(super) fn give_back(self, count: Count, now: u64, cost: u64) -> Count {
        let counters = self.counters(count, now);
        self.count(Counters { current: counters.current.saturating_sub(cost), ..counters })
    }

    pub(super) fn remaining(self, count: Count, now: u64) -> u64 {
        self.limit.saturating_sub(self.used(&self.counters(count, now), now))
    }

    /// Returns the counters for the current window. A count of a window that is just about to begin
    /// comes from another worker, for which it has begun, so it has begun for all. A count of a
    /// later window counts for this one: the clock was set back. So does a live count of a window
    /// long ago: windows were shorter then.
    fn counters(self, count: Count, now: u64) -> Counters {
        let index = self.index(now);
        let (before, current) = (count.value >> 32, count.value & u64::from(u32::MAX));
        let counted = self.index(count.until).saturating_sub(2);
        let begins = counted.saturating_mul(self.window);
        let start = index.saturating_mul(self.window);
        match index.saturating_sub(counted) {
            0 if begins > now && begins.saturating_sub(now) <= SKEW => Counters { before, current, start: begins },
            0 => Counters { before, current, start },
            1 => Counters { before: current, current: 0, start },
            _ if count.until > now => Counters { before, current, start },
            _ => Counters { before: 0, current: 0, start },
        }
    }

    fn count(self, counters: Counters) -> Count {
        let until = counters.start.saturating_add(self.window.saturating_mul(2));
        let most = u64::from(u32::MAX);
        Count { until, value: counters.before.min(most) << 32 | counters.current.min(most) }
    }

    fn index(self, time: u64) -> u64 {
        time.checked_div(self.window).unwrap_or_default()
    }

    /// The share of the window before is rounded up, so that never more than the limit passes.
    fn used(self, counters: &Counters, now: u64) -> u64 {
        let left = self.window.saturating_sub(now.saturating_sub(counters.start));
        let share =
            u128::from(counters.before).saturating_mul(u128::from(left)).div_ceil(u128::from(self.window).max(1));
        u64::try_from(share).unwrap_or(u64::MAX).saturating_add(counters.current)
    }

    /// Returns the time until there is room for `cost`: in this window, as the share of the one
    /// before shrinks, or else in the next one.
    fn wait(self, counters: &Counters, now: u64, cost: u64) -> u64 {
        let elapsed = now.saturating_sub(counters.start);
        let room = self.limit.saturating_sub(cost);
        match room.checked_sub(counters.current) {
            Some(room) => self.until_share_is(counters.before, room).saturating_sub(elapsed),
            None => self.window.saturating_sub(elapsed).saturating_add(self.until_share_is(counters.current, room)),
        }
    }

    /// Returns the nanoseconds from a window's beginning until at most `room` of `before` requests
    /// count.
    fn until_share_is(self, before: u64, room: u64) -> u64 {
        if before <= room {
            return 0;
        }
        // The share is at most `room` once `before * left <= room * window`.
        let left = u128::from(room).saturating_mul(u128::from(self.window)).checked_div(u128::from(before));
        self.window.saturating_sub(left.and_then(|left| u64::try_from(left).ok()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    /// The beginning of a minute.
    const START: u64 = 1_800_000_000 * SECOND;

    #[test]
    fn the_window_before_counts_by_the_share_of_it_that_is_left() {
        let window = SlidingWindow::new(10, 60 * SECOND).unwrap();
        let mut count = Count::default();
        for _ in 0..10 {
            count = window.charge(count, START, 1).unwrap();
        }
        assert_eq!(window.remaining(count, START), 0);
        for (seconds, remaining) in [(59, 0), (60, 0), (65, 0), (66, 1), (90, 5), (119, 9), (120, 10), (1_000, 10)] {
            assert_eq!(window.remaining(count, START + seconds * SECOND), remaining, "after {seconds} s");
        }
        // A tenth of the next window must pass.
        assert_eq!(window.charge(count, START, 1), Err(66 * SECOND));
        assert_eq!(window.charge(count, START + 61 * SECOND, 2), Err(11 * SECOND));
        let later = window.charge(count, START + 90 * SECOND, 5).unwrap();
        assert_eq!(window.remaining(later, START + 90 * SECOND), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_sees_the_latest_window() {
        let window = SlidingWindow::new(2, 60 * SECOND).unwrap();
        let count = window.charge(Count::default(), START + 6_000 * SECOND, 2).unwrap();
        assert_eq!(window.remaining(count, START), 0);
        let settled = window.settle(count, START);
        assert_eq!(window.remaining(settled, START + 119 * SECOND), 1);
        assert_eq!(window.remaining(settled, START + 120 * SECOND), 2);
    }

    #[test]
    fn a_worker_whose_clock_is_behind_does_not_lead_back_into_the_window_before() {
        let window = SlidingWindow::new(10, 60 * SECOND).unwrap();
        let mut count = Count::default();
        for _ in 0..10 {
            count = window.charge(count, START + 59 * SECOND, 1).unwrap();
        }
        let next = START + 60 * SECOND;
        let later = window.charge(count, next + 6 * SECOND, 1).unwrap();
        for behind in [next - 1, next - SECOND] {
            assert!(window.charge(later, behind, 1).is_err());
            assert_eq!(window.settle(later, behind), later);
            assert_eq!(window.give_back(later, behind, 1), window.give_back(later, next, 1));
        }
        assert_eq!(window.remaining(window.settle(later, next - 1), next + 30 * SECOND), 4);
    }

    #[test]
    fn a_longer_window_does_not_forget_what_the_shorter_one_counted() {
        let (minute, hour) =
            (SlidingWindow::new(10, 60 * SECOND).unwrap(), SlidingWindow::new(10, 3_600 * SECOND).unwrap());
        let count = minute.charge(Count::default(), START, 10).unwrap();
        assert_eq!(hour.remaining(count, START + 30 * SECOND), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_begin_in_an_aligned_window(
            limit in 1u64..30, steps in proptest::collection::vec((0u64..700_000_000, 1u64..3), 1..300),
        ) {
            let window = SlidingWindow::new(limit, SECOND).unwrap();
            let (mut count, mut now) = (Count::default(), START);
            let mut admitted = std::collections::BTreeMap::<u64, u64>::new();
            for (step, cost) in steps {
                now += step;
                if let Ok(charged) = window.charge(count, now, cost) {
                    count = charged;
                    *admitted.entry(now / SECOND).or_default() += cost;
                }
            }
            prop_assert!(admitted.values().all(|admitted| *admitted <= limit), "{:?}", admitted);
        }

        #[test]
        fn the_wait_is_no_longer_than_needed(limit in 1u64..30, used in 1u64..30, at in 0u64..SECOND, cost in 1u64..30) {
            let window = SlidingWindow::new(limit, SECOND).unwrap();
            let count = window.charge(Count::default(), START, used.min(limit)).unwrap();
            let now = START + at;
            if let (Err(wait), true) = (window.charge(count, now, cost), cost <= limit) {
                prop_assert!(window.charge(count, now + wait, cost).is_ok());
                prop_assert!(window.charge(count, now + wait - 1, cost).is_err());
            }
        }
    }
}
