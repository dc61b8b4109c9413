//! Paths of requests, in a route's `match` and `rewrite`.

use std::borrow::Cow;

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written, text,
};

/// What the schema can say of a path. The reader says the rest.
const PATTERN: &str = "^/[^?#]*$";

/// A path that a request can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactPath(pub String);

impl Leaf for ExactPath {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        path(written, "the path", report).map(str::to_owned).map(Self)
    }

    fn about() -> About {
        let meaning = "A path as clients send it, without its query: `/v1/users`.";
        About { name: "path", meaning, schema: text::like(PATTERN), example: json!("/v1/users"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// A prefix of whole segments, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(pub String);

impl Leaf for PathPrefix {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        path(written, "the prefix", report).map(str::to_owned).map(Self)
    }

    fn about() -> About {
        let meaning =
            "A path prefix of whole segments: `/api` is `/api` and `/api/x`, not `/apix`. `/api/` is the same prefix.";
        About { name: "path prefix", meaning, schema: text::like(PATTERN), example: json!("/api"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// The prefix without the slash at its end: `/api/` and `/api` are the same one.
pub fn path_prefix(PathPrefix(prefix): &PathPrefix) -> String {
    prefix.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(prefix).to_owned()
}

fn path<'a>(written: &Written<'a>, what: &str, report: &mut Report) -> Option<&'a str> {
    match fault(written.text) {
        None => Some(written.text),
        Some(fault) => written.fault(code::INVALID_VALUE, format!("{what} {} {fault}", written.shown()), None, report),
    }
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
