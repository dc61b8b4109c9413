//! `match`: which requests a route is for.

use crate::{
    config::{
        code,
        decode::Text,
        places::Places,
        report::Report,
        schema::{HeaderComparison, HeaderCondition, Match},
        value,
    },
    model::{HeaderMatch, HeaderValueMatch, PathMatch, RouteMatch},
};

/// The conditions, if all are whole.
pub fn resolve(matcher: &Match, report: &mut Report) -> Option<RouteMatch> {
    let path = path(matcher, report);
    let methods = methods(matcher, report);
    let headers = headers(matcher, report);
    Some(RouteMatch { path: path?, methods: methods?, headers: headers? })
}

fn path(matcher: &Match, report: &mut Report) -> Option<PathMatch> {
    let is_written = value::exclusive(&[("prefix", matcher.prefix.key()), ("path", matcher.path.key())], report);
    if !is_written && !matcher.has_planned {
        let help = "`prefix: /` is every path".to_owned();
        let message = "`match` needs a `prefix` or a `path`";
        report.error_with_help(code::MISSING_FIELD, matcher.span, message, Some(help));
    }
    let prefix =
        matcher.prefix.get().map(|text| super::path::prefix(text, "the prefix", report).map(PathMatch::Prefix));
    let exact = matcher.path.get().map(|text| super::path::exact(text, "the path", report).map(PathMatch::Exact));
    prefix.or(exact)?
}

fn methods(matcher: &Match, report: &mut Report) -> Option<Vec<String>> {
    let written = matcher.methods.items();
    if matcher.methods.is_written() && matcher.methods.is_empty() {
        let at = matcher.methods.key().unwrap_or(matcher.span);
        let help = "leave `methods` out for every method".to_owned();
        report.error_with_help(code::INVALID_VALUE, at, "`methods` is empty: no request would match", Some(help));
        return None;
    }
    let mut methods = value::all(written.iter().map(|text| method(text, report)))?;
    methods.sort();
    methods.dedup();
    Some(methods)
}

fn method(text: &Text, report: &mut Report) -> Option<String> {
    let method = text.value.to_ascii_uppercase();
    let fault =
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            "is not a method: letters, digits, `-` and `_`"
        } else if method == "CONNECT" {
            "cannot be routed by its path: a CONNECT request has none"
        } else {
            return Some(method);
        };
    report.error(code::INVALID_VALUE, text.span, format!("the method {} {fault}", text.shown()));
    None
}

fn headers(matcher: &Match, report: &mut Report) -> Option<Vec<HeaderMatch>> {
    let written = matcher.headers.items();
    let mut places = Places::default();
    let mut headers = value::all(written.iter().map(|(name, condition)| {
        let header = header(name, condition, report)?;
        if let Some(first) = places.earlier(header.name.clone(), name.span) {
            let message = format!("the header {} is already asked for at {}", name.shown(), report.origin(first));
            report.error(code::DUPLICATE_VALUE, name.span, message);
        }
        Some(header)
    }))?;
    headers.sort();
    Some(headers)
}

fn header(name: &Text, condition: &HeaderCondition, report: &mut Report) -> Option<HeaderMatch> {
    let value = match condition {
        HeaderCondition::Exactly(text) => value_text(text, report).map(HeaderValueMatch::Exact),
        HeaderCondition::As(comparison) => comparison_value(comparison, report),
    };
    Some(HeaderMatch { name: value::header_name(name, report)?, value: value? })
}

fn comparison_value(comparison: &HeaderComparison, report: &mut Report) -> Option<HeaderValueMatch> {
    let keys =
        [("exact", comparison.exact.key()), ("prefix", comparison.prefix.key()), ("present", comparison.present.key())];
    if !value::exclusive(&keys, report) && !comparison.has_planned {
        let message = "a header's condition needs one of `exact`, `prefix` and `present`";
        report.error(code::MISSING_FIELD, comparison.span, message);
    }
    let exact = comparison.exact.get().map(|text| value_text(text, report).map(HeaderValueMatch::Exact));
    let prefix = comparison.prefix.get().map(|text| prefix_text(text, report).map(HeaderValueMatch::Prefix));
    let present = comparison.present.get().map(|flag| Some(HeaderValueMatch::Present(flag.value)));
    exact.or(prefix).or(present)?
}

fn prefix_text(text: &Text, report: &mut Report) -> Option<String> {
    if text.value.is_empty() {
        let help = "write `present: true` for any value".to_owned();
        report.error_with_help(code::INVALID_VALUE, text.span, "the prefix is empty", Some(help));
        return None;
    }
    value_text(text, report)
}

/// A text that a header's value can be: HTTP strips spaces around it, and has no control characters in it.
fn value_text(text: &Text, report: &mut Report) -> Option<String> {
    let fault = if text.value.chars().any(char::is_control) {
        "has a control character: no header's value has one"
    } else if text.value.trim() != text.value {
        "begins or ends with a space: no header's value does"
    } else {
        return Some(text.value.clone());
    };
    report.error(code::INVALID_VALUE, text.span, format!("{} {fault}", text.shown()));
    None
}
