//! The response fields in which a client sees its limits: `RateLimit-Policy` and `RateLimit` of the
//! IETF's draft-ietf-httpapi-ratelimit-headers-11, as structured fields (RFC 9651), or the older
//! `X-RateLimit-*` that many clients know. The draft still moves; its names are here and nowhere
//! else.

use std::borrow::Cow;
use std::fmt::Write;

use super::charge::Report;
use crate::config::RateLimitHeaders;
use crate::headers::Edit;

/// The field with the limits.
pub const POLICY: &str = "ratelimit-policy";
/// The field with their state.
pub const STATE: &str = "ratelimit";
/// The field with the time to wait (RFC 9110 §10.2.3).
pub const RETRY_AFTER: &str = "retry-after";

/// Names and values.
pub type Fields = Vec<(&'static str, String)>;

/// Writes the fields. There are none without a limit.
#[must_use]
pub fn fields(headers: RateLimitHeaders, reports: &[Report<'_>]) -> Fields {
    match headers {
        _ if reports.is_empty() => Fields::new(),
        RateLimitHeaders::RateLimit => of_draft(reports),
        RateLimitHeaders::XRateLimit => of_old(reports),
        RateLimitHeaders::Off => Fields::new(),
    }
}

/// Returns the edits that add fields to a response. The new fields are lists, which may already
/// have items of an upstream that limits too. Each old field exists once.
#[must_use]
pub fn edits(fields: Fields) -> Vec<Edit<'static>> {
    let edit = |(name, value): (&'static str, String)| match name {
        POLICY | STATE => Edit::Add(name, Cow::Owned(value.into_bytes())),
        _ => Edit::Replace(name, Cow::Owned(value.into_bytes())),
    };
    fields.into_iter().map(edit).collect()
}

/// `"pro";q=600;w=60` says quota and window in seconds, without `w` where the window is not whole
/// seconds. `"pro";r=599;t=1` says how many requests may come at once, and in how many seconds more
/// may. Each limit is one item, with a name of its own.
fn of_draft(reports: &[Report<'_>]) -> Fields {
    let (mut policy, mut state) = (String::new(), String::new());
    for (place, report) in reports.iter().enumerate() {
        let alike = reports.iter().take(place).filter(|other| other.name == report.name).count();
        separate(&mut policy, report.name, alike);
        separate(&mut state, report.name, alike);
        // Writing to a string does not fail.
        let _ = write!(policy, ";q={}", report.limit.quota);
        if let Some(window) = report.limit.window_seconds {
            let _ = write!(policy, ";w={window}");
        }
        let standing = report.standing;
        let _ = write!(state, ";r={};t={}", standing.remaining, whole_seconds(standing.until_more));
    }
    vec![(POLICY, policy), (STATE, state)]
}

/// Writes the limit with the least left; of several, the one that takes longest to refill.
fn of_old(reports: &[Report<'_>]) -> Fields {
    let nearest = reports.iter().min_by_key(|report| {
        let standing = report.standing;
        (standing.remaining, std::cmp::Reverse(standing.until_more))
    });
    let fields = nearest.map(|report| {
        let standing = report.standing;
        vec![
            ("x-ratelimit-limit", report.limit.quota.to_string()),
            ("x-ratelimit-remaining", standing.remaining.to_string()),
            ("x-ratelimit-reset", whole_seconds(standing.until_more).to_string()),
        ]
    });
    fields.unwrap_or_default()
}

/// Returns seconds, rounded up, so that no client comes back too early.
#[must_use]
pub fn whole_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// Starts the next item with its name as a structured-field string, which is printable ASCII: any
/// other byte of the name is written as `%` and two digits. If `alike` other limits have the same
/// name, it gets a number, since clients tell limits by their names.
fn separate(list: &mut String, name: &str, alike: usize) {
    list.push_str(if list.is_empty() { "\"" } else { ", \"" });
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => list.extend(['\\', char::from(byte)]),
            0x20..=0x7e => list.push(char::from(byte)),
            _ => {
                let _ = write!(list, "%{byte:02x}");
            }
        }
    }
    if alike > 0 {
        let _ = write!(list, "-{}", alike.saturating_add(1));
    }
    list.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limit;
    use crate::plan::algorithm::{Algorithm, Standing, TokenBucket};

    fn limit(quota: u64, window_seconds: Option<u64>) -> Limit {
        let algorithm = Algorithm::TokenBucket(TokenBucket::new(1, 1, 1).unwrap());
        Limit { name: String::new(), id: String::new(), quota, window_seconds, algorithm }
    }

    fn report<'a>(name: &'a str, limit: &'a Limit, remaining: u64, until_more: u64) -> Report<'a> {
        Report { name, limit, standing: Standing { remaining, until_more } }
    }

    fn draft(reports: &[Report<'_>]) -> Fields {
        fields(RateLimitHeaders::RateLimit, reports)
    }

    #[test]
    fn each_limit_is_an_item_of_both_fields() {
        let (minute, day) = (limit(600, Some(60)), limit(10_000, Some(86_400)));
        let reports = [report("pro", &minute, 599, 100_000_000), report("daily", &day, 0, 86_400_000_000_000)];
        let expected = [
            (POLICY, r#""pro";q=600;w=60, "daily";q=10000;w=86400"#.to_owned()),
            (STATE, r#""pro";r=599;t=1, "daily";r=0;t=86400"#.to_owned()),
        ];
        assert_eq!(draft(&reports), expected);
    }

    #[test]
    fn the_old_fields_are_of_the_limit_nearest_to_its_end() {
        let (minute, day) = (limit(600, Some(60)), limit(10_000, Some(86_400)));
        let reports = [report("pro", &minute, 7, 1), report("daily", &day, 7, 2_500_000_000)];
        let expected = [("x-ratelimit-limit", "10000"), ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "3")];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(fields(RateLimitHeaders::XRateLimit, &reports), expected);
        assert_eq!(fields(RateLimitHeaders::Off, &reports), []);
    }

    #[test]
    fn a_window_that_is_not_whole_seconds_is_left_out() {
        let limit = limit(5, None);
        assert_eq!(draft(&[report("x", &limit, 5, 0)])[0].1, r#""x";q=5"#);
        assert_eq!(draft(&[]), []);
    }

    #[test]
    fn a_name_becomes_a_structured_field_string() {
        let mut list = String::new();
        separate(&mut list, "a\"b\\c é\n", 1);
        assert_eq!(list, r#""a\"b\\c %c3%a9%0a-2""#);
    }
}
