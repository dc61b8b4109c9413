//! `match`: which requests a route is for.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{
        code,
        decode::Text,
        node::Span,
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
    match (matcher.prefix.key(), matcher.path.key()) {
        (Some(prefix), Some(path)) => value::exclusive(&[("prefix", prefix), ("path", path)], report),
        (None, None) if !matcher.has_planned => {
            let help = "`prefix: /` is every path".to_owned();
            let message = "`match` needs a `prefix` or a `path`";
            report.error_with_help(code::MISSING_FIELD, matcher.span, message, Some(help));
        }
        _ => {}
    }
    let prefix =
        matcher.prefix.get().map(|text| super::path::prefix(text, "the prefix", report).map(PathMatch::Prefix));
    let exact = matcher.path.get().map(|text| super::path::exact(text, "the path", report).map(PathMatch::Exact));
    prefix.or(exact)?
}

fn methods(matcher: &Match, report: &mut Report) -> Option<Vec<String>> {
    let Some(written) = matcher.methods.get() else { return Some(Vec::new()) };
    if written.is_empty() {
        let at = matcher.methods.key().unwrap_or(matcher.span);
        let help = "leave `methods` out for every method".to_owned();
        report.error_with_help(code::INVALID_VALUE, at, "`methods` is empty: no request would match", Some(help));
        return None;
    }
    let methods: Vec<Option<String>> = written.iter().map(|text| method(text, report)).collect();
    let methods: Option<BTreeSet<String>> = methods.into_iter().collect();
    methods.map(|methods| methods.into_iter().collect())
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
    let mut places: BTreeMap<String, Span> = BTreeMap::new();
    let mut resolved = Some(Vec::new());
    for (name, condition) in matcher.headers.get().map(|pairs| pairs.0.as_slice()).unwrap_or_default() {
        let header = header(name, condition, report);
        if let Some(header) = &header {
            if let Some(first) = places.get(&header.name) {
                let message = format!("the header {} is already asked for at {}", name.shown(), report.origin(*first));
                report.error(code::DUPLICATE_VALUE, name.span, message);
            }
            places.insert(header.name.clone(), name.span);
        }
        resolved = resolved.zip(header).map(|(mut headers, header)| {
            headers.push(header);
            headers
        });
    }
    resolved.map(|mut headers: Vec<HeaderMatch>| {
        headers.sort();
        headers
    })
}

fn header(name: &Text, condition: &HeaderCondition, report: &mut Report) -> Option<HeaderMatch> {
    let value = match condition {
        HeaderCondition::Exactly(text) => value_text(text, report).map(HeaderValueMatch::Exact),
        HeaderCondition::As(comparison) => comparison_value(comparison, report),
    };
    match value::header_name(&name.value) {
        Ok(name) => Some(HeaderMatch { name, value: value? }),
        Err((problem, help)) => {
            report.error_with_help(code::INVALID_VALUE, name.span, format!("{} {problem}", name.shown()), help);
            None
        }
    }
}

fn comparison_value(comparison: &HeaderComparison, report: &mut Report) -> Option<HeaderValueMatch> {
    let keys =
        [("exact", comparison.exact.key()), ("prefix", comparison.prefix.key()), ("present", comparison.present.key())];
    let written: Vec<(&'static str, Span)> = keys.iter().filter_map(|(name, key)| Some((*name, (*key)?))).collect();
    if written.is_empty() && !comparison.has_planned {
        let message = "a header's condition needs one of `exact`, `prefix` and `present`";
        report.error(code::MISSING_FIELD, comparison.span, message);
    }
    value::exclusive(&written, report);
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
