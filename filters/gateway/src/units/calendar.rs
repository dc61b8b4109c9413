//! Days and months of the Gregorian calendar, UTC.

const DAY: u64 = 86_400 * 1_000_000_000;

/// Days since 1970-01-01, counted with March as the first month so that the leap day comes last.
/// For years from 0 to 9999.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let month = month.saturating_add(9).rem_euclid(12);
    let leap_days = year.div_euclid(4).saturating_sub(year.div_euclid(100)).saturating_add(year.div_euclid(400));
    let of_year = month.saturating_mul(153).saturating_add(2).div_euclid(5).saturating_add(day).saturating_sub(1);
    year.saturating_mul(365).saturating_add(leap_days).saturating_add(of_year).saturating_sub(719_468)
}

/// The next midnight, in nanoseconds since 1970.
pub(crate) fn end_of_day(now: u64) -> u64 {
    now.div_euclid(DAY).saturating_add(1).saturating_mul(DAY)
}

/// The first midnight of the next month, in nanoseconds since 1970.
pub(crate) fn end_of_month(now: u64) -> u64 {
    let today = i64::try_from(now.div_euclid(DAY)).unwrap_or_default();
    // A year is never longer than 366 days, so this is the year or the one before.
    let mut year = today.div_euclid(366).saturating_add(1970);
    while days_since_1970(year.saturating_add(1), 1, 1) <= today {
        year = year.saturating_add(1);
    }
    let ends = (1..=12).map(|month| match month {
        12 => days_since_1970(year.saturating_add(1), 1, 1),
        month => days_since_1970(year, i64::saturating_add(month, 1), 1),
    });
    let end = ends.into_iter().find(|end| *end > today).unwrap_or(today);
    u64::try_from(end).unwrap_or_default().saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_time;
    use proptest::prelude::*;

    fn at(text: &str) -> u64 {
        u64::try_from(parse_time(text).unwrap()).unwrap() * 1_000_000_000
    }

    #[test]
    fn a_month_ends_with_its_last_day() {
        for (now, end) in [
            ("1970-01-01", "1970-02-01"),
            ("1999-12-31", "2000-01-01"),
            ("2000-02-28", "2000-03-01"),
            ("2026-11-26", "2026-12-01"),
            ("2027-01-01", "2027-02-01"),
            ("2027-12-31", "2028-01-01"),
            ("2100-02-28", "2100-03-01"),
            ("2399-12-31", "2400-01-01"),
        ] {
            assert_eq!(end_of_month(at(now)), at(end), "{now}");
            assert_eq!(end_of_month(at(now) + DAY - 1), at(end), "{now}, late");
        }
        assert_eq!(end_of_day(at("2027-12-31")), at("2028-01-01"));
    }

    proptest! {
        #[test]
        fn each_day_is_one_day_after_the_last(year in 1i64..9999, month in 1i64..=12, day in 1i64..=28) {
            let next = if day < 28 { (year, month, day + 1) } else { (year, month, 28) };
            let gap = i64::from(day < 28);
            prop_assert_eq!(days_since_1970(next.0, next.1, next.2) - days_since_1970(year, month, day), gap);
        }

        #[test]
        fn the_end_of_a_month_is_ahead_and_within_31_days(now: u64) {
            let now = now % (1 << 63);
            let end = end_of_month(now);
            prop_assert!(end > now && end - now <= 31 * DAY);
        }
    }
}
