//! What values in many places have in common: durations, ranges, and words from a fixed list.

use std::{ops::RangeInclusive, time::Duration};

use legation_filter::units;

use super::{
    code,
    decode::{Integer, Text},
    node::Span,
    report::{Report, listed, one_of},
};

/// The longest duration anywhere: a year, as the filter bounds its windows.
const LONGEST: Duration = Duration::from_nanos(legation_filter::compile::MAX_WINDOW);

/// The longest name of a header.
const LONGEST_HEADER_NAME: usize = 128;

/// A duration of at most a year. `what` names it in messages.
pub fn duration(text: &Text, what: &str, report: &mut Report) -> Option<Duration> {
    match units::parse_duration(&text.value) {
        Ok(duration) if duration <= LONGEST => Some(duration),
        Ok(_) => {
            let message = format!("{what} must be at most `366d`, not {}", text.shown());
            report.error(code::OUT_OF_RANGE, text.span, message);
            None
        }
        Err(_) => {
            let message = format!(
                "{what} must be a duration, a whole number and one of the units ms, s, m, h, d, such as `15s`; not {}",
                text.shown()
            );
            report.error(code::BAD_DURATION, text.span, message);
            None
        }
    }
}

/// A duration of at most a year that is not zero.
pub fn positive_duration(text: &Text, what: &str, report: &mut Report) -> Option<Duration> {
    let duration = duration(text, what, report)?;
    if duration.is_zero() {
        report.error(code::OUT_OF_RANGE, text.span, format!("{what} must be more than zero"));
        return None;
    }
    Some(duration)
}

/// A duration where zero stands for no limit: `Some(None)`.
pub fn limit_of_time(text: &Text, what: &str, report: &mut Report) -> Option<Option<Duration>> {
    duration(text, what, report).map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
}

/// A size in bytes, more than zero.
pub fn size(text: &Text, what: &str, report: &mut Report) -> Option<u64> {
    let size = units::parse_size(&text.value).ok();
    if size.is_none() {
        let message = format!(
            "{what} must be a size, a whole number above 0 and one of the units KiB, MiB, GiB, such as `10MiB`; not {}",
            text.shown()
        );
        report.error(code::INVALID_VALUE, text.span, message);
    }
    size
}

/// A number within a range.
pub fn within<T>(number: Integer, range: RangeInclusive<T>, what: &str, report: &mut Report) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    let found = T::try_from(number.value).ok().filter(|number| range.contains(number));
    if found.is_none() {
        let message = format!("{what} must be {} to {}, not {}", range.start(), range.end(), number.value);
        report.error(code::OUT_OF_RANGE, number.span, message);
    }
    found
}

/// One of a few words and what it stands for; `planned` words are refused as such.
pub fn word<T: Copy>(text: &Text, what: &str, words: &[(&str, T)], planned: &[&str], report: &mut Report) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text.value);
    if let Some((_, meaning)) = found {
        return Some(*meaning);
    }
    if planned.contains(&text.value.as_str()) {
        report.error(code::NOT_SUPPORTED_YET, text.span, format!("{what} {} is not supported yet", text.shown()));
        return None;
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let help = report.did_you_mean(&text.value, known.iter().copied());
    let message = format!("{what} must be {}, not {}", one_of(&known), text.shown());
    report.error_with_help(code::INVALID_VALUE, text.span, message, help);
    None
}

/// A header's name in lower case.
pub fn header_name(text: &Text, report: &mut Report) -> Option<String> {
    const PUNCTUATION: &str = "!#$%&'*+-.^`|~";
    let lower = text.value.to_ascii_lowercase();
    let (problem, help) = if lower.starts_with(':') || lower == "host" {
        let help = match lower.as_str() {
            ":method" => Some("name methods in `methods`"),
            ":path" => Some("name paths in `prefix` or `path`"),
            "host" | ":authority" => Some("that is what `hosts` is for, which is not supported yet"),
            _ => None,
        };
        ("is not a header of its own in Envoy".to_owned(), help.map(str::to_owned))
    } else if lower.contains('_') {
        let help = format!("write `{}`", lower.replace('_', "-"));
        ("can not be a header here: the gateway drops headers whose name has a `_`".to_owned(), Some(help))
    } else if !(1..=LONGEST_HEADER_NAME).contains(&lower.len())
        || !lower.chars().all(|c| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c))
    {
        (format!("is not a header's name: letters, digits and {PUNCTUATION}"), None)
    } else {
        return Some(lower);
    };
    report.error_with_help(code::INVALID_VALUE, text.span, format!("{} {problem}", text.shown()), help);
    None
}

/// Reports every field of a kind that excludes the others, but the first in the file. Returns whether one is written.
pub fn exclusive(fields: &[(&'static str, Option<Span>)], report: &mut Report) -> bool {
    let mut written: Vec<(Span, &str)> = fields.iter().filter_map(|(name, key)| Some(((*key)?, *name))).collect();
    written.sort();
    if let [(_, first), others @ ..] = written.as_slice() {
        for (at, other) in others {
            report.error(code::CONFLICT, *at, format!("only one of {} may be written", listed(&[first, other])));
        }
    }
    !written.is_empty()
}

/// All of them, or none where one is missing. Each is looked at, so that each can report what is wrong with it.
pub fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}
