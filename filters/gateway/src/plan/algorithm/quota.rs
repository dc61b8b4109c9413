//! A quota: a number of requests a calendar day or month, which begin at midnight UTC.
//!
//! A count's `until` is the end of its day or month, and `value` is the used part.

use super::{Count, SKEW};
use crate::units::calendar;

/// The period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// A month of the Gregorian calendar, UTC.
    Month,
}

/// A quota's constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: u64,
    period: Period,
}

impl Quota {
    /// Makes a quota of `limit` requests a day or month. `None` if `limit` is 0.
    #[must_use]
    pub fn new(limit: u64, period: Period) -> Option<Self> {
        (limit > 0).then_some(Self { limit, period })
    }

    pub(super) fn limit(self) -> u64 {
        self.limit
    }

    pub(super) fn settle(self, count: Count, now: u64) -> Count {
        let (used, end) = self.used(count, now);
        Count { until: end, value: used }
    }

    pub(super) fn charge(self, count: Count, now: u64, cost: u64) -> Result<Count, u64> {
        let (used, end) = self.used(count, now);
        match used.saturating_add(cost) {
            used if used <= self.limit => Ok(Count { until: end, value: used }),
            _ => Err(end.saturating_sub(now)),
        }
    }

    pub(super) fn give_back(self, count: Count, now: u64, cost: u64) -> Count {
        let (used, end) = self.used(count, now);
        Count { until: end, value: used.saturating_sub(cost) }
    }

    pub(super) fn remaining(self, count: Count, now: u64) -> u64 {
        self.limit.saturating_sub(self.used(count, now).0)
    }

    /// Returns the used part of the current period, and its end. A count of a period that is just
    /// about to begin comes from another worker, for which it has begun, so it has begun for all. A
    /// count of a later period counts for this one: the clock was set back, or the quota was for a
    /// month.
    fn used(self, count: Count, now: u64) -> (u64, u64) {
        let end_at = |time| match self.period {
            Period::Day => calendar::end_of_day(time),
            Period::Month => calendar::end_of_month(time),
        };
        let soon = end_at(now.saturating_add(SKEW));
        let end = if count.until == soon { soon } else { end_at(now) };
        (if count.until > now { count.value } else { 0 }, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_time;

    fn at(text: &str) -> u64 {
        u64::try_from(parse_time(text).unwrap()).unwrap() * 1_000_000_000
    }

    #[test]
    fn a_quota_begins_anew_with_the_day_or_month() {
        for (period, first, last, next) in [
            (Period::Day, "2028-02-29T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-02-01T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2027-12-01T00:00:00Z", "2027-12-31T23:59:59Z", "2028-01-01T00:00:00Z"),
        ] {
            let quota = Quota::new(3, period).unwrap();
            let count = quota.charge(Count::default(), at(first), 3).unwrap();
            assert_eq!(quota.charge(count, at(first), 1), Err(at(next) - at(first)));
            assert_eq!(quota.charge(count, at(last), 1), Err(1_000_000_000));
            assert!(quota.charge(count, at(next), 1).is_ok(), "{next}");
        }
    }

    #[test]
    fn a_count_of_a_later_day_or_of_a_month_is_one_of_this_day() {
        let (day, month) = (Quota::new(3, Period::Day).unwrap(), Quota::new(3, Period::Month).unwrap());
        let now = at("2027-05-05T12:00:00Z");
        for count in [month.charge(Count::default(), now, 3), day.charge(Count::default(), at("2027-06-07"), 3)] {
            let count = count.unwrap();
            assert_eq!(day.charge(count, now, 1), Err(at("2027-05-06") - now));
            assert!(day.charge(day.settle(count, now), at("2027-05-06"), 1).is_ok());
        }
    }

    #[test]
    fn a_worker_whose_clock_is_behind_does_not_lead_back_into_the_day_before() {
        let quota = Quota::new(3, Period::Day).unwrap();
        let midnight = at("2027-05-06");
        let count = quota.charge(Count::default(), midnight + 1, 2).unwrap();
        let behind = quota.charge(count, midnight - 1, 1).unwrap();
        assert_eq!(quota.remaining(behind, midnight + 2), 0);
    }
}
