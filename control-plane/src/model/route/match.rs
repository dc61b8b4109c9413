//! `match`: the requests that a route is for.

use std::cmp::Reverse;

use serde::Serialize;

/// All conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteMatch {
    /// The path without its query.
    pub path: PathMatch,
    /// Any of these methods, in upper case, sorted and without duplicates. Empty means every
    /// method.
    pub methods: Vec<String>,
    /// All of these, sorted by name.
    pub headers: Vec<HeaderMatch>,
}

impl RouteMatch {
    /// Returns a rank. Of two routes that match a request, the one with the smaller rank wins; of
    /// equals the first in the file. Exact paths come first, then longer prefixes, then more
    /// conditions (all methods together are one, each header is one).
    pub fn specificity(&self) -> impl Ord + use<> {
        let (kind, length) = match &self.path {
            PathMatch::Exact(_) => (0, 0),
            PathMatch::Prefix(prefix) => (1, prefix.len()),
        };
        let conditions = usize::from(!self.methods.is_empty()) + self.headers.len();
        (kind, Reverse(length), Reverse(conditions))
    }
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// Exactly this path.
    Exact(String),
    /// This prefix in whole segments: `/api` matches `/api` and `/api/x`, not `/apix`. It starts
    /// with a slash. Only `/` itself ends with one.
    Prefix(String),
}

/// A condition on one request header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeaderMatch {
    /// The header's name, lower case.
    pub name: String,
    /// The condition on its value.
    pub value: HeaderValueMatch,
}

/// A condition on a header's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValueMatch {
    /// Exactly this value.
    Exact(String),
    /// A value that begins with this text.
    Prefix(String),
    /// Any value (`true`), or no such header (`false`).
    Present(bool),
}
