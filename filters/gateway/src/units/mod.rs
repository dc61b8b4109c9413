//! Durations and points in time as people write them. The control plane reads its file with the
//! same functions.

#![allow(clippy::arithmetic_side_effects, reason = "numbers of at most four digits, and of that many seconds")]

pub(crate) mod calendar;

use std::time::Duration;

use calendar::days_since_1970;

/// Reads a duration: a whole number and one of the units `ms`, `s`, `m`, `h`, `d`, such as `500ms`,
/// `15s` or `1d`.
///
/// # Errors
/// A sentence that says what is allowed. The longest duration is 2⁶⁴ ns (584 years).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let nanos_per_unit: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return Err(not_a_duration(text)),
    };
    if number.is_empty() {
        return Err(not_a_duration(text));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(nanos_per_unit))
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("`{text}` is too long a duration"))
}

/// Reads a size in bytes: a whole number above 0 and one of the units `KiB`, `MiB`, `GiB`, such as
/// `60KiB`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = unit.zip(number.parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        format!("`{text}` is not a size: write a whole number and one of the units KiB, MiB, GiB, such as `60KiB`")
    })
}

fn not_a_duration(text: &str) -> String {
    format!(
        "`{text}` is not a duration: write a whole number and one of the units ms, s, m, h, d, such as `500ms`, `15s` or `1d`"
    )
}

/// Reads a point in time as seconds since 1970-01-01T00:00:00Z. It is written in RFC 3339
/// (`2027-01-31T12:00:00Z`, `2027-01-31T12:00:00+01:00`), whose fraction of a second is dropped, or
/// as a date alone, which is its first second in UTC.
///
/// # Errors
/// A sentence that says what is allowed. A day that does not exist is not.
pub fn parse_time(text: &str) -> Result<i64, String> {
    read_time(text.as_bytes()).ok_or_else(|| {
        format!(
            "`{text}` is not a point in time: write a date such as `2027-01-31` or RFC 3339 such as `2027-01-31T12:00:00Z`"
        )
    })
}

fn read_time(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = read_date(date)?;
    let midnight = days_since_1970(year, month, day) * 86_400;
    if rest.is_empty() {
        return Some(midnight);
    }
    let (clock, rest) = rest.split_at_checked(9)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = *clock else {
        return None;
    };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    // RFC 3339 §5.6 allows a leap second; it is the first second of the next minute here.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = read_offset(without_fraction(rest)?)?;
    Some(midnight + hour * 3_600 + minute * 60 + second - offset)
}

fn read_date(date: &[u8]) -> Option<(i64, i64, i64)> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    (1..=days).contains(&day).then_some((year, month, day))
}

fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| fraction.get(digits..)).flatten()
}

/// Seconds east of Greenwich.
fn read_offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hour, minute) = (two(h1, h2)?, two(m1, m2)?);
            let seconds = hour * 3_600 + minute * 60;
            (hour < 24 && minute < 60).then_some(if sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("15s", 15_000), ("1m", 60_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused_with_what_is_allowed() {
        for text in ["", "s", "15", "15 s", "-1s", "1.5s", "1m30s", "1w", "1S", "٣s"] {
            let message = parse_duration(text).unwrap_err();
            assert!(message.contains("ms, s, m, h, d"), "{text}: {message}");
        }
        for text in ["99999999999999999999s", "300000d"] {
            assert!(parse_duration(text).unwrap_err().contains("too long"), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, bytes) in [("1KiB", 1 << 10), ("512MiB", 512 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in ["", "1", "1GB", "0GiB", "GiB", "-1GiB", "1.5GiB", "99999999999GiB"] {
            assert!(parse_size(text).unwrap_err().contains("KiB, MiB, GiB"), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29", 951_782_400),
            ("2027-01-31T00:00:00Z", 1_801_353_600),
            ("2027-01-31T12:30:05.25+01:00", 1_801_353_600 + 11 * 3_600 + 30 * 60 + 5),
            ("2027-01-31t12:00:00-00:30", 1_801_353_600 + 12 * 3_600 + 30 * 60),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn other_times_are_refused_with_what_is_allowed() {
        for text in [
            "",
            "tomorrow",
            "2027-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "2027-1-1",
            "2027-01-31T12:00:00",
            "2027-01-31T12:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T12:00:00.Z",
            "2027-01-31T12:00:00+0100",
            "2027-01-31Z",
        ] {
            assert!(parse_time(text).unwrap_err().contains("2027-01-31T12:00:00Z"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_time(&text));
        }
    }
}
