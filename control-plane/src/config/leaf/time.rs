//! Durations.

use std::{borrow::Cow, time::Duration};

use legation_filter::units;
use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};

/// The longest duration anywhere: a year, as the filter bounds its windows.
const LONGEST: Duration = Duration::from_nanos(legation_filter::compile::MAX_WINDOW);

/// What a duration of more than zero looks like: all zeros have the form of a duration, too.
pub(super) const POSITIVE: &str = "^0*[1-9][0-9]*(ms|s|m|h|d)$";
/// What a duration looks like.
const PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";

/// More than zero, and at most a year.
impl Leaf for Duration {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        let duration = duration(written, report)?;
        if duration.is_zero() {
            let message = format!("{} must be more than zero", written.what);
            return written.fault(code::OUT_OF_RANGE, message, None, report);
        }
        Some(duration)
    }

    fn about() -> About {
        let meaning =
            "A whole number and one of the units `ms`, `s`, `m`, `h`, `d`: `15s`. More than zero, at most `366d`.";
        let schema = json!({"type": "string", "pattern": POSITIVE});
        About { name: "duration", meaning, schema, example: json!("15s"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        written(*self).into()
    }
}

/// A duration that bounds something. `0s` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit(pub Option<Duration>);

impl Leaf for TimeLimit {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        duration(written, report).map(|duration| Self(Some(duration).filter(|duration| !duration.is_zero())))
    }

    fn about() -> About {
        let meaning = "A duration such as `500ms`, `15s`, `1m`, `1h` or `1d`, at most `366d`. `0s` is no limit.";
        let schema = json!({"type": "string", "pattern": PATTERN});
        About { name: "time limit", meaning, schema, example: json!("15s"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.map_or("0s".into(), |duration| written(duration).into())
    }
}

fn duration(written: &Written<'_>, report: &mut Report) -> Option<Duration> {
    let parsed = units::parse_duration(written.text);
    if let Ok(duration) = parsed
        && duration <= LONGEST
    {
        return Some(duration);
    }
    let (what, shown) = (written.what, written.shown());
    if parsed.is_ok() {
        let message = format!("{what} must be at most `366d`, not {shown}");
        return written.fault(code::OUT_OF_RANGE, message, None, report);
    }
    let message = format!(
        "{what} must be a duration, a whole number and one of the units ms, s, m, h, d, such as `15s`; not {shown}"
    );
    written.fault(code::BAD_DURATION, message, None, report)
}

/// In the largest unit that gives a whole number.
fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, length)| millis > 0 && millis.is_multiple_of(*length));
    unit.map_or_else(|| format!("{millis}ms"), |(unit, length)| format!("{}{unit}", millis / length))
}
