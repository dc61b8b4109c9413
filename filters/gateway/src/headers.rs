//! Headers as the filter reads them, edits of headers, and the rules for their names.

use std::borrow::Cow;

use crate::names::LONGEST;

/// A header: its name (in lower case, as Envoy gives it) and its value, which need not be UTF-8.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The values of all headers of this name.
pub(crate) fn values<'a>(headers: &[Pair<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| *value)
}

/// An edit of headers, of a request or of a response. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Removes all headers of this name.
    Remove(&'a [u8]),
    /// Adds a header. For an absent name this is the cheapest edit.
    Add(&'a str, Cow<'a, [u8]>),
    /// Replaces or adds a header, for a name that is present at most once.
    Replace(&'a str, Cow<'a, [u8]>),
}

/// Whether a text is a token (RFC 9110, section 5.6.2), as names of headers and of cookies are.
pub(crate) fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(of_token)
}

/// The name of a header, in lower case.
///
/// # Errors
/// The problem, as the end of a sentence that begins with the name.
pub fn header_name(name: &str) -> Result<String, &'static str> {
    let lower = name.to_ascii_lowercase();
    is_token(&lower).then_some(lower).ok_or("is not a header's name: letters, digits and !#$%&'*+-.^_`|~")
}
