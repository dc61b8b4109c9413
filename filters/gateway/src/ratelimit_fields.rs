//! The response fields by which a client sees its limits: `RateLimit-Policy` and `RateLimit` of the IETF's
//! draft-ietf-httpapi-ratelimit-headers-11, as structured fields (RFC 9651). The draft still moves; its names are here
//! and nowhere else.

use std::fmt::Write;

use crate::limit::Report;

/// The field that says what the limits are.
pub const POLICY: &str = "ratelimit-policy";
/// The field that says how they stand.
pub const STATE: &str = "ratelimit";
/// The field that says how long to wait (RFC 9110 §10.2.3).
pub const RETRY_AFTER: &str = "retry-after";

/// The values of both fields; one list item a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `"pro";q=600;w=60`: quota and window in seconds; no `w` where the window is not whole seconds.
    pub policy: String,
    /// `"pro";r=599;t=1`: requests that may come at once, and seconds until all of the quota may.
    pub state: String,
}

/// Writes the fields; `None` where there is no limit to write of.
#[must_use]
pub fn fields(reports: &[Report<'_>]) -> Option<Fields> {
    let mut fields = Fields { policy: String::new(), state: String::new() };
    for report in reports {
        separate(&mut fields.policy, report.name);
        separate(&mut fields.state, report.name);
        // Writing to a string does not fail.
        let _ = write!(fields.policy, ";q={}", report.limit.quota);
        if let Some(window) = report.limit.window_seconds {
            let _ = write!(fields.policy, ";w={window}");
        }
        let _ = write!(fields.state, ";r={};t={}", report.remaining, whole_seconds(report.until_full));
    }
    (!reports.is_empty()).then_some(fields)
}

/// Seconds, rounded up, so that nobody comes back too early.
#[must_use]
pub fn whole_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// Starts the next item with its name as a structured-field string. Those are printable ASCII; whatever else a name
/// contains is written as `%` and two digits a byte.
fn separate(list: &mut String, name: &str) {
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
    list.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Gcra;
    use crate::tables::Limit;

    fn limit(quota: u64, window_seconds: Option<u64>) -> Limit {
        Limit { name: String::new(), id: String::new(), quota, window_seconds, gcra: Gcra::new(1, 1, 1).unwrap() }
    }

    #[test]
    fn each_limit_is_an_item_of_both_fields() {
        let (minute, day) = (limit(600, Some(60)), limit(10_000, Some(86_400)));
        let reports = [
            Report { name: "pro", limit: &minute, remaining: 599, until_full: 100_000_000 },
            Report { name: "daily", limit: &day, remaining: 0, until_full: 86_400_000_000_000 },
        ];
        let fields = fields(&reports).unwrap();
        assert_eq!(fields.policy, r#""pro";q=600;w=60, "daily";q=10000;w=86400"#);
        assert_eq!(fields.state, r#""pro";r=599;t=1, "daily";r=0;t=86400"#);
    }

    #[test]
    fn a_window_that_is_not_whole_seconds_is_left_out() {
        let limit = limit(5, None);
        let reports = [Report { name: "x", limit: &limit, remaining: 5, until_full: 0 }];
        assert_eq!(fields(&reports).unwrap().policy, r#""x";q=5"#);
        assert_eq!(fields(&[]), None);
    }

    #[test]
    fn a_name_becomes_a_structured_field_string() {
        let mut list = String::new();
        separate(&mut list, "a\"b\\c é\n");
        assert_eq!(list, r#""a\"b\\c %c3%a9%0a""#);
    }
}
