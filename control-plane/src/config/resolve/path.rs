//! Paths and prefixes, in a route's `match` and `rewrite`.

use crate::config::{code, decode::Text, report::Report};

/// A path that a request can have.
pub fn exact(text: &Text, what: &str, report: &mut Report) -> Option<String> {
    match fault(&text.value) {
        None => Some(text.value.clone()),
        Some(fault) => {
            report.error(code::INVALID_VALUE, text.span, format!("{what} {} {fault}", text.shown()));
            None
        }
    }
}

/// A prefix of whole segments, without the slash at its end: `/api/` and `/api` are the same one.
pub fn prefix(text: &Text, what: &str, report: &mut Report) -> Option<String> {
    let path = exact(text, what, report)?;
    Some(path.strip_suffix('/').filter(|rest| !rest.is_empty()).map_or(path.clone(), str::to_owned))
}

/// Why no request's path is like this. Envoy would accept most of these and never match them.
fn fault(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("must begin with `/`")
    } else if path.contains('?') {
        Some("must not contain `?`: the query is no part of the path")
    } else if path.contains('#') {
        Some("must not contain `#`: a fragment is never sent")
    } else if path.contains("//") {
        Some("must not contain `//`: slashes are merged before routes are looked at")
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        Some("must not contain `.` or `..` as a segment: they are resolved before routes are looked at")
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("must be visible ASCII: percent-encode the rest, as clients do")
    } else {
        None
    }
}
