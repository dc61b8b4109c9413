//! Edits of headers, of a request or of a response.

use std::borrow::Cow;

/// An edit of headers. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// All headers of this name go.
    Remove(&'a [u8]),
    /// One more; for a name that is absent, the cheapest edit.
    Add(&'a str, Cow<'a, [u8]>),
    /// For a name that is there once or not at all.
    Replace(&'a str, Cow<'a, [u8]>),
}
